/// What entries of tables mean depends on these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// 2 or 3.
    pub(super) version: u32,
    /// A cluster has two to the power of this many bytes: 9 to 21.
    pub(super) cluster_bits: u32,
    /// Each cluster has a bitmap of subclusters.
    pub(super) extended_l2: bool,
}

impl Geometry {
    /// Bytes of a cluster.
    pub(super) fn cluster(self) -> u64 {
        1 << self.cluster_bits
    }

    pub(super) fn l2_entry_length(self) -> u64 {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Clusters that one L2 table maps.
    pub(super) fn clusters_per_l2(self) -> u64 {
        self.cluster() / self.l2_entry_length()
    }

    /// Guest bytes that one L1 entry leads to.
    pub(super) fn bytes_per_l1_entry(self) -> u64 {
        self.clusters_per_l2() * self.cluster()
    }
}
