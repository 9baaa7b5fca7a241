use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::refused;
use crate::{ImageError, source::ImageFile};

/// What is left out when it is zero: the block of common file systems, in bytes.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Bytes other than zeros that anything may unpack to.
const STORED_FREE: u64 = 2 << 30;
/// Bytes other than zeros for each packed byte beyond that. Text packs 1:10, a wiped disk is zeros.
const STORED_RATIO: u64 = 250;
/// Bytes, with zeros, that anything may unpack to: they cost time, and no room.
const TOTAL_FREE: u64 = 64 << 30;
/// The same for what is compressed twice, which no tool does by itself.
const TOTAL_FREE_NESTED: u64 = 8 << 30;
/// Bytes, with zeros, for each packed byte beyond that.
const TOTAL_RATIO: u64 = 2048;

/// How much may come out of so many packed bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    packed: u64,
    most: u64,
    stored: u64,
    total: u64,
}

impl Allowance {
    /// For a file of `packed` bytes, never more than `most`; `nested` when it came out of a compressed file.
    pub(super) fn new(packed: u64, most: u64, nested: bool) -> Self {
        let free = if nested { TOTAL_FREE_NESTED } else { TOTAL_FREE };
        Self {
            packed,
            most,
            stored: packed.saturating_mul(STORED_RATIO).saturating_add(STORED_FREE),
            total: packed.saturating_mul(TOTAL_RATIO).saturating_add(free),
        }
    }

    fn check(&self, total: u64, stored: u64) -> Result<(), String> {
        if total > self.most {
            return Err(format!("unpacks to more than the {} bytes that are allowed here", self.most));
        }
        if total > self.total || stored > self.stored {
            return Err(format!(
                "unpacks to more than {} bytes from only {}, as no disk does; unpack it by hand if it is trusted",
                if total > self.total { self.total } else { self.stored },
                self.packed
            ));
        }
        Ok(())
    }
}

/// What was unpacked, in a file without a name: it is gone with its last handle. Zeros are left out as holes.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    directory: PathBuf,
    container: String,
    allowance: Allowance,
    at: u64,
    stored: u64,
}

impl Spool {
    /// An empty one. `container` is what its errors speak of.
    pub(super) fn new(directory: &Path, container: String, allowance: Allowance) -> Result<Self, ImageError> {
        let file = tempfile::tempfile_in(directory).map_err(|source| failed(directory, source))?;
        Ok(Self { file, directory: directory.to_owned(), container, allowance, at: 0, stored: 0 })
    }

    /// Appends bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), ImageError> {
        self.allow(bytes.len() as u64, 0)?;
        while !bytes.is_empty() {
            let zeros = self.run(bytes, true);
            self.at += zeros as u64;
            bytes = &bytes[zeros..];
            let stored = self.run(bytes, false);
            if stored > 0 {
                self.allow(bytes.len() as u64, stored as u64)?;
                let written = self.file.write_all_at(&bytes[..stored], self.at);
                written.map_err(|source| failed(&self.directory, source))?;
                self.at += stored as u64;
                self.stored += stored as u64;
                bytes = &bytes[stored..];
            }
        }
        Ok(())
    }

    fn allow(&self, more: u64, more_stored: u64) -> Result<(), ImageError> {
        let allowed = self.allowance.check(self.at.saturating_add(more), self.stored.saturating_add(more_stored));
        allowed.map_err(|problem| refused(&self.container, problem))
    }

    /// How many of the next bytes lie in blocks that are all zero, or in others.
    fn run(&self, bytes: &[u8], zero: bool) -> usize {
        let mut length = 0;
        while length < bytes.len() {
            // Blocks of the file, whatever portions come in.
            let within = usize::try_from((self.at + length as u64) % BLOCK as u64).unwrap_or(0);
            let block = &bytes[length..bytes.len().min(length + BLOCK - within)];
            if (block == &ZEROS[..block.len()]) != zero {
                break;
            }
            length += block.len();
        }
        length
    }

    /// All that was taken, for reading.
    pub(super) fn finish(self) -> Result<ImageFile, ImageError> {
        let finished = self.file.set_len(self.at).and_then(|()| ImageFile::adopt(self.file));
        finished.map_err(|source| failed(&self.directory, source))
    }
}

fn failed(directory: &Path, source: io::Error) -> ImageError {
    ImageError::File { operation: "unpack into a file in", path: directory.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn spool(packed: u64, most: u64) -> Spool {
        Spool::new(&std::env::temp_dir(), "gzip file".into(), Allowance::new(packed, most, false)).unwrap()
    }

    #[test]
    fn zeros_take_no_room_and_nothing_is_lost() {
        let mut expected = vec![0; 300_000];
        expected[70_000] = 1;
        expected[200_000..204_000].fill(7);
        for portion in [1000, 4096, 65_537, 300_000] {
            let mut spool = spool(1, u64::MAX);
            for bytes in expected.chunks(portion) {
                spool.take(bytes).unwrap();
            }
            assert!(spool.file.metadata().unwrap().blocks() * 512 <= 5 * 4096, "portions of {portion}");
            let file = spool.finish().unwrap();
            let mut bytes = vec![1; expected.len()];
            file.read_padded(0, &mut bytes).unwrap();
            assert!(bytes == expected && file.length() == 300_000, "portions of {portion}");
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut small = spool(1 << 30, 8192);
        small.take(&[0; 8192]).unwrap();
        let error = small.take(&[0]).unwrap_err().to_string();
        assert_eq!(error, "gzip file refused: unpacks to more than the 8192 bytes that are allowed here");

        let allowance = Allowance::new(1 << 20, u64::MAX, false);
        allowance.check(TOTAL_FREE, STORED_FREE + (250 << 20)).unwrap();
        assert!(allowance.check(TOTAL_FREE, STORED_FREE + (250 << 20) + 1).unwrap_err().contains("from only 1048576"));
        assert!(allowance.check(TOTAL_FREE + (2 << 30) + 1, 0).unwrap_err().contains("as no disk does"));
        assert!(Allowance::new(1 << 20, u64::MAX, true).check(TOTAL_FREE, 0).is_err());
    }
}
