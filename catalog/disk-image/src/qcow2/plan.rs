use super::{
    MAGIC,
    entry::COPIED,
    geometry::Geometry,
    header::{LARGEST_CLUSTER_BITS, LARGEST_L1, LARGEST_REFCOUNT_TABLE, SMALLEST_CLUSTER_BITS},
};
use crate::{
    ImageError, ImageFormat, LARGEST_DISK, SECTOR,
    layout::{AllocationMap, AllocationMapBuilder, put, put_table},
};

const HEADER_LENGTH: u32 = 112;
const REFCOUNT_ORDER: u32 = 4;
const REFCOUNT: u64 = 2;
const ENTRY: u64 = 8;
const COMPRESSION_TYPE: u64 = 1 << 3;

/// What a qcow2 to be written looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qcow2Options {
    /// 2, which programs older than 2011 read, or 3.
    pub version: u32,
    /// A cluster has two to the power of this many bytes: 9 to 21.
    pub cluster_bits: u32,
}

impl Default for Qcow2Options {
    /// Version 3, clusters of 64 KiB: what QEMU takes.
    fn default() -> Self {
        Self { version: 3, cluster_bits: 16 }
    }
}

/// What is the same for a plain and a compressed file: a header at the beginning, and behind the data the L2 tables of
/// what is there, the L1 table, and 16-bit refcounts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) geometry: Geometry,
    /// A multiple of [`SECTOR`].
    pub(super) disk_size: u64,
    /// Compressed clusters are Zstandard frames.
    pub(super) zstd: bool,
}

impl Plan {
    pub(super) fn new(disk_size: u64, options: Qcow2Options) -> Result<Self, ImageError> {
        let Qcow2Options { version, cluster_bits } = options;
        if !matches!(version, 2 | 3) {
            return Err(unwritable(format!("version {version} is not written; take 2 or 3")));
        }
        if !(SMALLEST_CLUSTER_BITS..=LARGEST_CLUSTER_BITS).contains(&cluster_bits) {
            return Err(unwritable(format!("clusters have 2^9 to 2^21 bytes, not 2^{cluster_bits}")));
        }
        if disk_size > LARGEST_DISK {
            return Err(unwritable(format!("it has {disk_size} bytes; at most {LARGEST_DISK} are written")));
        }
        let disk_size = disk_size.next_multiple_of(SECTOR);
        let with = |cluster_bits| Self {
            geometry: Geometry { version, cluster_bits, extended_l2: false },
            disk_size,
            zstd: false,
        };
        let plan = with(cluster_bits);
        if plan.fits() {
            return Ok(plan);
        }
        let enough = (cluster_bits..=LARGEST_CLUSTER_BITS).find(|bits| with(*bits).fits());
        let cluster = 1_u64 << enough.unwrap_or(LARGEST_CLUSTER_BITS);
        Err(unwritable(format!(
            "{disk_size} bytes need more tables than QEMU reads when clusters have {} bytes; take clusters of {cluster}",
            plan.geometry.cluster()
        )))
    }

    /// Whether tables stay within QEMU's bounds even when the whole disk is there, and each cluster compressed badly.
    fn fits(&self) -> bool {
        let cluster = self.geometry.cluster();
        let clusters = self.disk_size.div_ceil(cluster);
        // A cluster that cannot be compressed becomes longer by some bytes and skips to the next sector at most.
        let data = clusters.saturating_mul(cluster + cluster / 256 + 64);
        let l2 = self.l1_entries().saturating_mul(cluster);
        let tables = refcount_clusters(cluster, (data.saturating_add(l2) + 2 * LARGEST_L1).div_ceil(cluster));
        self.l1_entries() * ENTRY <= LARGEST_L1 && tables.1 * cluster <= LARGEST_REFCOUNT_TABLE.max(cluster)
    }

    pub(super) fn cluster(&self) -> u64 {
        self.geometry.cluster()
    }

    fn l1_entries(&self) -> u64 {
        self.disk_size.div_ceil(self.geometry.bytes_per_l1_entry())
    }

    /// Where everything behind the data stands, which ends at `data_end`.
    pub(super) fn tail(&self, stored: &AllocationMap, data_end: u64) -> Tail {
        let cluster = self.cluster();
        let l1_entries = self.l1_entries();
        let per_table = self.geometry.clusters_per_l2();
        let mut tables = AllocationMapBuilder::new(l1_entries);
        let mut unit = stored.next(0);
        while let Some(there) = unit {
            let index = there / per_table;
            tables.add(index, index + 1);
            unit = stored.next((index + 1) * per_table);
        }
        let tables = tables.finish();
        let l2 = data_end.next_multiple_of(cluster);
        let l1 = l2 + tables.count() * cluster;
        let blocks = l1 + (l1_entries * ENTRY).next_multiple_of(cluster);
        let (block_count, table_clusters) = refcount_clusters(cluster, blocks / cluster);
        let refcount_table = blocks + block_count * cluster;
        let length = refcount_table + table_clusters * cluster;
        Tail { tables, l2, l1, l1_entries, blocks, block_count, refcount_table, table_clusters, length }
    }

    /// Fills in all that does not depend on where clusters are: the header, the L1 table, the refcount table.
    pub(super) fn put_frame(&self, tail: &Tail, offset: u64, buffer: &mut [u8]) {
        if offset < u64::from(HEADER_LENGTH) {
            put(buffer, offset, 0, &self.header(tail));
        }
        let cluster = self.cluster();
        // Entries come in order, so that the tables before one need counting once.
        let mut counted: Option<(u64, u64)> = None;
        put_table(buffer, offset, tail.l1, tail.l1_entries, |index| {
            let before = counted.filter(|(next, _)| *next == index).map_or_else(|| tail.tables.rank(index), |(_, n)| n);
            let there = tail.tables.contains(index);
            counted = Some((index + 1, before + u64::from(there)));
            if there { (COPIED | (tail.l2 + before * cluster)).to_be_bytes() } else { [0; 8] }
        });
        put_table(buffer, offset, tail.refcount_table, tail.block_count, |index| {
            (tail.blocks + index * cluster).to_be_bytes()
        });
    }

    fn header(&self, tail: &Tail) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH as usize);
        bytes.extend(MAGIC);
        bytes.extend(self.geometry.version.to_be_bytes());
        bytes.extend([0; 12]); // no backing file
        bytes.extend(self.geometry.cluster_bits.to_be_bytes());
        bytes.extend(self.disk_size.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes()); // no encryption
        bytes.extend(be32(tail.l1_entries));
        bytes.extend(tail.l1.to_be_bytes());
        bytes.extend(tail.refcount_table.to_be_bytes());
        bytes.extend(be32(tail.table_clusters));
        bytes.extend([0; 12]); // no snapshots
        if self.geometry.version == 3 {
            bytes.extend(if self.zstd { COMPRESSION_TYPE } else { 0 }.to_be_bytes());
            bytes.extend([0; 16]); // nothing compatible, nothing to clear
            bytes.extend(REFCOUNT_ORDER.to_be_bytes());
            bytes.extend(HEADER_LENGTH.to_be_bytes());
            bytes.extend([u8::from(self.zstd), 0, 0, 0, 0, 0, 0, 0]);
        }
        bytes
    }
}

/// Where the tables stand behind the data, in bytes of the file, each at a cluster's beginning and one behind the other.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    /// The L1 entries that lead to a table.
    pub(super) tables: AllocationMap,
    pub(super) l2: u64,
    l1: u64,
    l1_entries: u64,
    pub(super) blocks: u64,
    block_count: u64,
    refcount_table: u64,
    table_clusters: u64,
    pub(super) length: u64,
}

impl Tail {
    /// Fills in the L2 tables. `entries` is told an L1 index and the numbers of the entries wanted, and fills what it is
    /// given with them.
    pub(super) fn put_l2(
        &self,
        geometry: Geometry,
        offset: u64,
        buffer: &mut [u8],
        mut entries: impl FnMut(u64, std::ops::Range<u64>, &mut [[u8; 8]]),
    ) {
        let cluster = geometry.cluster();
        let from = offset.max(self.l2);
        let to = (offset + buffer.len() as u64).min(self.l2 + self.tables.count() * cluster);
        let mut at = from;
        while at < to {
            let rank = (at - self.l2) / cluster;
            let table = self.l2 + rank * cluster;
            let end = to.min(table + cluster);
            let wanted = (at - table) / ENTRY..(end - table).div_ceil(ENTRY);
            let Some(index) = self.tables.select(rank) else { return };
            let mut words = vec![[0; 8]; usize::try_from(wanted.end - wanted.start).unwrap_or(0)];
            entries(index, wanted.clone(), &mut words);
            put(buffer, offset, table + wanted.start * ENTRY, words.as_flattened());
            at = end;
        }
    }

    /// Fills in the refcount blocks. `counts` is told which clusters of the file are wanted, and fills what it is given,
    /// which is all ones, with their counts.
    pub(super) fn put_refcounts(
        &self,
        cluster: u64,
        offset: u64,
        buffer: &mut [u8],
        counts: impl FnOnce(std::ops::Range<u64>, &mut [u16]),
    ) {
        let from = offset.max(self.blocks);
        let to = (offset + buffer.len() as u64).min(self.blocks + (self.length / cluster) * REFCOUNT);
        if from >= to {
            return;
        }
        let wanted = (from - self.blocks) / REFCOUNT..(to - self.blocks).div_ceil(REFCOUNT);
        let mut numbers = vec![1; usize::try_from(wanted.end - wanted.start).unwrap_or(0)];
        counts(wanted.clone(), &mut numbers);
        let bytes: Vec<[u8; 2]> = numbers.into_iter().map(u16::to_be_bytes).collect();
        put(buffer, offset, self.blocks + wanted.start * REFCOUNT, bytes.as_flattened());
    }
}

/// Clusters of refcount blocks, and of the table that leads to them, when so many clusters are there besides.
fn refcount_clusters(cluster: u64, others: u64) -> (u64, u64) {
    let (mut blocks, mut table) = (0, 0);
    // They count themselves too; each turn adds less than the one before.
    loop {
        let all = others + blocks + table;
        let needed = all.div_ceil(cluster / REFCOUNT);
        let needed_table = (needed * ENTRY).div_ceil(cluster);
        if (needed, needed_table) == (blocks, table) {
            return (blocks, table);
        }
        (blocks, table) = (needed, needed_table);
    }
}

/// For counts that [`Plan::new`] has bounded far below 4 Gi.
fn be32(count: u64) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

pub(super) fn unwritable(problem: impl Into<String>) -> ImageError {
    ImageError::Unwritable { format: ImageFormat::Qcow2, problem: problem.into() }
}
