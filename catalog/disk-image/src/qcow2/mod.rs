//! QEMU's qcow2, versions 2 and 3.
//!
//! The reader shows the disk of a file that stands alone, as it is now or as one of its internal snapshots has it, and
//! refuses whatever points out of the file. `header` and `snapshots` check the numbers, `verify` the maps, before the
//! first guest byte is given. `damage` compares the counts, which a reader does not need, with what `counting`
//! finds in use.
//!
//! `plan` knows where the tables of a file to be written stand; `plain_plan` and `packed_plan` what is in them when
//! clusters are stored as they are, and when all are compressed.

mod compressed;
mod counting;
mod damage;
mod deflate;
mod entry;
mod extensions;
mod facts;
mod geometry;
mod header;
mod image;
mod occupied;
mod overlay;
mod packed_plan;
mod packer;
mod plain_plan;
mod plan;
mod references;
mod snapshots;
mod tables;
mod verify;

pub use image::Qcow2Image;
pub use overlay::{OverlaySpec, create_overlay};
pub use packed_plan::PackedQcow2Format;
pub use packer::Qcow2Compression;
pub use plain_plan::Qcow2Format;
pub use plan::Qcow2Options;

use crate::{ImageError, ImageFormat, ImageReader, opening::Opening, source::ImageFile};

/// `QFI` and 0xfb.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Qcow2, field, offset, problem: problem.into() }
}

/// Opens a qcow2.
pub(crate) fn open(source: ImageFile, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Ok(Box::new(Qcow2Image::over(source, opening.snapshot)?))
}
