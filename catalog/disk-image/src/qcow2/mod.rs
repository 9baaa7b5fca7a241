//! QEMU's qcow2, versions 2 and 3.
//!
//! The reader shows the active layer of a file that stands alone: internal snapshots and bitmaps are ignored, and
//! whatever points out of the file is refused. `header` checks the numbers, `tables` the maps, both before the first
//! guest byte is given.

mod compressed;
mod entry;
mod extensions;
mod header;
mod image;
mod overlay;
mod tables;

pub use image::Qcow2Image;
pub use overlay::{OverlaySpec, create_overlay};

use crate::{ImageError, ImageFormat, ImageReader, opening::Opening, source::ImageFile};

/// `QFI` and 0xfb.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// A refusal that names the field and where it stands.
fn refused(field: &'static str, offset: u64, problem: impl Into<String>) -> ImageError {
    ImageError::Refused { format: ImageFormat::Qcow2, field, offset, problem: problem.into() }
}

/// Opens a qcow2.
pub(crate) fn open(source: ImageFile, opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    if opening.snapshot.is_some() {
        return Err(ImageError::Unsupported { what: "snapshots".into(), instead: "open the disk as it is".into() });
    }
    Ok(Box::new(Qcow2Image::over(source)?))
}
