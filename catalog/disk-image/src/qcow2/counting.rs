use std::collections::BTreeMap;

use super::{
    entry::{Cluster, l2_table_of},
    header::Header,
    references::References,
    snapshots::Snapshots,
    tables::L2Table,
};
use crate::{ImageError, source::ImageFile, table::Table};

/// L2 tables whose uses are added up before each is read once: snapshots share most of them.
const MOST_TABLES: usize = 200_000;
/// Entries of all L1 tables together: a hole of a file can be claimed to be any number of them.
const MOST_L1_ENTRIES: u64 = 1 << 27;
/// QEMU's own bounds.
const MOST_BITMAPS: u32 = 65535;
const LARGEST_BITMAP_DIRECTORY: u64 = 65535 * 1024;
/// Entries of all bitmaps' tables together, for the same reason.
const MOST_BITMAP_ENTRIES: u64 = 1 << 24;
/// What a bitmap's entry in the directory has before its extra data and its name.
const BITMAP_HEAD: u64 = 24;

/// Counts all uses of clusters, as `qemu-img check` counts them. What leads out of the file is told to `stray`.
pub(super) struct Counting<'a> {
    pub(super) header: &'a Header,
    pub(super) source: &'a ImageFile,
    pub(super) snapshots: &'a Snapshots,
    pub(super) references: References,
    /// Sentences about entries that lead nowhere.
    pub(super) stray: &'a mut dyn FnMut(String),
}

impl Counting<'_> {
    pub(super) fn count_all(&mut self) -> Result<(), ImageError> {
        let header = self.header;
        self.add_range(0, header.cluster());
        self.add_range(header.refcount_table.start, header.refcount_table.end - header.refcount_table.start);
        let blocks = refcount_blocks(header, self.source);
        for index in 0..blocks.as_ref().map_or(0, Table::entries) {
            let Some(blocks) = &blocks else { break };
            let block = u64::from_be_bytes(blocks.get(index)?);
            if block != 0 {
                self.add_range(block, header.cluster());
            }
        }
        if header.snapshots > 0 {
            self.add_range(header.snapshots_offset, self.snapshots.end - header.snapshots_offset);
        }
        self.count_maps()?;
        self.count_bitmaps()
    }

    /// The active map and those of all snapshots.
    fn count_maps(&mut self) -> Result<(), ImageError> {
        let active = (self.header.l1_offset, self.header.l1_entries);
        let snapshots = self.snapshots;
        let maps = snapshots.all.iter().map(|snapshot| (snapshot.l1_offset, snapshot.l1_entries));
        let mut tables: BTreeMap<u64, u16> = BTreeMap::new();
        let mut all = 0;
        for (offset, entries) in std::iter::once(active).chain(maps) {
            all += entries;
            if all > MOST_L1_ENTRIES {
                (self.stray)("the snapshots have too many tables to look at all: what follows may be wrong".into());
                break;
            }
            self.add_range(offset, entries * 8);
            let there = entries.min(self.source.length().saturating_sub(offset) / 8);
            let Some(l1) = Table::<8>::new(self.source, offset, there) else { continue };
            for index in 0..l1.entries() {
                let table = l2_table_of(u64::from_be_bytes(l1.get(index)?));
                if table == 0 {
                    continue;
                }
                if !table.is_multiple_of(self.header.cluster()) || table >= self.source.length() {
                    (self.stray)(format!("the L1 entry at {} leads to no table", l1.place(index)));
                    continue;
                }
                let times = tables.entry(table).or_default();
                *times = times.saturating_add(1);
                if tables.len() >= MOST_TABLES {
                    self.count_tables(&mut tables)?;
                }
            }
        }
        self.count_tables(&mut tables)
    }

    fn count_tables(&mut self, tables: &mut BTreeMap<u64, u16>) -> Result<(), ImageError> {
        let geometry = self.header.geometry;
        while let Some((place, times)) = tables.pop_first() {
            self.references.add(place >> geometry.cluster_bits, times);
            let Some(table) = L2Table::read_if_there(self.source, geometry, place)? else { continue };
            for index in 0..geometry.clusters_per_l2() {
                let entry = table.entry(index);
                let (offset, length) = match (entry.reserved(), entry.meaning(geometry)) {
                    (Some(offset), _) => (offset, geometry.cluster()),
                    (None, Cluster::Compressed { offset, available }) => (offset, available),
                    _ => continue,
                };
                if offset >= self.source.length() {
                    let at = place + index * geometry.l2_entry_length();
                    (self.stray)(format!("the L2 entry at {at} leads out of the file"));
                    continue;
                }
                let last = (offset + length - 1) >> geometry.cluster_bits;
                for cluster in offset >> geometry.cluster_bits..=last {
                    self.references.add(cluster, times);
                }
            }
        }
        Ok(())
    }

    /// Dirty bitmaps, when they are up to date; otherwise their clusters belong to nobody, as QEMU has it.
    fn count_bitmaps(&mut self) -> Result<(), ImageError> {
        let Some(directory) = self.header.bitmaps.filter(|_| self.header.bitmaps_are_consistent) else { return Ok(()) };
        let file = self.source.length();
        let end = directory.offset.checked_add(directory.length).filter(|end| *end <= file);
        let Some(end) = end.filter(|_| directory.length <= LARGEST_BITMAP_DIRECTORY) else {
            (self.stray)("the bitmap directory leads out of the file, or is larger than QEMU allows".into());
            return Ok(());
        };
        self.add_range(directory.offset, directory.length);
        let mut all = 0_u64;
        let mut at = directory.offset;
        for _ in 0..directory.bitmaps.min(MOST_BITMAPS) {
            if at.checked_add(BITMAP_HEAD).is_none_or(|head| head > end) {
                break;
            }
            let offset = u64::from_be_bytes(self.source.read_array(at)?);
            let [a, b, c, d, _, _, _, _, _, _, name, name_low, e, f, g, h] = self.source.read_array::<16>(at + 8)?;
            let entries = u64::from(u32::from_be_bytes([a, b, c, d]));
            let (name, extra) = (u16::from_be_bytes([name, name_low]), u32::from_be_bytes([e, f, g, h]));
            let Some(table) =
                Table::<8>::new(self.source, offset, entries).filter(|_| all + entries <= MOST_BITMAP_ENTRIES)
            else {
                (self.stray)(format!(
                    "the bitmap directory's entry at {at} leads to no table, or to more than are looked at"
                ));
                break;
            };
            all += entries;
            self.add_range(offset, entries * 8);
            for index in 0..entries {
                let data = l2_table_of(u64::from_be_bytes(table.get(index)?));
                if data != 0 {
                    self.add_range(data, self.header.cluster());
                }
            }
            at = (at + BITMAP_HEAD + u64::from(extra) + u64::from(name)).next_multiple_of(8);
        }
        Ok(())
    }

    fn add_range(&mut self, offset: u64, length: u64) {
        let bits = self.header.geometry.cluster_bits;
        if length > 0 {
            for cluster in offset >> bits..=offset.saturating_add(length - 1) >> bits {
                self.references.add(cluster, 1);
            }
        }
    }
}

/// The table that leads to the refcount blocks, as far as the file has it.
pub(super) fn refcount_blocks(header: &Header, source: &ImageFile) -> Option<Table<8>> {
    let there = header.refcount_table.end.min(source.length()).saturating_sub(header.refcount_table.start);
    Table::new(source, header.refcount_table.start, there / 8)
}
