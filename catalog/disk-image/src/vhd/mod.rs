//! Virtual PC's VHD, which QEMU calls `vpc`: fixed and dynamic, read and planned.
//!
//! `footer` finds the one footer of several that is believed, `header` and `blocks` check what a dynamic disk adds to
//! it, all before the first guest byte is given. Differencing disks are refused: a file must stand alone.
//!
//! The disk's size is the footer's current size, never the volume of its geometry, as in Hyper-V and Azure. QEMU
//! takes the geometry when the creator is Virtual PC or QEMU itself: where the two differ, a warning says so.

mod blocks;
mod fields;
mod footer;
mod geometry;
mod header;
mod image;
mod layout;
mod text;

pub use layout::{DynamicVhdFormat, VhdSize, fixed_layout};

use crate::{ImageError, ImageFormat, ImageReader, SECTOR, opening::Opening, source::ImageFile};

/// At the beginning of each footer.
const FOOTER_COOKIE: [u8; 8] = *b"conectix";
/// At the beginning of a dynamic disk's header.
const HEADER_COOKIE: [u8; 8] = *b"cxsparse";
const FOOTER: usize = 512;
const HEADER: usize = 1024;
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;
/// What a footer says instead of a place when there is none.
const NOWHERE: u64 = u64::MAX;
/// The largest disk, in bytes: 2040 GiB, which all programs agree on.
const LARGEST: u64 = 0xff00_0000 * SECTOR;
/// A block that is not there.
const UNUSED: u32 = u32::MAX;

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Vhd, field, offset, problem: problem.into() }
}

/// Opens a VHD.
pub(crate) fn open(source: ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Ok(Box::new(image::VhdImage::over(source)?))
}

/// The bytes that one block takes in the file before its data: a bit for each sector, in whole sectors.
fn bitmap_of(block: u64) -> u64 {
    (block / SECTOR).div_ceil(8).next_multiple_of(SECTOR)
}

/// The complement of the sum of all bytes, those of the checksum itself taken for zeros.
fn checksum(bytes: &[u8], checksum_at: usize) -> u32 {
    let counts = |at: usize| !(checksum_at..checksum_at + 4).contains(&at);
    let sum = bytes.iter().enumerate().filter(|(at, _)| counts(*at)).map(|(_, byte)| u32::from(*byte));
    !sum.fold(0_u32, u32::wrapping_add)
}
