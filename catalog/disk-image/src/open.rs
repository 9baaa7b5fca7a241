use std::{fs::File, path::Path};

use crate::{
    DiskView, ImageError, ImageFormat, RawImage,
    probe::{Found, probe},
    qcow2::Qcow2Image,
    source::ImageFile,
};

/// Opens the image in a regular file or block device.
///
/// - Declared raw: it is raw, whatever a guest wrote to its beginning.
/// - Declared otherwise: the bytes must agree.
/// - Undeclared: qcow2 by its mark, raw when there is no mark that is known, and refused otherwise. Only for files
///   that no guest has written to.
///
/// # Errors
/// [`ImageError::File`] when the file cannot be opened, and what the format's reader refuses.
pub fn open(path: &Path, declared: Option<ImageFormat>) -> Result<Box<dyn DiskView>, ImageError> {
    read(ImageFile::open(path)?, declared)
}

/// Like [`open`], for a file that is open already.
///
/// # Errors
/// Like [`open`].
pub fn open_file(file: File, declared: Option<ImageFormat>) -> Result<Box<dyn DiskView>, ImageError> {
    read(ImageFile::adopt(file).map_err(|source| ImageError::Read { offset: 0, source })?, declared)
}

fn read(source: ImageFile, declared: Option<ImageFormat>) -> Result<Box<dyn DiskView>, ImageError> {
    if declared == Some(ImageFormat::Raw) {
        return Ok(Box::new(RawImage::over(source)?));
    }
    match (probe(&source)?, declared) {
        (Found::Qcow2, _) => Ok(Box::new(Qcow2Image::over(source)?)),
        (found, Some(declared)) => Err(ImageError::NotAsDeclared { declared, found: found.describe() }),
        (Found::Foreign(format), None) => Err(ImageError::NotReadYet(format)),
        (Found::Nothing, None) => Ok(Box::new(RawImage::over(source)?)),
    }
}
