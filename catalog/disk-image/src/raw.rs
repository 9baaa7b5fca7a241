use std::fs::File;

use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader, LARGEST_DISK, SECTOR,
    source::{Allocation, ImageFile},
    view::check_range,
};

/// A file that holds the guest's bytes and nothing else.
///
/// A length that is no multiple of 512 is shown rounded up, the missing bytes as zeros, as QEMU does; the file is
/// not changed.
#[derive(Debug)]
pub struct RawImage {
    source: ImageFile,
    size: u64,
}

impl RawImage {
    /// Takes an open regular file or block device as it is, whatever its bytes look like.
    ///
    /// # Errors
    /// [`ImageError::Read`] when the file cannot be measured, [`ImageError::Refused`] above [`LARGEST_DISK`].
    pub fn new(file: File) -> Result<Self, ImageError> {
        Self::over(ImageFile::adopt(file).map_err(|source| ImageError::Read { offset: 0, source })?)
    }

    pub(crate) fn over(source: ImageFile) -> Result<Self, ImageError> {
        if source.length() > LARGEST_DISK {
            return Err(ImageError::Refused {
                format: ImageFormat::Raw,
                field: "end of file",
                offset: source.length(),
                problem: format!("makes a disk beyond {LARGEST_DISK} bytes"),
            });
        }
        let size = source.length().next_multiple_of(SECTOR);
        Ok(Self { source, size })
    }

    /// Zeros shown behind the end of the file, in bytes: 0 to 511.
    #[must_use]
    pub fn padding(&self) -> u64 {
        self.size - self.source.length()
    }
}

impl DiskView for RawImage {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.size, offset, buffer.len())?;
        self.source.read_padded(offset, buffer)
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.size {
            return Ok(None);
        }
        // Behind the end of the file stands nothing but the padding, which is zero like a hole.
        let (end, kind) = if from >= self.source.length() {
            (self.size, ExtentKind::Absent)
        } else {
            match self.source.allocation(from)? {
                Allocation::DataUntil(end) => (end, ExtentKind::Data),
                Allocation::HoleUntil(end) => (end, ExtentKind::Absent),
            }
        };
        let end = if end >= self.source.length() { self.size } else { end };
        Ok(Some(Extent { offset: from, length: end.min(self.size) - from, kind }))
    }
}

impl ImageReader for RawImage {
    fn facts(&self) -> Vec<Fact> {
        let padding = self.padding();
        if padding == 0 { Vec::new() } else { vec![Fact::new("padding", padding)] }
    }
}
