use std::ops::Range;

use super::TABLE;
use crate::{
    ImageError, SECTOR,
    source::{Allocation, ImageFile},
};

/// Entries of a directory that are read at a time.
const PAGE: u64 = 16 << 10;
/// Tables that are read at a time when they lie together.
const RUN: usize = 32;

/// Goes through a grain directory and the tables that it names, from the first to the last, in bounded memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) source: &'a ImageFile,
    /// Where the directory stands, in bytes.
    pub(super) directory: u64,
    pub(super) entries: u64,
}

impl Walk<'_> {
    /// Hands over each entry of the directory that is not zero: its number, and the sector that it names.
    pub(super) fn entries(&self, mut take: impl FnMut(u64, u32) -> Result<(), ImageError>) -> Result<(), ImageError> {
        self.pages(|first, sectors| {
            let named = (first..).zip(sectors).filter(|(_, sector)| **sector != 0);
            for (number, &sector) in named {
                take(number, sector)?;
            }
            Ok(())
        })
    }

    /// Hands over each table that may hold anything: its number, where it stands in bytes, and its bytes. All tables
    /// must lie in the file.
    pub(super) fn tables(
        &self,
        mut take: impl FnMut(u64, u64, &[u8]) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        let mut holes = Holes { source: self.source, known: 0..0, hollow: false };
        let mut bytes = vec![0; RUN * TABLE as usize];
        self.pages(|first, sectors| {
            let mut at = 0;
            while at < sectors.len() {
                let sector = u64::from(sectors[at]);
                if sector == 0 {
                    at += 1;
                    continue;
                }
                let together = |&(i, next): &(u64, &u32)| u64::from(*next) == sector + i * (TABLE / SECTOR);
                let run = (0..).zip(&sectors[at..]).take(RUN).take_while(together).count();
                let (place, bytes) = (sector * SECTOR, &mut bytes[..run * TABLE as usize]);
                if !holes.cover(place, bytes.len() as u64)? {
                    self.source.read_padded(place, bytes)?;
                    for (i, table) in (0..).zip(bytes.chunks_exact(TABLE as usize)) {
                        take(first + at as u64 + i, place + i * TABLE, table)?;
                    }
                }
                at += run;
            }
            Ok(())
        })
    }

    fn pages(&self, mut take: impl FnMut(u64, &[u32]) -> Result<(), ImageError>) -> Result<(), ImageError> {
        let mut first = 0;
        let mut sectors = Vec::new();
        while first < self.entries {
            let mut bytes = vec![0; usize::try_from((self.entries - first).min(PAGE) * 4).unwrap_or(0)];
            self.source.read_padded(self.directory + first * 4, &mut bytes)?;
            sectors.clear();
            sectors.extend(words(&bytes));
            take(first, &sectors)?;
            first += PAGE;
        }
        Ok(())
    }
}

/// The numbers of a directory or table.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// Writers make room for all tables of a disk when they begin: most of them are then a hole, and all zeros.
struct Holes<'a> {
    source: &'a ImageFile,
    known: Range<u64>,
    hollow: bool,
}

impl Holes<'_> {
    fn cover(&mut self, place: u64, length: u64) -> Result<bool, ImageError> {
        if !self.known.contains(&place) && place < self.source.length() {
            (self.known, self.hollow) = match self.source.allocation(place)? {
                Allocation::DataUntil(end) => (place..end, false),
                Allocation::HoleUntil(end) => (place..end, true),
            };
        }
        Ok(self.hollow && self.known.contains(&place) && place + length <= self.known.end)
    }
}
