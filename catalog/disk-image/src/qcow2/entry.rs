use super::header::Header;

/// Bits 9 to 55: where a table or cluster stands in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;
const SUBCLUSTERS: u64 = 32;

/// The offset in an L1 entry, zero when the whole table is absent.
pub(super) fn l2_table_of(l1_entry: u64) -> u64 {
    l1_entry & OFFSET
}

/// One cluster's entry in an L2 table, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) descriptor: u64,
    /// Low half: allocated subclusters; high half: zero subclusters. All zero without extended L2 entries.
    pub(super) bitmap: u64,
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cluster {
    /// Zeros: never written (and nothing shows through), or zeroed.
    Zero,
    /// A cluster of the file.
    Host {
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// A cluster of the file of which some subclusters read as zeros.
    Mixed {
        /// Where it begins, in bytes.
        offset: u64,
        /// Bit i: subcluster i is stored.
        stored: u32,
    },
    /// A compressed cluster somewhere in these bytes of the file.
    Compressed {
        /// First byte.
        offset: u64,
        /// Most bytes that it takes.
        available: u64,
    },
    /// Contradicts itself.
    Invalid(&'static str),
}

impl Entry {
    pub(super) fn meaning(self, header: &Header) -> Cluster {
        if self.descriptor & COMPRESSED != 0 {
            return self.compressed(header.cluster_bits);
        }
        let offset = self.descriptor & OFFSET;
        if header.extended_l2 {
            return self.with_subclusters(offset);
        }
        if self.descriptor & READS_AS_ZERO != 0 {
            return if header.version == 2 { Cluster::Invalid("has a zero flag in version 2") } else { Cluster::Zero };
        }
        if offset == 0 { Cluster::Zero } else { Cluster::Host { offset } }
    }

    fn compressed(self, cluster_bits: u32) -> Cluster {
        let offset_bits = 62 - (cluster_bits - 8);
        let offset = self.descriptor & ((1 << offset_bits) - 1);
        let more_sectors = (self.descriptor & (COMPRESSED - 1)) >> offset_bits;
        Cluster::Compressed { offset, available: (more_sectors + 1) * 512 - offset % 512 }
    }

    fn with_subclusters(self, offset: u64) -> Cluster {
        let (stored, zero) = (self.bitmap & u64::from(u32::MAX), self.bitmap >> SUBCLUSTERS);
        if stored & zero != 0 {
            return Cluster::Invalid("has subclusters that are stored and zero at once");
        }
        match (offset, u32::try_from(stored).unwrap_or(0)) {
            (_, 0) => Cluster::Zero,
            (0, _) => Cluster::Invalid("has stored subclusters in no cluster"),
            (offset, u32::MAX) => Cluster::Host { offset },
            (offset, stored) => Cluster::Mixed { offset, stored },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qcow2::compressed::Compression;

    fn header(cluster_bits: u32, extended_l2: bool) -> Header {
        Header {
            version: 3,
            cluster_bits,
            size: 0,
            l1_offset: 0,
            l1_entries: 0,
            refcount_table: 0..0,
            compression: Compression::Deflate,
            extended_l2,
            dirty: false,
        }
    }

    #[test]
    fn a_compressed_cluster_ends_at_a_sector() {
        // 16 cluster bits: 54 bits of offset, then the count of further sectors.
        let entry = Entry { descriptor: COMPRESSED | 3 << 54 | 0x5_0123, bitmap: 0 };
        let expected = Cluster::Compressed { offset: 0x5_0123, available: 4 * 512 - 0x123 };
        assert_eq!(entry.meaning(&header(16, false)), expected);
        assert_eq!(entry.meaning(&header(16, true)), expected, "its bitmap does not matter");
    }

    #[test]
    fn zero_wins_over_an_offset() {
        let entry = Entry { descriptor: 1 << 63 | 0x5_0000 | READS_AS_ZERO, bitmap: 0 };
        assert_eq!(entry.meaning(&header(16, false)), Cluster::Zero);
        let version_2 = Header { version: 2, ..header(16, false) };
        assert!(matches!(entry.meaning(&version_2), Cluster::Invalid(_)));
    }

    #[test]
    fn subclusters_may_not_contradict() {
        let meaning = |descriptor, bitmap| Entry { descriptor, bitmap }.meaning(&header(16, true));
        assert_eq!(meaning(0x5_0000, 0b101), Cluster::Mixed { offset: 0x5_0000, stored: 0b101 });
        assert_eq!(meaning(0x5_0000, 0xffff_ffff), Cluster::Host { offset: 0x5_0000 });
        assert_eq!(meaning(0x5_0000, 1 << 32), Cluster::Zero);
        assert!(matches!(meaning(0x5_0000, 1 << 32 | 1), Cluster::Invalid(_)));
        assert!(matches!(meaning(0, 1), Cluster::Invalid(_)));
    }
}
