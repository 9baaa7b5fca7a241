use libdeflater::{CompressionLvl, Compressor, adler32};

use super::{
    ENTRIES,
    sparse_format::{GRAIN, capacity},
    stream_tables::{END, read_metadata},
    unwritable,
};
use crate::{
    ImageError, ImageFormat, SECTOR,
    layout::{AllocationMap, Identity, PackedFormat, PackedUnits, Packer},
};

/// How hard grains are packed unless somebody says otherwise: the fastest level whose files are within 2 % of QEMU's,
/// measured on disks of Debian (1.5 % larger; level 1 is 5 % larger, level 5 is 1 % smaller).
pub const DEFAULT_LEVEL: u8 = 2;
const HIGHEST_LEVEL: u8 = 12;

/// Where the first grain begins, in bytes.
const FIRST: u64 = GRAIN * SECTOR;
/// A marker, and the grain table behind it.
pub(super) const TABLE_WITH_MARKER: u64 = SECTOR + super::TABLE;
/// The guest's sector, and the length of what follows.
const PREFIX: usize = 12;
/// The most that a stored block of deflate holds.
const LONGEST_BLOCK: usize = 65535;
/// A grain of stored blocks in the file: prefix, zlib's two bytes, two blocks, checksum, all up to a sector.
const STORED: u32 = 129 * SECTOR as u32;

/// VMDK for transport (streamOptimized): compressed grains in the disk's order, each table behind its grains, the
/// directory and a footer at the end, as `ESXi` and OVF tools take it in one pass.
#[derive(Debug, Clone)]
pub struct StreamVmdkFormat {
    /// Sectors of the disk.
    pub(super) capacity: u64,
    level: u8,
}

/// Where the next grain or table may stand.
#[derive(Debug, Clone)]
pub struct StreamCursor {
    /// First free byte of the file.
    pub(super) next: u64,
    /// The grain table of the last grain.
    table: Option<u64>,
}

impl StreamCursor {
    /// The end of all grains and tables.
    pub(super) fn end(&self) -> u64 {
        self.next + if self.table.is_some() { TABLE_WITH_MARKER } else { 0 }
    }
}

impl StreamVmdkFormat {
    /// For a disk of `disk_size` bytes, rounded up to a sector, packed at a level from 1 (fast) to 12 (small).
    ///
    /// Level 0 packs nothing: then a file's length and plan follow from what the disk holds
    /// ([`StreamVmdkFormat::stored`]). The file cannot pass 2 TiB: [`PackedFormat::longest_file`].
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] for a disk without bytes, which no program opens, above
    /// [`LARGEST_DISK`](crate::LARGEST_DISK), and for a level that there is not.
    pub fn new(disk_size: u64, level: u8) -> Result<Self, ImageError> {
        if level > HIGHEST_LEVEL {
            return Err(unwritable(format!("there is no level {level} of deflate; choose 0 to {HIGHEST_LEVEL}")));
        }
        Ok(Self { capacity: capacity(disk_size)?, level })
    }

    /// At level 0: places all units, without packing any.
    #[must_use]
    pub fn stored(&self, stored: AllocationMap) -> PackedUnits<Self> {
        let count = usize::try_from(stored.count()).unwrap_or(usize::MAX);
        PackedUnits::new(self, stored, vec![STORED; count])
    }

    /// Entries of the grain directory.
    pub(super) fn tables(&self) -> u64 {
        self.capacity.div_ceil(GRAIN * ENTRIES)
    }

    /// Bytes of the grain directory.
    pub(super) fn directory(&self) -> u64 {
        (self.tables() * 4).next_multiple_of(SECTOR)
    }
}

impl PackedFormat for StreamVmdkFormat {
    type Cursor = StreamCursor;

    fn format(&self) -> ImageFormat {
        ImageFormat::Vmdk
    }

    fn disk_size(&self) -> u64 {
        self.capacity * SECTOR
    }

    fn unit(&self) -> u64 {
        GRAIN * SECTOR
    }

    fn start(&self) -> StreamCursor {
        StreamCursor { next: FIRST, table: None }
    }

    fn place(&self, cursor: &mut StreamCursor, unit: u64, length: u32) -> u64 {
        let table = Some(unit / ENTRIES);
        if cursor.table != table {
            cursor.next = cursor.end();
            cursor.table = table;
        }
        let place = cursor.next;
        cursor.next += u64::from(length);
        place
    }

    fn packer(&self) -> Box<dyn Packer> {
        let level = CompressionLvl::new(self.level.into()).unwrap_or_default();
        let compressor = (self.level > 0).then(|| Compressor::new(level));
        Box::new(GrainPacker { compressor })
    }

    /// Tables count 32 bits of sectors.
    fn longest_file(&self) -> u64 {
        u64::from(u32::MAX) * SECTOR
    }

    fn length(&self, units: &PackedUnits<Self>) -> u64 {
        units.end().end() + SECTOR + self.directory() + END
    }

    fn read_metadata(&self, units: &PackedUnits<Self>, identity: &Identity, offset: u64, buffer: &mut [u8]) {
        read_metadata(self, units, identity, offset, buffer);
    }
}

struct GrainPacker {
    /// `None` to store.
    compressor: Option<Compressor>,
}

impl Packer for GrainPacker {
    fn pack(&mut self, unit: u64, data: &[u8], packed: &mut Vec<u8>) {
        let start = packed.len();
        packed.extend_from_slice(&(unit * GRAIN).to_le_bytes());
        packed.extend_from_slice(&[0; 4]);
        if !self.deflate(data, packed) {
            store(data, packed);
        }
        let length = packed.len() - start - PREFIX;
        packed[start + 8..start + PREFIX].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
        let whole = (packed.len() - start).next_multiple_of(SECTOR as usize);
        packed.resize(start + whole, 0);
    }
}

impl GrainPacker {
    fn deflate(&mut self, data: &[u8], packed: &mut Vec<u8>) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        let from = packed.len();
        packed.resize(from + compressor.zlib_compress_bound(data.len()), 0);
        let length = compressor.zlib_compress(data, &mut packed[from..]);
        packed.truncate(from + length.as_ref().map_or(0, |length| *length));
        length.is_ok()
    }
}

/// A zlib stream (RFC 1950) of stored blocks, whose length depends on nothing but the data's.
fn store(data: &[u8], packed: &mut Vec<u8>) {
    packed.extend_from_slice(&[0x78, 0x01]);
    let mut blocks = data.chunks(LONGEST_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(0);
        packed.push(u8::from(blocks.peek().is_none()));
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&(!length).to_le_bytes());
        packed.extend_from_slice(block);
    }
    packed.extend_from_slice(&adler32(data).to_be_bytes());
}
