use super::manifest::Check;
use crate::{DiskView, Extent, Fact, ImageError, ImageFormat, ImageReader};

/// A disk that came in a container, with what is to be said of the container.
pub(super) struct Contained {
    pub(super) inner: Box<dyn ImageReader>,
    /// Told before the disk's own.
    pub(super) facts: Vec<Fact>,
    pub(super) warnings: Vec<String>,
    /// What the container's manifest says of the disk's file.
    pub(super) check: Option<Check>,
}

impl DiskView for Contained {
    fn format(&self) -> ImageFormat {
        self.inner.format()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn logical_sector_size(&self) -> u32 {
        self.inner.logical_sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.inner.read_at(offset, buffer)
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        self.inner.extent_at(from)
    }
}

impl ImageReader for Contained {
    fn facts(&self) -> Vec<Fact> {
        self.facts.iter().cloned().chain(self.inner.facts()).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().chain(self.inner.warnings()).collect()
    }

    fn damage(&self, most: usize) -> Result<Vec<String>, ImageError> {
        let mut damage = Vec::new();
        if let Some(check) = &self.check
            && most > 0
        {
            damage = check.failures()?;
            damage.truncate(most);
        }
        damage.extend(self.inner.damage(most - damage.len())?);
        Ok(damage)
    }
}
