//! Disks in memory.

use std::fs;
use std::path::Path;

use disk_image::{DiskView, Extent, ExtentKind, ImageError, ImageFormat};

/// A disk of given bytes, which may fail at some place. Runs of zeros of a sector and more are zero extents.
pub struct Disk {
    pub bytes: Vec<u8>,
    pub fails_at: Option<u64>,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(512));
        Self { bytes, fails_at: None }
    }

    /// So many bytes, of which every third block of 64 KiB is zero, and no two others are the same.
    pub fn patterned(length: usize) -> Self {
        let word = |i: usize| if i * 8 / 65536 % 3 == 2 { 0 } else { i as u64 + 1 };
        Self::new((0..length / 8).flat_map(|i| word(i).to_le_bytes()).collect())
    }

    fn is_zero(&self, sector: usize) -> bool {
        self.bytes[sector * 512..(sector + 1) * 512].iter().all(|byte| *byte == 0)
    }
}

impl DiskView for Disk {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        let end = offset + buffer.len() as u64;
        if self.fails_at.is_some_and(|at| at < end) {
            return Err(ImageError::Read { offset, source: std::io::Error::other("a bad sector") });
        }
        buffer.copy_from_slice(&self.bytes[offset as usize..end as usize]);
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.size() {
            return Ok(None);
        }
        let first = from as usize / 512;
        let zero = self.is_zero(first);
        let end = (first..self.bytes.len() / 512).find(|sector| self.is_zero(*sector) != zero);
        let end = end.map_or(self.size(), |sector| sector as u64 * 512);
        let kind = if zero { ExtentKind::Zero } else { ExtentKind::Data };
        Ok(Some(Extent { offset: from, length: end - from, kind }))
    }
}

/// The names in a directory, sorted.
pub fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
