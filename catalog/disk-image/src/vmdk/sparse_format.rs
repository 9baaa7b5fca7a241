use super::{ENTRIES, TABLE, description::embedded, unwritable};
use crate::{
    ImageError, ImageFormat, LARGEST_DISK, SECTOR,
    layout::{
        AllocationMap, Identity, UnitFormat,
        units::{put, put_table},
    },
};

/// Sectors of a grain: 64 KiB, as everybody writes it.
pub(super) const GRAIN: u64 = 128;
/// Where the embedded descriptor stands, and the room for it, in sectors.
pub(super) const DESCRIPTOR: u64 = 1;
pub(super) const DESCRIPTOR_ROOM: u64 = 20;
/// Zeros of tables are left out in pieces of this, in bytes.
const PIECE: u64 = 64 << 10;

/// VMDK in one file that grows (monolithicSparse), with grains of 64 KiB and two sets of tables, as `VMware`
/// Workstation and QEMU write it.
///
/// Room for all tables stands in front; it is a hole where the disk holds nothing.
#[derive(Debug, Clone)]
pub struct SparseVmdkFormat {
    /// Sectors of the disk.
    capacity: u64,
    /// Grain tables in each set.
    tables: u64,
}

impl SparseVmdkFormat {
    /// For a disk of `disk_size` bytes, rounded up to a sector.
    ///
    /// The file cannot pass 2 TiB, however large the disk is: [`UnitFormat::most_units`].
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] for a disk without bytes, which no program opens, and above [`LARGEST_DISK`].
    pub fn new(disk_size: u64) -> Result<Self, ImageError> {
        let capacity = capacity(disk_size)?;
        Ok(Self { capacity, tables: capacity.div_ceil(GRAIN * ENTRIES) })
    }

    /// Sectors of a directory.
    fn directory(&self) -> u64 {
        (self.tables * 4).div_ceil(SECTOR)
    }

    /// Where the sets of directory and tables begin, the redundant one first, in sectors.
    fn sets(&self) -> [u64; 2] {
        let first = DESCRIPTOR + DESCRIPTOR_ROOM;
        [first, first + self.directory() + self.tables * (TABLE / SECTOR)]
    }

    /// Where the first grain begins, in sectors.
    fn overhead(&self) -> u64 {
        let [first, second] = self.sets();
        (second + (second - first)).next_multiple_of(GRAIN)
    }
}

/// Sectors of a disk that can be written.
pub(super) fn capacity(disk_size: u64) -> Result<u64, ImageError> {
    if disk_size > LARGEST_DISK {
        return Err(unwritable(format!("it has {disk_size} bytes, more than {LARGEST_DISK}; choose raw")));
    }
    match disk_size.div_ceil(SECTOR) {
        0 => Err(unwritable("it has no bytes, and no program opens such a VMDK; choose raw or qcow2")),
        sectors => Ok(sectors),
    }
}

/// A header or footer. Places are in sectors.
pub(super) struct HeaderFields {
    pub(super) version: u32,
    pub(super) flags: u32,
    pub(super) capacity: u64,
    pub(super) redundant: u64,
    pub(super) directory: u64,
    pub(super) overhead: u64,
    pub(super) compression: u16,
}

impl HeaderFields {
    pub(super) fn bytes(&self) -> [u8; SECTOR as usize] {
        let mut header = [0; SECTOR as usize];
        let mut set = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        set(0, &super::MAGIC);
        set(4, &self.version.to_le_bytes());
        set(8, &self.flags.to_le_bytes());
        set(12, &self.capacity.to_le_bytes());
        set(20, &GRAIN.to_le_bytes());
        set(28, &DESCRIPTOR.to_le_bytes());
        set(36, &DESCRIPTOR_ROOM.to_le_bytes());
        set(44, &512_u32.to_le_bytes());
        set(48, &self.redundant.to_le_bytes());
        set(56, &self.directory.to_le_bytes());
        set(64, &self.overhead.to_le_bytes());
        set(73, b"\n \r\n");
        set(77, &self.compression.to_le_bytes());
        header
    }
}

impl UnitFormat for SparseVmdkFormat {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vmdk
    }

    fn disk_size(&self) -> u64 {
        self.capacity * SECTOR
    }

    fn unit(&self) -> u64 {
        GRAIN * SECTOR
    }

    fn first(&self) -> u64 {
        self.overhead() * SECTOR
    }

    fn most_units(&self) -> u64 {
        (u64::from(u32::MAX) - self.overhead()) / GRAIN + 1
    }

    fn metadata_run(&self, stored: &AllocationMap, offset: u64) -> (u64, bool) {
        let [first, second] = self.sets();
        let tables = |set: u64| (set + self.directory()) * SECTOR;
        for (start, end) in [(tables(first), second * SECTOR), (tables(second), self.first())] {
            if offset < start {
                return (start - offset, false);
            }
            if offset < end {
                // Whole pieces before the next entry that says something.
                let next = stored.next((offset - start) / 4).map_or(end, |grain| start + grain * 4);
                let zeros = if next < end { next - next % PIECE } else { end };
                return if zeros > offset {
                    (zeros - offset, true)
                } else {
                    (((offset / PIECE + 1) * PIECE).min(end) - offset, false)
                };
            }
        }
        (self.first().saturating_sub(offset), false)
    }

    fn length(&self, stored: &AllocationMap) -> u64 {
        self.first() + stored.count() * self.unit()
    }

    fn read_metadata(&self, stored: &AllocationMap, identity: &Identity, offset: u64, buffer: &mut [u8]) {
        let sets = self.sets();
        let header = HeaderFields {
            version: 1,
            flags: 0b11,
            capacity: self.capacity,
            redundant: sets[0],
            directory: sets[1],
            overhead: self.overhead(),
            compression: 0,
        };
        if offset < sets[0] * SECTOR {
            put(buffer, offset, 0, &header.bytes());
            let text = embedded("monolithicSparse", self.capacity, identity);
            put(buffer, offset, DESCRIPTOR * SECTOR, text.as_bytes());
        }
        for set in sets {
            let tables = set + self.directory();
            put_table(buffer, offset, set * SECTOR, self.tables, |table| {
                sector(tables + table * (TABLE / SECTOR)).to_le_bytes()
            });
            self.put_grains(buffer, offset, tables * SECTOR, stored);
        }
    }
}

impl SparseVmdkFormat {
    /// Fills in the entries of the tables that stand one after another from `tables` on.
    fn put_grains(&self, buffer: &mut [u8], offset: u64, tables: u64, stored: &AllocationMap) {
        let end = offset + buffer.len() as u64;
        let from = offset.saturating_sub(tables) / 4;
        let to = (end.saturating_sub(tables).div_ceil(4)).min(stored.units());
        let mut rank = stored.rank(from);
        let mut next = stored.next(from);
        while let Some(first) = next.filter(|grain| *grain < to) {
            let behind = (first + stored.run(first).max(1)).min(to);
            for grain in first..behind {
                put(buffer, offset, tables + grain * 4, &sector(self.overhead() + rank * GRAIN).to_le_bytes());
                rank += 1;
            }
            next = stored.next(behind);
        }
    }
}

/// As tables store it. What does not fit is beyond [`UnitFormat::most_units`].
pub(super) fn sector(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
