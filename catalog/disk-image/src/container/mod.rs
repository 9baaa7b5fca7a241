//! What images travel in: archives with the description of a machine, and compressed streams.

mod compression;

pub use compression::Compression;

use crate::{ImageError, ImageReader, opening::Opening, source::ImageFile};

/// Unpacks a compressed image and opens what was in it.
pub(crate) fn open_compressed(
    _source: &ImageFile,
    _compression: Compression,
    _opening: &Opening<'_>,
) -> Result<Box<dyn ImageReader>, ImageError> {
    Err(ImageError::Unsupported { what: "compressed files".into(), instead: "unpack it first".into() })
}

/// Opens a disk of the machine in an archive.
pub(crate) fn open_archive(_source: &ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Err(ImageError::Unsupported { what: "archives".into(), instead: "unpack it first".into() })
}

/// Opens a disk of the machine that an OVF beside its files describes.
pub(crate) fn open_ovf(_source: &ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Err(ImageError::Unsupported { what: "OVF".into(), instead: "open the disk itself".into() })
}
