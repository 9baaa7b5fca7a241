use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    entry::{Entry, l2_table_of},
    geometry::Geometry,
    refused,
};
use crate::{
    ImageError,
    source::{Allocation, ImageFile},
    table::Table,
};

/// Room for L2 tables in memory, in bytes. Two tables are kept however large they are.
const CACHE: u64 = 8 << 20;
const MOST_CACHED_TABLES: u64 = 64;

/// The map from guest clusters to the file: of the disk as it is now, or of a snapshot.
#[derive(Debug)]
pub(super) struct Tables {
    source: ImageFile,
    geometry: Geometry,
    /// Entries that the disk's size needs.
    l1: Table<8>,
    /// The L2 tables used last, the newest at the back, by their index in the L1.
    cached: Mutex<VecDeque<(u64, L2Table)>>,
}

/// The entries of one L2 table, as stored.
#[derive(Debug, Clone)]
pub(super) struct L2Table {
    bytes: Arc<[u8]>,
    extended: bool,
}

impl L2Table {
    pub(super) fn read(source: &ImageFile, geometry: Geometry, offset: u64) -> Result<Self, ImageError> {
        let mut bytes = vec![0; usize::try_from(geometry.cluster()).unwrap_or(0)];
        source.read_padded(offset, &mut bytes)?;
        Ok(Self { bytes: bytes.into(), extended: geometry.extended_l2 })
    }

    /// The same; `None` when the table is in a hole of the file and thus empty. A file may claim any number of those
    /// without having a byte of them.
    pub(super) fn read_if_there(
        source: &ImageFile,
        geometry: Geometry,
        offset: u64,
    ) -> Result<Option<Self>, ImageError> {
        const WORTH_ASKING: u64 = 4096;
        let end = offset + geometry.cluster();
        if geometry.cluster() >= WORTH_ASKING
            && offset < source.length()
            && matches!(source.allocation(offset)?, Allocation::HoleUntil(hole) if hole >= end)
        {
            return Ok(None);
        }
        Self::read(source, geometry, offset).map(Some)
    }

    /// The entry with this number; one behind the end is absent.
    pub(super) fn entry(&self, index: u64) -> Entry {
        let words = self.bytes.as_chunks::<8>().0;
        let word = |at: u64| {
            let word = usize::try_from(at).ok().and_then(|at| words.get(at));
            word.map_or(0, |word| u64::from_be_bytes(*word))
        };
        if self.extended {
            Entry { descriptor: word(2 * index), bitmap: word(2 * index + 1) }
        } else {
            Entry { descriptor: word(index), bitmap: 0 }
        }
    }
}

impl Tables {
    /// The map that begins with an L1 table at `l1_offset`, of a disk of `size` bytes. A table that is shorter than
    /// the disk needs (`l1_entries`) leaves the disk's end absent.
    pub(super) fn new(
        source: &ImageFile,
        geometry: Geometry,
        (l1_offset, l1_entries): (u64, u64),
        size: u64,
    ) -> Result<Self, ImageError> {
        let needed = size.div_ceil(geometry.bytes_per_l1_entry()).min(l1_entries);
        // A table without entries may be said to stand anywhere.
        let l1_offset = if needed == 0 { 0 } else { l1_offset };
        let l1 = Table::new(source, l1_offset, needed)
            .ok_or_else(|| refused("L1 table", l1_offset, "leads out of the file; it may have been cut off"))?;
        Ok(Self { source: source.clone(), geometry, l1, cached: Mutex::default() })
    }

    /// Visits the L1 entries that lead to a table: with their index, and where the table stands.
    pub(super) fn for_each_table(
        &self,
        mut visit: impl FnMut(u64, u64) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        const TOGETHER: u64 = 8192;
        let mut bytes = vec![0; usize::try_from(self.l1.entries().min(TOGETHER) * 8).unwrap_or(0)];
        let mut first = 0;
        while first < self.l1.entries() {
            let count = TOGETHER.min(self.l1.entries() - first);
            bytes.truncate(usize::try_from(count * 8).unwrap_or(0));
            self.source.read_padded(self.l1.place(first), &mut bytes)?;
            for (index, entry) in (first..).zip(bytes.as_chunks::<8>().0) {
                let table = l2_table_of(u64::from_be_bytes(*entry));
                if table != 0 {
                    visit(index, table)?;
                }
            }
            first += count;
        }
        Ok(())
    }

    /// Where an entry of the L1 table stands in the file.
    pub(super) fn place_in_l1(&self, index: u64) -> u64 {
        self.l1.place(index)
    }

    /// Where the L2 table of this L1 entry stands, zero when there is none.
    pub(super) fn l2_offset(&self, index: u64) -> Result<u64, ImageError> {
        // What a table has behind its end is no place in the file.
        if index >= self.l1.entries() {
            return Ok(0);
        }
        Ok(l2_table_of(u64::from_be_bytes(self.l1.get(index)?)))
    }

    /// The L2 table of this L1 entry; `None` when there is none.
    fn l2(&self, index: u64) -> Result<Option<L2Table>, ImageError> {
        {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = cached.iter().rposition(|(held, _)| *held == index) {
                if place + 1 < cached.len()
                    && let Some(used) = cached.remove(place)
                {
                    cached.push_back(used);
                }
                return Ok(cached.back().map(|(_, table)| table.clone()));
            }
        }
        let offset = self.l2_offset(index)?;
        if offset == 0 {
            return Ok(None);
        }
        // Two threads may read the same table: that costs a read, a lock held over a read would cost all of them.
        let table = L2Table::read(&self.source, self.geometry, offset)?;
        let most = (CACHE / self.geometry.cluster()).clamp(2, MOST_CACHED_TABLES);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        while cached.len() as u64 >= most {
            cached.pop_front();
        }
        cached.push_back((index, table.clone()));
        Ok(Some(table))
    }

    /// Looks at clusters one after another.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { tables: self, held: None }
    }

    /// Where the entry of a guest cluster stands in the file, for errors.
    pub(super) fn place_of_entry(&self, guest_cluster: u64) -> u64 {
        let per_table = self.geometry.clusters_per_l2();
        let table = self.l2_offset(guest_cluster / per_table).unwrap_or(0);
        table + guest_cluster % per_table * self.geometry.l2_entry_length()
    }
}

/// A look at clusters one after another: the table of the last one is at hand, without asking for the lock again.
pub(super) struct Walk<'a> {
    tables: &'a Tables,
    held: Option<(u64, Option<L2Table>)>,
}

impl Walk<'_> {
    /// The entry of a guest cluster; `None` when its whole table is absent.
    pub(super) fn entry(&mut self, guest_cluster: u64) -> Result<Option<Entry>, ImageError> {
        let per_table = self.tables.geometry.clusters_per_l2();
        let index = guest_cluster / per_table;
        if self.held.as_ref().is_none_or(|(held, _)| *held != index) {
            self.held = Some((index, self.tables.l2(index)?));
        }
        let table = self.held.as_ref().and_then(|(_, table)| table.as_ref());
        Ok(table.map(|table| table.entry(guest_cluster % per_table)))
    }
}
