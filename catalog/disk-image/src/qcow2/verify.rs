use super::{
    compressed::Compression,
    counting::refcount_blocks,
    entry::Cluster,
    geometry::Geometry,
    header::Header,
    occupied::Occupied,
    refused,
    snapshots::Snapshots,
    tables::{L2Table, Tables},
};
use crate::{ImageError, source::ImageFile};

/// Places of compressed clusters that are remembered to find two guest clusters at one: 16 MiB of them.
const MOST_PACKED_PLACES: usize = 2 << 20;

/// What the entries of a map come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Guest clusters that are stored as they are.
    pub(super) plain: u64,
    /// Guest clusters that are stored compressed.
    pub(super) packed: u64,
}

/// Looks at every table once, before the first guest byte is given.
///
/// What holds afterwards: every table and cluster lies in the file, none upon another, no two guest clusters are
/// stored in one place, and all clusters together do not need more bytes than the file has (so that a small file
/// cannot unfold into a huge one).
pub(super) fn verify(
    header: &Header,
    source: &ImageFile,
    tables: &Tables,
    size: u64,
    snapshots: &Snapshots,
) -> Result<Usage, ImageError> {
    let mut verifier = Verifier {
        geometry: header.geometry,
        compression: header.compression,
        source,
        exclusive: Occupied::default(),
        shared: Occupied::default(),
        packed_places: Vec::new(),
        usage: Usage::default(),
        needed: 0,
    };
    verifier.claim_tables(header, snapshots)?;
    // All L2 tables first: a cluster must not lie on one that comes later.
    tables.for_each_table(|index, table| verifier.claim_l2_table(tables.place_in_l1(index), table))?;
    let guest_clusters = size.div_ceil(header.cluster());
    tables.for_each_table(|index, table| verifier.check_l2_table(index, table, guest_clusters))?;
    verifier.check_packed_places(tables, guest_clusters)?;
    Ok(verifier.usage)
}

struct Verifier<'a> {
    geometry: Geometry,
    compression: Compression,
    source: &'a ImageFile,
    /// Clusters of the file that hold one thing.
    exclusive: Occupied,
    /// Clusters of the file that hold compressed clusters.
    shared: Occupied,
    packed_places: Vec<u64>,
    usage: Usage,
    /// Bytes that all clusters so far cannot do without.
    needed: u64,
}

impl Verifier<'_> {
    fn claim_tables(&mut self, header: &Header, snapshots: &Snapshots) -> Result<(), ImageError> {
        self.exclusive.claim(0, 1);
        let upon = "stands upon another of the image's own tables";
        let table = &header.refcount_table;
        if !self.claim(table.start, table.end - table.start) {
            return Err(refused("refcount_table_offset", 48, upon));
        }
        if !self.claim(header.l1_offset, header.l1_entries * 8) {
            return Err(refused("l1_table_offset", 40, upon));
        }
        if header.snapshots > 0 && !self.claim(header.snapshots_offset, snapshots.end - header.snapshots_offset) {
            return Err(refused("snapshots_offset", 64, upon));
        }
        for snapshot in &snapshots.all {
            if !self.claim(snapshot.l1_offset, snapshot.l1_entries * 8) {
                return Err(refused("snapshot l1_table_offset", snapshot.place, upon));
            }
        }
        self.claim_refcount_blocks(header)
    }

    /// The counts do not matter to a reader; their blocks must not be what a guest sees.
    fn claim_refcount_blocks(&mut self, header: &Header) -> Result<(), ImageError> {
        let Some(blocks) = refcount_blocks(header, self.source) else { return Ok(()) };
        for index in 0..blocks.entries() {
            let block = u64::from_be_bytes(blocks.get(index)?);
            if block == 0 {
                continue;
            }
            let refuse = |problem| Err(refused("refcount table entry", blocks.place(index), problem));
            if !block.is_multiple_of(self.geometry.cluster()) {
                return refuse("is not a cluster's beginning");
            }
            if block >= self.source.length() {
                return refuse("leads out of the file; it may have been cut off");
            }
            if !self.claim(block, 1) {
                return refuse("leads into another of the image's own tables, or to the block of another entry");
            }
        }
        Ok(())
    }

    /// Takes the cluster of an L2 table, to which the entry at `place` leads.
    fn claim_l2_table(&mut self, place: u64, table: u64) -> Result<(), ImageError> {
        let refuse = |problem| Err(refused("L1 entry", place, problem));
        let cluster = self.geometry.cluster();
        if !table.is_multiple_of(cluster) {
            return refuse("is not a cluster's beginning");
        }
        if table + cluster > self.source.length() {
            return refuse("leads out of the file; it may have been cut off");
        }
        if !self.claim(table, 1) {
            return refuse("leads into the image's own tables, or to the L2 table of another entry");
        }
        Ok(())
    }

    fn check_l2_table(&mut self, index: u64, place: u64, guest_clusters: u64) -> Result<(), ImageError> {
        let Some((table, used)) = self.read_used(index, place, guest_clusters)? else { return Ok(()) };
        let mut run: Option<Run> = None;
        for i in 0..used {
            let at = place + i * self.geometry.l2_entry_length();
            let refuse = |problem: &str| Err(refused("L2 entry", at, problem));
            let host = match table.entry(i).meaning(self.geometry) {
                Cluster::Invalid(problem) => return refuse(problem),
                Cluster::Absent | Cluster::Zero | Cluster::Mixed { stored: 0, .. } => continue,
                Cluster::Host { offset } | Cluster::Mixed { offset, .. } => offset,
                Cluster::Compressed { offset, available } => {
                    // Whoever comes second is to blame, and those before this one are still to be noted.
                    self.claim_run(run.take(), place, &table)?;
                    self.check_packed(offset, available, at)?;
                    continue;
                }
            };
            if !host.is_multiple_of(self.geometry.cluster()) {
                return refuse("is not a cluster's beginning");
            }
            // The last cluster of a file may be short: its first byte must be there.
            if host >= self.source.length() {
                return refuse(LEADS_OUT);
            }
            self.need(self.geometry.cluster(), at)?;
            self.usage.plain += 1;
            let number = host >> self.geometry.cluster_bits;
            // Clusters mostly follow each other, and are cheaper to note together.
            match &mut run {
                Some(run) if run.first + run.count == number => run.count += 1,
                _ => {
                    self.claim_run(run.replace(Run { first: number, count: 1, entry: i }), place, &table)?;
                }
            }
        }
        self.claim_run(run, place, &table)
    }

    /// Notes the clusters of a run, or finds the entry to blame.
    fn claim_run(&mut self, run: Option<Run>, place: u64, table: &L2Table) -> Result<(), ImageError> {
        let Some(run) = run else { return Ok(()) };
        let of = |occupied: &Occupied| occupied.first_taken(run.first, run.count);
        let Some(culprit) = of(&self.shared).or_else(|| of(&self.exclusive)) else {
            self.exclusive.claim(run.first, run.count);
            return Ok(());
        };
        let host = culprit << self.geometry.cluster_bits;
        let mut entries = run.entry..self.geometry.clusters_per_l2();
        let entry = entries.find(|i| table.entry(*i).reserved() == Some(host)).unwrap_or(run.entry);
        Err(refused("L2 entry", place + entry * self.geometry.l2_entry_length(), USED_TWICE))
    }

    fn check_packed(&mut self, offset: u64, available: u64, at: u64) -> Result<(), ImageError> {
        // The last sector may be short.
        if (offset + available).saturating_sub(511) > self.source.length() || offset >= self.source.length() {
            return Err(refused("L2 entry", at, LEADS_OUT));
        }
        let least = self.compression.least_packed(self.geometry.cluster());
        let [first, last] = [offset, offset + least - 1].map(|byte| byte >> self.geometry.cluster_bits);
        for cluster in first..=last {
            if self.exclusive.contains(cluster) {
                return Err(refused("L2 entry", at, USED_TWICE));
            }
            self.shared.share(cluster);
        }
        if self.packed_places.len() < MOST_PACKED_PLACES {
            self.packed_places.push(offset);
        }
        self.usage.packed += 1;
        self.need(least, at)
    }

    fn check_packed_places(&mut self, tables: &Tables, guest_clusters: u64) -> Result<(), ImageError> {
        self.packed_places.sort_unstable();
        let Some(twice) = self.packed_places.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) else {
            return Ok(());
        };
        let mut met = false;
        tables.for_each_table(|index, place| {
            let Some((table, used)) = self.read_used(index, place, guest_clusters)? else { return Ok(()) };
            for i in 0..used {
                let meaning = table.entry(i).meaning(self.geometry);
                if matches!(meaning, Cluster::Compressed { offset, .. } if offset == twice) {
                    if met {
                        return Err(refused("L2 entry", place + i * self.geometry.l2_entry_length(), USED_TWICE));
                    }
                    met = true;
                }
            }
            Ok(())
        })?;
        // Not found again: the file has been changed under us.
        Err(refused("L2 entry", twice, USED_TWICE))
    }

    /// An L2 table, and how many of its entries are the guest's: what stands behind the guest's last cluster (a
    /// machine's state, a former larger size) is nobody's.
    fn read_used(&self, index: u64, place: u64, guest_clusters: u64) -> Result<Option<(L2Table, u64)>, ImageError> {
        let per_table = self.geometry.clusters_per_l2();
        let used = guest_clusters.saturating_sub(index * per_table).min(per_table);
        let table = L2Table::read_if_there(self.source, self.geometry, place)?;
        Ok(table.map(|table| (table, used)))
    }

    fn need(&mut self, bytes: u64, at: u64) -> Result<(), ImageError> {
        self.needed += bytes;
        if self.needed > self.source.length().next_multiple_of(self.geometry.cluster()) {
            return Err(refused(
                "L2 entry",
                at,
                "needs more bytes than the file has: clusters are used more than once",
            ));
        }
        Ok(())
    }

    fn claim(&mut self, offset: u64, length: u64) -> bool {
        let bits = self.geometry.cluster_bits;
        // What a table has behind the file's end is not there, and collides with nothing.
        let end = offset.saturating_add(length).min(self.source.length()).max(offset + 1);
        let (first, last) = (offset >> bits, (end - 1) >> bits);
        length == 0 || self.exclusive.claim(first, last - first + 1)
    }
}

const LEADS_OUT: &str = "leads out of the file; it may have been cut off";
const USED_TWICE: &str =
    "leads to bytes that are used more than once: by the image's own tables, or by another guest cluster";

/// Clusters that follow each other, in the guest or with absent ones between, and in the file.
struct Run {
    first: u64,
    count: u64,
    /// The L2 entry of the first.
    entry: u64,
}
