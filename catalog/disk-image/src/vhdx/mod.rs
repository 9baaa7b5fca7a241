//! VHDX.

use crate::{ImageError, ImageReader, opening::Opening, source::ImageFile};

/// Opens a VHDX.
pub(crate) fn open(_source: ImageFile, _opening: &Opening<'_>) -> Result<Box<dyn ImageReader>, ImageError> {
    Err(ImageError::Unsupported { what: "VHDX".into(), instead: "convert it first".into() })
}
