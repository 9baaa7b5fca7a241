use super::geometry::Geometry;
use crate::SECTOR;

/// Bits 9 to 55: where a table or cluster stands in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;
pub(super) const SUBCLUSTERS: u64 = 32;
/// In tables that need their counts looked at before a write: the one count is 1.
pub(super) const COPIED: u64 = 1 << 63;

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
    /// Never written, and nothing shows through.
    Absent,
    /// Zeroed.
    Zero,
    /// A cluster of the file.
    Host {
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// A cluster whose subclusters differ.
    Mixed {
        /// Where it begins, in bytes; zero when no subcluster is stored.
        offset: u64,
        /// Bit i: subcluster i is stored.
        stored: u32,
        /// Bit i: subcluster i was zeroed. Those of neither sort were never written.
        zero: u32,
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
    pub(super) fn meaning(self, geometry: Geometry) -> Cluster {
        if self.descriptor & COMPRESSED != 0 {
            return self.compressed(geometry.cluster_bits);
        }
        let offset = self.descriptor & OFFSET;
        if geometry.extended_l2 {
            return self.with_subclusters(offset);
        }
        if self.descriptor & READS_AS_ZERO != 0 {
            return if geometry.version == 2 {
                Cluster::Invalid("has a zero flag in version 2")
            } else {
                Cluster::Zero
            };
        }
        if offset == 0 { Cluster::Absent } else { Cluster::Host { offset } }
    }

    /// The cluster of the file that is set aside for this one, whether or not anything is stored in it.
    pub(super) fn reserved(self) -> Option<u64> {
        let offset = self.descriptor & OFFSET;
        (self.descriptor & COMPRESSED == 0 && offset != 0).then_some(offset)
    }

    fn compressed(self, cluster_bits: u32) -> Cluster {
        let offset_bits = compressed_offset_bits(cluster_bits);
        let offset = self.descriptor & ((1 << offset_bits) - 1);
        let more_sectors = (self.descriptor & (COMPRESSED - 1)) >> offset_bits;
        Cluster::Compressed { offset, available: (more_sectors + 1) * SECTOR - offset % SECTOR }
    }

    fn with_subclusters(self, offset: u64) -> Cluster {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let (stored, zero) = (half(self.bitmap), half(self.bitmap >> SUBCLUSTERS));
        if stored & zero != 0 {
            return Cluster::Invalid("has subclusters that are stored and zero at once");
        }
        match (offset, stored, zero) {
            (_, 0, 0) => Cluster::Absent,
            (_, 0, u32::MAX) => Cluster::Zero,
            (_, 0, zero) => Cluster::Mixed { offset: 0, stored: 0, zero },
            (0, _, _) => Cluster::Invalid("has stored subclusters in no cluster"),
            (offset, u32::MAX, _) => Cluster::Host { offset },
            (offset, stored, zero) => Cluster::Mixed { offset, stored, zero },
        }
    }
}

/// Bits of a compressed cluster's entry that say where it begins; those above say how many sectors follow its first.
fn compressed_offset_bits(cluster_bits: u32) -> u32 {
    62 - (cluster_bits - 8)
}

/// The entry of a compressed cluster of so many bytes, which must end within two clusters from its first sector on.
pub(super) fn compressed_entry(cluster_bits: u32, offset: u64, length: u64) -> u64 {
    let more_sectors = (offset % SECTOR + length).saturating_sub(1) / SECTOR;
    COMPRESSED | more_sectors << compressed_offset_bits(cluster_bits) | offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(cluster_bits: u32, extended_l2: bool) -> Geometry {
        Geometry { version: 3, cluster_bits, extended_l2 }
    }

    #[test]
    fn a_compressed_cluster_ends_at_a_sector() {
        // 16 cluster bits: 54 bits of offset, then the count of further sectors.
        let entry = Entry { descriptor: COMPRESSED | 3 << 54 | 0x5_0123, bitmap: 0 };
        let expected = Cluster::Compressed { offset: 0x5_0123, available: 4 * 512 - 0x123 };
        assert_eq!(entry.meaning(geometry(16, false)), expected);
        assert_eq!(entry.meaning(geometry(16, true)), expected, "its bitmap does not matter");
        assert_eq!(compressed_entry(16, 0x5_0123, 4 * 512 - 0x123), entry.descriptor);
        assert_eq!(compressed_entry(16, 0x5_0123, 3 * 512 - 0x123 + 1), entry.descriptor);
    }

    #[test]
    fn zero_wins_over_an_offset() {
        let entry = Entry { descriptor: 1 << 63 | 0x5_0000 | READS_AS_ZERO, bitmap: 0 };
        assert_eq!(entry.meaning(geometry(16, false)), Cluster::Zero);
        let version_2 = Geometry { version: 2, ..geometry(16, false) };
        assert!(matches!(entry.meaning(version_2), Cluster::Invalid(_)));
    }

    #[test]
    fn subclusters_may_not_contradict() {
        let meaning = |descriptor, bitmap| Entry { descriptor, bitmap }.meaning(geometry(16, true));
        assert_eq!(meaning(0x5_0000, 0b101), Cluster::Mixed { offset: 0x5_0000, stored: 0b101, zero: 0 });
        assert_eq!(meaning(0x5_0000, 0xffff_ffff), Cluster::Host { offset: 0x5_0000 });
        assert_eq!(meaning(0x5_0000, 1 << 32), Cluster::Mixed { offset: 0, stored: 0, zero: 1 });
        assert_eq!(meaning(0x5_0000, 0xffff_ffff << 32), Cluster::Zero);
        assert_eq!(meaning(0x5_0000, 0), Cluster::Absent);
        assert!(matches!(meaning(0x5_0000, 1 << 32 | 1), Cluster::Invalid(_)));
        assert!(matches!(meaning(0, 1), Cluster::Invalid(_)));
    }
}
