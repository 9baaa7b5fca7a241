//! `VirtualBox`'s VDI, version 1.1: dynamic and fixed, read and planned.
//!
//! `header` checks the numbers and `blocks` the map, both before the first guest byte is given. Files that are changes
//! of another one are refused: a file must stand alone.

mod blocks;
mod header;
mod image;
mod layout;
mod used;

pub use layout::DynamicVdiFormat;

use crate::{ImageError, ImageFormat, ImageReader, opening::Opening, source::ImageFile};

const SIGNATURE_AT: u64 = 64;
const SIGNATURE: u32 = 0xbeda_107f;
const VERSION: u32 = 0x0001_0001;
const DYNAMIC: u32 = 1;
const FIXED: u32 = 2;
/// Room for the fields before those that the header's own length counts.
const BEFORE_HEADER: u64 = 72;
/// A block that was never written.
const FREE: u32 = u32::MAX;
/// A block that was discarded or zeroed.
const ZERO: u32 = u32::MAX - 1;
/// 256 MiB of map, as many as the largest disk needs with blocks of the usual size.
const MOST_BLOCKS: u64 = 64 << 20;

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Vdi, field, offset, problem: problem.into() }
}

/// Opens a VDI.
pub(crate) fn open(source: ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Ok(Box::new(image::VdiImage::over(source)?))
}
