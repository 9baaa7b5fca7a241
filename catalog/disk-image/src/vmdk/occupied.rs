use std::ops::Range;

use super::{TABLE, header::Header};
use crate::SECTOR;

/// Tables that may lie apart from each other. As many as a stream of 64 TiB has; what lies together counts as one.
const MOST_PARTS: usize = (2 << 20) + 1;
const SECTORS_OF_TABLE: u64 = TABLE / SECTOR;

/// The parts of a file that no guest byte may come from, in sectors.
#[derive(Debug)]
pub(super) struct Occupied {
    fixed: Vec<Range<u64>>,
    tables: Vec<Tables>,
}

/// Grain tables one after another.
#[derive(Debug, Clone, Copy)]
struct Tables {
    first: u32,
    count: u32,
}

impl Tables {
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count) * SECTORS_OF_TABLE
    }
}

/// There are too many tables that lie apart from each other.
#[derive(Debug)]
pub(super) struct Scattered;

impl Occupied {
    /// Header, footer, embedded descriptor and directories.
    pub(super) fn of(header: &Header) -> Self {
        let directory = |start: u64| start..start + header.entries * 4;
        let bytes = [
            0..SECTOR,
            header.footer.clone(),
            header.descriptor.clone(),
            directory(header.directory),
            header.redundant.map_or(0..0, directory),
        ];
        let fixed = bytes.into_iter().filter(|range| !range.is_empty());
        Self {
            fixed: fixed.map(|range| range.start / SECTOR..range.end.div_ceil(SECTOR)).collect(),
            tables: Vec::new(),
        }
    }

    /// Whether header, descriptor and the like lie upon each other.
    pub(super) fn fixed_overlap(&self) -> bool {
        let apart = |a: &Range<u64>, b: &Range<u64>| a.end <= b.start || b.end <= a.start;
        self.fixed.iter().enumerate().any(|(i, one)| self.fixed[..i].iter().any(|other| !apart(one, other)))
    }

    /// Whether these sectors lie upon header, descriptor and the like.
    pub(super) fn meets_fixed(&self, sectors: &Range<u64>) -> bool {
        self.fixed.iter().any(|range| range.start < sectors.end && sectors.start < range.end)
    }

    /// Adds the table that begins at this sector.
    pub(super) fn add(&mut self, sector: u32) -> Result<(), Scattered> {
        if let Some(last) = self.tables.last_mut().filter(|last| last.end() == u64::from(sector)) {
            last.count += 1;
        } else if self.tables.len() < MOST_PARTS {
            self.tables.push(Tables { first: sector, count: 1 });
        } else {
            return Err(Scattered);
        }
        Ok(())
    }

    /// Once all tables were added: the sector of one that lies upon another.
    pub(super) fn overlapping_table(&mut self) -> Option<u32> {
        self.tables.sort_unstable_by_key(|tables| tables.first);
        let clash = self.tables.windows(2).find(|pair| u64::from(pair[1].first) < pair[0].end());
        clash.map(|pair| pair[1].first)
    }

    /// Whether these sectors are ours.
    pub(super) fn meets(&self, sectors: &Range<u64>) -> bool {
        let before = self.tables.partition_point(|tables| u64::from(tables.first) < sectors.end);
        let last = before.checked_sub(1).and_then(|last| self.tables.get(last));
        last.is_some_and(|tables| tables.end() > sectors.start) || self.meets_fixed(sectors)
    }
}
