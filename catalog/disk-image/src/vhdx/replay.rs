use std::{collections::BTreeMap, ops::Range};

use crate::{
    ImageError,
    source::{Allocation, ImageFile},
};

/// The unit of a log's writes, in bytes.
pub(super) const LOG_SECTOR: u64 = 4096;
const SECTOR_LENGTH: usize = 4096;

/// A file as it will be once its log has been written to it.
#[derive(Debug)]
pub(super) struct LoggedFile {
    source: ImageFile,
    length: u64,
    /// What the log writes, by the first byte of each. They do not overlap.
    writes: BTreeMap<u64, Write>,
}

#[derive(Debug, Clone)]
struct Write {
    end: u64,
    content: Content,
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Zeros,
    /// A sector whose bytes stand in the log, but for those that the log keeps in its descriptor.
    Sector {
        /// Where in the file the log has it.
        logged: u64,
        leading: [u8; 8],
        trailing: [u8; 4],
    },
}

impl LoggedFile {
    /// A file whose log has nothing to write.
    pub(super) fn new(source: ImageFile) -> Self {
        let length = source.length();
        Self { source, length, writes: BTreeMap::new() }
    }

    /// Lets the file be at least so long.
    pub(super) fn extend(&mut self, length: u64) {
        self.length = self.length.max(length);
    }

    /// Adds a write, which wins over earlier ones. Its bounds are multiples of [`LOG_SECTOR`], and a sector's are
    /// one sector apart.
    pub(super) fn write(&mut self, place: Range<u64>, content: Content) {
        if place.is_empty() {
            return;
        }
        // Only zeros can reach beyond either end: sectors are of one unit, and all are aligned to it.
        if let Some((_, before)) = self.writes.range_mut(..place.start).next_back()
            && before.end > place.start
        {
            let end = std::mem::replace(&mut before.end, place.start);
            if end > place.end {
                self.writes.insert(place.end, Write { end, content: Content::Zeros });
            }
        }
        while let Some((&start, _)) = self.writes.range(place.clone()).next() {
            if let Some(covered) = self.writes.remove(&start)
                && covered.end > place.end
            {
                self.writes.insert(place.end, Write { end: covered.end, content: Content::Zeros });
            }
        }
        self.writes.insert(place.start, Write { end: place.end, content });
    }

    /// The file's length, as the log leaves it.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Fills the buffer with what the file has from `offset` on, with zeros behind its end.
    pub(super) fn read_padded(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.source.read_padded(offset, buffer)?;
        if self.writes.is_empty() {
            return Ok(());
        }
        let end = offset.saturating_add(buffer.len() as u64);
        let before = self.writes.range(..offset).next_back();
        for (&start, write) in before.into_iter().chain(self.writes.range(offset..end)) {
            let [from, to] = [start.max(offset), write.end.min(end)];
            if from >= to {
                continue;
            }
            let [first, behind] = [from - offset, to - offset].map(|at| usize::try_from(at).unwrap_or(0));
            let part = &mut buffer[first..behind];
            match &write.content {
                Content::Zeros => part.fill(0),
                Content::Sector { logged, leading, trailing } => {
                    let mut sector: [u8; SECTOR_LENGTH] = self.source.read_array(*logged)?;
                    sector[..8].copy_from_slice(leading);
                    sector[SECTOR_LENGTH - 4..].copy_from_slice(trailing);
                    let within = usize::try_from(from - start).unwrap_or(0);
                    part.copy_from_slice(&sector[within..within + part.len()]);
                }
            }
        }
        Ok(())
    }

    /// What the file system knows of the bytes from `from` on.
    pub(super) fn allocation(&self, from: u64) -> Result<Allocation, ImageError> {
        if !self.writes.is_empty() {
            Ok(Allocation::DataUntil(u64::MAX))
        } else if from >= self.source.length() {
            Ok(Allocation::HoleUntil(u64::MAX))
        } else {
            self.source.allocation(from)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn later_writes_win(writes in proptest::collection::vec((0_u64..12, 1_u64..6, any::<bool>()), 0..12)) {
            const SECTORS: usize = 20;
            let mut file = tempfile::tempfile().unwrap();
            let bytes: Vec<u8> = (0..SECTORS * SECTOR_LENGTH).map(|i| (i / 4096 + i % 251) as u8).collect();
            file.write_all(&bytes).unwrap();
            let mut logged = LoggedFile::new(ImageFile::adopt(file).unwrap());
            let mut expected = bytes.clone();
            for (number, (at, sectors, zeros)) in writes.into_iter().enumerate() {
                let start = at * LOG_SECTOR;
                if zeros {
                    let end = start + sectors * LOG_SECTOR;
                    logged.write(start..end, Content::Zeros);
                    expected[start as usize..end as usize].fill(0);
                } else {
                    let (leading, trailing) = ([number as u8; 8], [number as u8 + 1; 4]);
                    let content = Content::Sector { logged: 18 * LOG_SECTOR, leading, trailing };
                    logged.write(start..start + LOG_SECTOR, content);
                    let sector = &mut expected[start as usize..][..4096];
                    sector.copy_from_slice(&bytes[18 * 4096..19 * 4096]);
                    sector[..8].copy_from_slice(&leading);
                    sector[4092..].copy_from_slice(&trailing);
                }
            }
            for (from, length) in [(0, bytes.len()), (1, 4095), (4090, 12), (8192, 4096), (12_287, 20_002)] {
                let mut read = vec![0xaa; length];
                logged.read_padded(from as u64, &mut read).unwrap();
                prop_assert!(read == expected[from..from + length]);
            }
        }
    }
}
