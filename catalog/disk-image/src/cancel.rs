use std::sync::atomic::{AtomicBool, Ordering};

use crate::{DiskView, Extent, ImageError, ImageFormat};

/// Zeros are handed out in such portions at most, so that work on them notices a cancellation too.
const LONGEST_EXTENT: u64 = 64 << 20;

/// A view that fails with [`ImageError::Cancelled`] from the moment its flag is set.
///
/// Whoever digests, imports or converts it then ends as after any other read error, and cleans up.
pub struct Cancellable<'a> {
    view: &'a dyn DiskView,
    cancelled: &'a AtomicBool,
}

impl<'a> Cancellable<'a> {
    /// Over `view`, until `cancelled` is true.
    #[must_use]
    pub fn new(view: &'a dyn DiskView, cancelled: &'a AtomicBool) -> Self {
        Self { view, cancelled }
    }

    fn wanted(&self) -> Result<(), ImageError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(ImageError::Cancelled) } else { Ok(()) }
    }
}

impl DiskView for Cancellable<'_> {
    fn format(&self) -> ImageFormat {
        self.view.format()
    }

    fn size(&self) -> u64 {
        self.view.size()
    }

    fn logical_sector_size(&self) -> u32 {
        self.view.logical_sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.wanted()?;
        self.view.read_at(offset, buffer)
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        self.wanted()?;
        let extent = self.view.extent_at(from)?;
        Ok(extent.map(|extent| Extent { length: extent.length.min(LONGEST_EXTENT), ..extent }))
    }
}
