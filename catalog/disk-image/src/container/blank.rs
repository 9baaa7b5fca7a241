use crate::{
    DiskView, Extent, ExtentKind, Fact, ImageError, ImageFormat, ImageReader, LARGEST_DISK, SECTOR, view::check_range,
};

/// A disk that a machine is described with, and that has no file: it is to be empty.
pub(super) struct Blank {
    size: u64,
}

impl Blank {
    /// Rounds up to whole sectors; `None` above [`LARGEST_DISK`].
    pub(super) fn new(capacity: u64) -> Option<Self> {
        let size = capacity.checked_next_multiple_of(SECTOR)?;
        (size <= LARGEST_DISK).then_some(Self { size })
    }
}

impl DiskView for Blank {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        check_range(self.size, offset, buffer.len())?;
        buffer.fill(0);
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        let length = self.size.saturating_sub(from);
        Ok((length > 0).then_some(Extent { offset: from, length, kind: ExtentKind::Absent }))
    }
}

impl ImageReader for Blank {
    fn facts(&self) -> Vec<Fact> {
        vec![Fact::new("blank", true)]
    }
}
