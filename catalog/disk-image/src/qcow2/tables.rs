use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    entry::{Cluster, Entry, l2_table_of},
    header::Header,
    refused,
};
use crate::{ImageError, source::ImageFile};

/// Room for L2 tables in memory, in bytes. Two tables are kept however large they are.
const CACHE: usize = 8 << 20;
const MOST_CACHED_TABLES: usize = 64;

/// The map from guest clusters to the file.
#[derive(Debug)]
pub(super) struct Tables {
    /// Where each L2 table stands in the file; zero where there is none.
    l1: Box<[u64]>,
    /// The L2 tables used last, the newest at the back, by their index in the L1.
    cached: Mutex<VecDeque<(usize, Arc<[Entry]>)>>,
}

impl Tables {
    /// Reads the L1 table, and every L2 table once to check it.
    ///
    /// What holds afterwards: every table and cluster lies in the file and not upon another table, no two L1 entries
    /// share an L2 table, and all clusters together do not need more bytes than the file has (so that a small file
    /// cannot unfold into a huge one by naming the same cluster again and again).
    pub(super) fn read(header: &Header, source: &ImageFile) -> Result<Self, ImageError> {
        let length = usize::try_from(header.l1_entries * 8).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        source.read_padded(header.l1_offset, &mut bytes)?;
        let l1 = words(&bytes).map(l2_table_of).collect();
        let tables = Self { l1, cached: Mutex::default() };
        let metadata = Metadata::of(header, &tables.l1, source.length())?;
        tables.check_clusters(header, source, &metadata)?;
        Ok(tables)
    }

    fn check_clusters(&self, header: &Header, source: &ImageFile, metadata: &Metadata) -> Result<(), ImageError> {
        let guest_clusters = header.size.div_ceil(header.cluster());
        let least_packed = header.compression.least_packed(header.cluster());
        let mut needed = 0_u64;
        for (index, &table) in self.l1.iter().enumerate().filter(|(_, table)| **table != 0) {
            let first = index as u64 * header.clusters_per_l2();
            let used = usize::try_from(guest_clusters - first).unwrap_or(usize::MAX);
            // What stands behind the guest's last cluster (VM state, a former larger size) is nobody's.
            for (i, entry) in read_l2(header, source, table)?.iter().take(used).enumerate() {
                let at = || table + i as u64 * header.l2_entry_length();
                let refuse = |problem: &str| Err(refused("L2 entry", at(), problem));
                let (offset, end, takes) = match entry.meaning(header) {
                    Cluster::Zero => continue,
                    Cluster::Invalid(problem) => return refuse(problem),
                    Cluster::Host { offset } | Cluster::Mixed { offset, .. } => {
                        if !offset.is_multiple_of(header.cluster()) {
                            return refuse("is not a cluster's beginning");
                        }
                        // The last cluster of a file may be short: its first byte must be there.
                        (offset, offset + 1, header.cluster())
                    }
                    Cluster::Compressed { offset, available } => {
                        // The last sector may be short.
                        (offset, (offset + available).saturating_sub(511), least_packed)
                    }
                };
                if end > source.length() {
                    return refuse("leads out of the file; it may have been cut off");
                }
                if metadata.holds(header.cluster(), offset) {
                    return refuse("leads into the image's own tables");
                }
                needed += takes;
                if needed > source.length().next_multiple_of(header.cluster()) {
                    return refuse("needs more bytes than the file has: clusters are used more than once");
                }
            }
        }
        Ok(())
    }

    /// The L2 table of this L1 entry, which must be one of the disk's; `None` when there is none.
    pub(super) fn l2(
        &self,
        header: &Header,
        source: &ImageFile,
        index: usize,
    ) -> Result<Option<Arc<[Entry]>>, ImageError> {
        let table = self.l1.get(index).copied().unwrap_or(0);
        if table == 0 {
            return Ok(None);
        }
        {
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = cached.iter().rposition(|(held, _)| *held == index) {
                if place + 1 < cached.len()
                    && let Some(used) = cached.remove(place)
                {
                    cached.push_back(used);
                }
                return Ok(cached.back().map(|(_, entries)| Arc::clone(entries)));
            }
        }
        // Two threads may read the same table: that costs a read, a lock held over a read would cost all of them.
        let entries = read_l2(header, source, table)?;
        let most = (CACHE / size_of_val(&*entries).max(1)).clamp(2, MOST_CACHED_TABLES);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        while cached.len() >= most {
            cached.pop_front();
        }
        cached.push_back((index, Arc::clone(&entries)));
        Ok(Some(entries))
    }

    /// Where the entry of a guest cluster stands in the file, for errors.
    pub(super) fn place_of_entry(&self, header: &Header, guest_cluster: u64) -> u64 {
        let index = usize::try_from(guest_cluster / header.clusters_per_l2()).unwrap_or(usize::MAX);
        let table = self.l1.get(index).copied().unwrap_or(0);
        table + guest_cluster % header.clusters_per_l2() * header.l2_entry_length()
    }
}

fn read_l2(header: &Header, source: &ImageFile, table: u64) -> Result<Arc<[Entry]>, ImageError> {
    let mut bytes = vec![0; usize::try_from(header.cluster()).unwrap_or(0)];
    source.read_padded(table, &mut bytes)?;
    let mut words = words(&bytes);
    let mut entries = Vec::with_capacity(usize::try_from(header.clusters_per_l2()).unwrap_or(0));
    while let Some(descriptor) = words.next() {
        let bitmap = if header.extended_l2 { words.next().unwrap_or(0) } else { 0 };
        entries.push(Entry { descriptor, bitmap });
    }
    Ok(entries.into())
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word))
}

/// The parts of a file that no guest byte may come from.
struct Metadata {
    l1: Range<u64>,
    refcount_table: Range<u64>,
    /// Beginnings of all L2 tables, sorted.
    l2: Vec<u64>,
}

impl Metadata {
    fn of(header: &Header, l1: &[u64], file_length: u64) -> Result<Self, ImageError> {
        let cluster = header.cluster();
        let l1_end = (header.l1_offset + header.l1_entries * 8).next_multiple_of(cluster);
        let mut all = Self {
            l1: header.l1_offset..l1_end,
            refcount_table: header.refcount_table.clone(),
            l2: l1.iter().copied().filter(|table| *table != 0).collect(),
        };
        for (index, &table) in l1.iter().enumerate().filter(|(_, table)| **table != 0) {
            let refuse = |problem| Err(refused("L1 entry", header.l1_offset + index as u64 * 8, problem));
            if !table.is_multiple_of(cluster) {
                return refuse("is not a cluster's beginning");
            }
            if table + cluster > file_length {
                return refuse("leads out of the file; it may have been cut off");
            }
            if all.l1.contains(&table) || all.refcount_table.contains(&table) {
                return refuse("leads into the image's own tables");
            }
        }
        all.l2.sort_unstable();
        if let Some(twice) = all.l2.windows(2).find(|pair| pair[0] == pair[1]) {
            let index = l1.iter().rposition(|table| *table == twice[0]).unwrap_or(0);
            let at = header.l1_offset + index as u64 * 8;
            return Err(refused("L1 entry", at, "leads to the L2 table of another entry"));
        }
        Ok(all)
    }

    /// Whether the cluster that holds this byte of the file is one of ours.
    fn holds(&self, cluster: u64, offset: u64) -> bool {
        let start = offset - offset % cluster;
        start == 0
            || self.l1.contains(&start)
            || self.refcount_table.contains(&start)
            || self.l2.binary_search(&start).is_ok()
    }
}
