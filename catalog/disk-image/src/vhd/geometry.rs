use crate::SECTOR;

const MOST_CYLINDERS: u64 = 65535;
/// The largest volume that a geometry can tell, in sectors: 127.5 GiB.
const MOST_SECTORS: u64 = MOST_CYLINDERS * 16 * 255;

/// Cylinders, heads and sectors per track, as the oldest guests and controllers address a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) cylinders: u16,
    pub(super) heads: u8,
    pub(super) sectors_per_track: u8,
}

impl Geometry {
    /// The specification's geometry (appendix "CHS Calculation") of a disk of so many bytes. Its volume is the
    /// disk's or a little less, and much less beyond 127.5 GiB.
    pub(super) fn of(size: u64) -> Self {
        let sectors = (size / SECTOR).min(MOST_SECTORS);
        let (tracks, heads, sectors_per_track) = if sectors >= MOST_CYLINDERS * 16 * 63 {
            (sectors / 255, 16, 255)
        } else {
            let tracks = sectors / 17;
            let heads = tracks.div_ceil(1024).max(4);
            if heads <= 16 && tracks < heads * 1024 {
                (tracks, heads, 17)
            } else if sectors / 31 < 16 * 1024 {
                (sectors / 31, 16, 31)
            } else {
                (sectors / 63, 16, 63)
            }
        };
        Self {
            cylinders: u16::try_from(tracks / heads).unwrap_or(u16::MAX),
            heads: u8::try_from(heads).unwrap_or(u8::MAX),
            sectors_per_track,
        }
    }

    /// In bytes.
    pub(super) fn volume(self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors_per_track) * SECTOR
    }

    /// Whether the disk may be larger than any geometry can tell.
    pub(super) fn is_exhausted(self) -> bool {
        self.volume() >= MOST_SECTORS * SECTOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sectors: u64) -> (u16, u8, u8) {
        let Geometry { cylinders, heads, sectors_per_track } = Geometry::of(sectors * SECTOR);
        (cylinders, heads, sectors_per_track)
    }

    #[test]
    fn each_step_begins_where_the_former_is_exhausted() {
        assert_eq!(of(0), (0, 4, 17));
        assert_eq!(of(1), (0, 4, 17));
        // More than 1024 cylinders of 4 heads take more heads, up to 16.
        assert_eq!(of(17 * 4 * 1024 - 1), (1023, 4, 17));
        assert_eq!(of(17 * 4 * 1024 + 17), (819, 5, 17));
        // A count of tracks that is exactly full goes on to the next number of sectors per track.
        assert_eq!(of(17 * 4 * 1024), (140, 16, 31));
        assert_eq!(of(MOST_CYLINDERS * 16 * 63 - 1), (65534, 16, 63));
        assert_eq!(of(MOST_CYLINDERS * 16 * 63), (16191, 16, 255));
        assert_eq!(of(MOST_SECTORS), (65535, 16, 255));
        assert_eq!(of(u64::MAX / SECTOR), (65535, 16, 255));
    }

    #[test]
    fn a_volume_never_exceeds_its_disk() {
        for sectors in (0..MOST_SECTORS).step_by(99_991) {
            let geometry = Geometry::of(sectors * SECTOR);
            assert!(geometry.volume() <= sectors * SECTOR, "{sectors}: {geometry:?}");
            assert!(!geometry.is_exhausted());
        }
        assert!(Geometry::of(128 << 30).is_exhausted());
    }
}
