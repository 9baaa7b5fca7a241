use super::{
    DYNAMIC, FIXED, FOOTER, FOOTER_COOKIE, HEADER, HEADER_COOKIE, LARGEST, NOWHERE, UNUSED, bitmap_of, checksum,
    geometry::Geometry,
};
use crate::{
    ImageError, ImageFormat, SECTOR,
    layout::{AllocationMap, Identity, PlainLayout, UnitFormat, put, put_table},
};

const MEBIBYTE: u64 = 1 << 20;
/// The block that every program can read.
const BLOCK: u64 = 2 * MEBIBYTE;
const HEADER_AT: u64 = FOOTER as u64;
const TABLE_AT: u64 = HEADER_AT + HEADER as u64;
const ENTRIES_PER_SECTOR: u64 = SECTOR / 4;
/// Neither of those whose disks QEMU shows as large as their geometry.
const CREATOR: [u8; 4] = *b"tmbl";
const CREATOR_VERSION: u32 = 0x0001_0000;
/// Windows: there is no word for anything else.
const CREATOR_HOST: [u8; 4] = *b"Wi2k";
const VERSION: u32 = 0x0001_0000;

/// Which size a VHD tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VhdSize {
    /// The disk's own, rounded up to 512 bytes.
    #[default]
    Exact,
    /// Rounded up to whole mebibytes, as Azure demands.
    WholeMebibytes,
}

impl VhdSize {
    /// The size in bytes that a VHD of a disk of so many bytes tells.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] beyond 2040 GiB.
    pub fn of(self, disk_size: u64) -> Result<u64, ImageError> {
        let unit = match self {
            Self::Exact => SECTOR,
            Self::WholeMebibytes => MEBIBYTE,
        };
        disk_size.checked_next_multiple_of(unit).filter(|size| *size <= LARGEST).ok_or_else(|| {
            let problem =
                format!("it has {disk_size} bytes, and a VHD at most {LARGEST} (2040 GiB); write vhdx instead");
            ImageError::Unwritable { format: ImageFormat::Vhd, problem }
        })
    }
}

/// Plans a fixed VHD (specification 1.0, "Fixed Hard Disk Image"): the disk as it is, and a footer of 512 bytes.
///
/// # Errors
/// [`ImageError::Unwritable`] beyond 2040 GiB.
pub fn fixed_layout(disk_size: u64, size: VhdSize, identity: &Identity) -> Result<PlainLayout, ImageError> {
    let size = size.of(disk_size)?;
    Ok(PlainLayout::new(size, footer(FIXED, size, identity).to_vec()))
}

/// A dynamic VHD (specification 1.0, "Dynamic Hard Disk Image") of blocks of 2 MiB: a copy of the footer, the header,
/// the table, the blocks, the footer.
#[derive(Debug, Clone, Copy)]
pub struct DynamicVhdFormat {
    size: u64,
}

impl DynamicVhdFormat {
    /// For a disk of so many bytes.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] beyond 2040 GiB.
    pub fn new(disk_size: u64, size: VhdSize) -> Result<Self, ImageError> {
        Ok(Self { size: size.of(disk_size)? })
    }

    fn blocks(self) -> u64 {
        self.size.div_ceil(BLOCK)
    }

    /// Entries with those that only fill up the table's last sector.
    fn entries(self) -> u64 {
        self.blocks().next_multiple_of(ENTRIES_PER_SECTOR)
    }

    fn header(self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        put(&mut header, 0, 0, &HEADER_COOKIE);
        put(&mut header, 0, 8, &NOWHERE.to_be_bytes());
        put(&mut header, 0, 16, &TABLE_AT.to_be_bytes());
        put(&mut header, 0, 24, &VERSION.to_be_bytes());
        put(&mut header, 0, 28, &narrow(self.blocks()).to_be_bytes());
        put(&mut header, 0, 32, &narrow(BLOCK).to_be_bytes());
        let sum = checksum(&header, 36);
        put(&mut header, 0, 36, &sum.to_be_bytes());
        header
    }

    fn put_blocks(self, stored: &AllocationMap, offset: u64, buffer: &mut [u8]) {
        // Entries are asked for in order, and counting is dearer than going on.
        let mut rank = None;
        put_table(buffer, offset, TABLE_AT, self.entries(), |block| {
            if !stored.contains(block) {
                return UNUSED.to_be_bytes();
            }
            let place = rank.unwrap_or_else(|| stored.rank(block));
            rank = Some(place + 1);
            narrow((self.first() + place * (self.prefix() + BLOCK)) / SECTOR).to_be_bytes()
        });
    }
}

impl UnitFormat for DynamicVhdFormat {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vhd
    }

    fn disk_size(&self) -> u64 {
        self.size
    }

    fn unit(&self) -> u64 {
        BLOCK
    }

    fn first(&self) -> u64 {
        TABLE_AT + self.entries() * 4
    }

    /// The bitmap.
    fn prefix(&self) -> u64 {
        bitmap_of(BLOCK)
    }

    fn length(&self, stored: &AllocationMap) -> u64 {
        self.first() + stored.count() * (self.prefix() + BLOCK) + FOOTER as u64
    }

    fn read_metadata(&self, stored: &AllocationMap, identity: &Identity, offset: u64, buffer: &mut [u8]) {
        let end = self.length(stored) - FOOTER as u64;
        if (self.first()..end).contains(&offset) {
            // The bitmap: all sectors of a block that is there are there.
            buffer.fill(0xff);
            return;
        }
        if offset < HEADER_AT || offset >= end {
            let footer = footer(DYNAMIC, self.size, identity);
            put(buffer, offset, 0, &footer);
            put(buffer, offset, end, &footer);
        }
        if offset < TABLE_AT {
            put(buffer, offset, HEADER_AT, &self.header());
        }
        self.put_blocks(stored, offset, buffer);
    }
}

/// A footer, the same each time: the time of creation is left at the beginning of the year 2000.
fn footer(kind: u32, size: u64, identity: &Identity) -> [u8; FOOTER] {
    const NOT_TEMPORARY: u32 = 2;
    let geometry = Geometry::of(size);
    let mut footer = [0; FOOTER];
    put(&mut footer, 0, 0, &FOOTER_COOKIE);
    put(&mut footer, 0, 8, &NOT_TEMPORARY.to_be_bytes());
    put(&mut footer, 0, 12, &VERSION.to_be_bytes());
    put(&mut footer, 0, 16, &if kind == FIXED { NOWHERE } else { HEADER_AT }.to_be_bytes());
    put(&mut footer, 0, 28, &CREATOR);
    put(&mut footer, 0, 32, &CREATOR_VERSION.to_be_bytes());
    put(&mut footer, 0, 36, &CREATOR_HOST);
    put(&mut footer, 0, 40, &size.to_be_bytes());
    put(&mut footer, 0, 48, &size.to_be_bytes());
    put(&mut footer, 0, 56, &geometry.cylinders.to_be_bytes());
    put(&mut footer, 0, 58, &[geometry.heads, geometry.sectors_per_track]);
    put(&mut footer, 0, 60, &kind.to_be_bytes());
    put(&mut footer, 0, 68, &identity.uuid("vhd"));
    let sum = checksum(&footer, 64);
    put(&mut footer, 0, 64, &sum.to_be_bytes());
    footer
}

/// A number that fits because the disk's size was checked.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
