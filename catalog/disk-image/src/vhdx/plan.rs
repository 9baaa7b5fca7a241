use super::{
    COPY_DISTANCE, HEADER_AT, LARGEST_BAT, LARGEST_BLOCK, MEBIBYTE, REGION_TABLE_AT, SMALLEST_BLOCK, bat_entries,
    chunk_ratio,
    fields::{CHECKSUM_AT, Guid, checksum},
    header::HEADER_LENGTH,
    metadata, regions,
};
use crate::{
    ImageError, ImageFormat, LARGEST_DISK,
    layout::{
        AllocationMap, Identity, UnitFormat,
        units::{put, put_table},
    },
};

const CREATOR: &str = "Tombolo";
const LOG_AT: u64 = MEBIBYTE;
const LOG_LENGTH: u64 = MEBIBYTE;
const METADATA_AT: u64 = LOG_AT + LOG_LENGTH;
const METADATA_LENGTH: u64 = MEBIBYTE;
const BAT_AT: u64 = METADATA_AT + METADATA_LENGTH;

const PHYSICAL_SECTOR_SIZE: u32 = 4096;
const FULLY_PRESENT: u64 = 6;
/// The most blocks that a disk is cut into unless somebody says otherwise: 16 MiB of table.
const MOST_BLOCKS: u64 = 1 << 21;

/// A dynamic VHDX (MS-VHDX), as Hyper-V makes them: both headers and region tables, an empty log, the metadata, the
/// block allocation table, and then the blocks that are there, in the guest's order.
#[derive(Debug, Clone)]
pub struct DynamicVhdxFormat {
    disk_size: u64,
    block_size: u64,
    logical_sector_size: u32,
    ratio: u64,
    bat_length: u64,
}

impl DynamicVhdxFormat {
    /// For a disk of `disk_size` bytes, which is rounded up to whole sectors.
    ///
    /// Without a `block_size` (in bytes, a power of two from 1 MiB to 256 MiB) it is 1 MiB for disks of up to 2 TiB,
    /// so that sparse disks stay small, and more for larger ones, so that the table does. `logical_sector_size` is
    /// 512 or 4096.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] when the format does not know such sizes, or the table would not be read back.
    pub fn new(disk_size: u64, block_size: Option<u64>, logical_sector_size: u32) -> Result<Self, ImageError> {
        let unwritable = |problem| Err(ImageError::Unwritable { format: ImageFormat::Vhdx, problem });
        if !matches!(logical_sector_size, 512 | 4096) {
            return unwritable(format!("a logical sector of {logical_sector_size} bytes is neither 512 nor 4096"));
        }
        if disk_size > LARGEST_DISK {
            return unwritable(format!("it has {disk_size} bytes, and at most {LARGEST_DISK} are allowed"));
        }
        let disk_size = disk_size.next_multiple_of(logical_sector_size.into());
        let block_size = block_size.unwrap_or_else(|| {
            disk_size.div_ceil(MOST_BLOCKS).next_power_of_two().clamp(SMALLEST_BLOCK, LARGEST_BLOCK)
        });
        if !block_size.is_power_of_two() || !(SMALLEST_BLOCK..=LARGEST_BLOCK).contains(&block_size) {
            return unwritable(format!("a block of {block_size} bytes is no power of two from 1 MiB to 256 MiB"));
        }
        let ratio = chunk_ratio(logical_sector_size.into(), block_size);
        let entries = bat_entries(disk_size.div_ceil(block_size), ratio);
        let mut bat_length = (entries * 8).next_multiple_of(MEBIBYTE);
        if disk_size == 0 {
            // QEMU computes 32 bits of the last block's number, minus one, and wants room for that many.
            let expected = u64::from(u32::MAX) / ratio;
            bat_length = (expected * 8).next_multiple_of(MEBIBYTE).min(LARGEST_BAT);
        }
        if bat_length > LARGEST_BAT {
            return unwritable(format!("blocks of {block_size} bytes are too small for it; ask for larger ones"));
        }
        Ok(Self { disk_size, block_size, logical_sector_size, ratio, bat_length })
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_size(&self) -> u64 {
        self.block_size
    }

    /// The BAT's entries that the buffer shows: state and place of each block, and zeros for sector bitmaps.
    fn put_bat(&self, stored: &AllocationMap, offset: u64, buffer: &mut [u8]) {
        let entries = bat_entries(self.disk_size.div_ceil(self.block_size), self.ratio);
        // Blocks come in order: only the first one's predecessors must be counted.
        let mut rank: Option<u64> = None;
        put_table(buffer, offset, BAT_AT, entries, |index| {
            if index % (self.ratio + 1) == self.ratio {
                return [0; 8];
            }
            let block = index - index / (self.ratio + 1);
            if !stored.contains(block) {
                return [0; 8];
            }
            let before = *rank.get_or_insert_with(|| stored.rank(block));
            rank = Some(before + 1);
            (self.place(before) | FULLY_PRESENT).to_le_bytes()
        });
    }
}

impl UnitFormat for DynamicVhdxFormat {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vhdx
    }

    fn disk_size(&self) -> u64 {
        self.disk_size
    }

    fn unit(&self) -> u64 {
        self.block_size
    }

    fn first(&self) -> u64 {
        BAT_AT + self.bat_length
    }

    fn length(&self, stored: &AllocationMap) -> u64 {
        self.first() + stored.count() * self.block_size
    }

    fn read_metadata(&self, stored: &AllocationMap, identity: &Identity, offset: u64, buffer: &mut [u8]) {
        let end = offset + buffer.len() as u64;
        let shows = |at: u64, length: usize| offset < at + length as u64 && at < end;
        put(buffer, offset, 0, &file_identifier());
        for copy in 0..2 {
            let at = HEADER_AT + copy * COPY_DISTANCE;
            if shows(at, HEADER_LENGTH) {
                put(buffer, offset, at, &header(identity, copy + 1));
            }
            let at = REGION_TABLE_AT + copy * COPY_DISTANCE;
            if shows(at, regions::TABLE_LENGTH) {
                put(buffer, offset, at, &self.region_table());
            }
        }
        if shows(METADATA_AT, metadata::TABLE_LENGTH + ITEMS_LENGTH) {
            let (table, items) = self.metadata(identity);
            put(buffer, offset, METADATA_AT, &table);
            put(buffer, offset, METADATA_AT + metadata::TABLE_LENGTH as u64, &items);
        }
        self.put_bat(stored, offset, buffer);
    }
}

fn file_identifier() -> Vec<u8> {
    let creator = CREATOR.encode_utf16().flat_map(u16::to_le_bytes);
    b"vhdxfile".iter().copied().chain(creator).collect()
}

/// A header of a closed image (MS-VHDX 2.2.2).
fn header(identity: &Identity, sequence: u64) -> Vec<u8> {
    let mut bytes = Bytes::default();
    bytes.add(b"head");
    bytes.add(&[0; 4]);
    bytes.add(&sequence.to_le_bytes());
    bytes.add(&Guid::from_printed(identity.uuid("vhdx file write")).bytes());
    bytes.add(&Guid::from_printed(identity.uuid("vhdx data write")).bytes());
    bytes.add(&Guid::ZERO.bytes());
    let (log_version, version) = (0_u16, 1_u16);
    bytes.add(&log_version.to_le_bytes());
    bytes.add(&version.to_le_bytes());
    bytes.add(&low32(LOG_LENGTH));
    bytes.add(&LOG_AT.to_le_bytes());
    bytes.summed(HEADER_LENGTH)
}

/// What the items of the metadata take together.
const ITEMS_LENGTH: usize = 40;

impl DynamicVhdxFormat {
    /// Where BAT and metadata stand (MS-VHDX 2.2.3).
    fn region_table(&self) -> Vec<u8> {
        let mut bytes = Bytes::default();
        bytes.add(b"regi");
        bytes.add(&[0; 4]);
        bytes.add(&2_u32.to_le_bytes());
        bytes.add(&[0; 4]);
        for (id, at, length) in
            [(regions::BAT, BAT_AT, self.bat_length), (regions::METADATA, METADATA_AT, METADATA_LENGTH)]
        {
            bytes.add(&id.bytes());
            bytes.add(&at.to_le_bytes());
            bytes.add(&low32(length));
            bytes.add(&1_u32.to_le_bytes());
        }
        bytes.summed(regions::TABLE_LENGTH)
    }

    /// The table of the metadata, and the items that stand 64 KiB behind its beginning (MS-VHDX 2.6).
    fn metadata(&self, identity: &Identity) -> (Vec<u8>, Vec<u8>) {
        use metadata::{
            FILE_PARAMETERS, IS_REQUIRED, IS_VIRTUAL_DISK, LOGICAL_SECTOR_SIZE, VIRTUAL_DISK_ID, VIRTUAL_DISK_SIZE,
        };
        let of_disk = IS_REQUIRED | IS_VIRTUAL_DISK;
        // The second half of the parameters: not fixed, and without a parent.
        let parameters = [low32(self.block_size), [0; 4]].concat();
        let id = Guid::from_printed(identity.uuid("vhdx disk")).bytes();
        let items: [(Guid, u32, &[u8]); 5] = [
            (FILE_PARAMETERS, IS_REQUIRED, &parameters),
            (VIRTUAL_DISK_SIZE, of_disk, &self.disk_size.to_le_bytes()),
            (VIRTUAL_DISK_ID, of_disk, &id),
            (LOGICAL_SECTOR_SIZE, of_disk, &self.logical_sector_size.to_le_bytes()),
            (metadata::PHYSICAL_SECTOR_SIZE, of_disk, &PHYSICAL_SECTOR_SIZE.to_le_bytes()),
        ];
        let (mut table, mut data) = (Bytes::default(), Bytes::default());
        table.add(b"metadata");
        table.add(&[0; 2]);
        table.add(&5_u16.to_le_bytes());
        table.add(&[0; metadata::ENTRIES - 12]);
        for (id, flags, content) in items {
            table.add(&id.bytes());
            table.add(&low32((metadata::TABLE_LENGTH + data.0.len()) as u64));
            table.add(&low32(content.len() as u64));
            table.add(&flags.to_le_bytes());
            table.add(&[0; 4]);
            data.add(content);
        }
        (table.0, data.0)
    }
}

/// A number that is known to have no more than 32 bits.
fn low32(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}

/// A structure that is put together from its beginning.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The whole structure, of this length, with its checksum.
    fn summed(mut self, length: usize) -> Vec<u8> {
        self.0.resize(length, 0);
        let sum = checksum(&self.0);
        self.0[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
        self.0
    }
}
