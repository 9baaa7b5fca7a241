use super::{BEFORE_HEADER, DYNAMIC, FREE, SIGNATURE, SIGNATURE_AT, VERSION};
use crate::{
    ImageError, ImageFormat, LARGEST_DISK, SECTOR,
    layout::{AllocationMap, Identity, UnitFormat, put, put_table},
    uuid::swap_uuid,
};

/// The only block that QEMU reads; blocks begin at a multiple of it, as those of `VirtualBox` do.
const BLOCK: u64 = 1 << 20;
const TEXT: &[u8] = b"<<< Tombolo Virtual Disk Image >>>\n";
/// With the geometry at its end, which is told as not known, as that of older versions before it.
const HEADER: u32 = 400;
const HEADER_SECTOR: usize = 512;
const MAP_AT: u32 = 512;

/// A dynamic VDI of version 1.1, with blocks of 1 MiB: the header, the map, the blocks from a whole mebibyte on.
#[derive(Debug, Clone, Copy)]
pub struct DynamicVdiFormat {
    size: u64,
}

impl DynamicVdiFormat {
    /// For a disk of so many bytes, which are rounded up to 512.
    ///
    /// # Errors
    /// [`ImageError::Unwritable`] beyond [`LARGEST_DISK`].
    pub fn new(disk_size: u64) -> Result<Self, ImageError> {
        let size = disk_size.checked_next_multiple_of(SECTOR).filter(|size| *size <= LARGEST_DISK);
        let size = size.ok_or_else(|| {
            let problem =
                format!("it has {disk_size} bytes, and the map of a VDI is written for at most {LARGEST_DISK}");
            ImageError::Unwritable { format: ImageFormat::Vdi, problem }
        })?;
        Ok(Self { size })
    }

    fn blocks(self) -> u64 {
        self.size.div_ceil(BLOCK)
    }

    fn header(self, stored: &AllocationMap, identity: &Identity) -> [u8; HEADER_SECTOR] {
        let mut header = [0; HEADER_SECTOR];
        put(&mut header, 0, 0, TEXT);
        for (at, number) in [
            (SIGNATURE_AT, SIGNATURE),
            (68, VERSION),
            (BEFORE_HEADER, HEADER),
            (76, DYNAMIC),
            (340, MAP_AT),
            (344, narrow(self.first())),
            // The units of both geometries.
            (360, narrow(SECTOR)),
            (468, narrow(SECTOR)),
            (376, narrow(BLOCK)),
            (384, narrow(self.blocks())),
            (388, narrow(stored.count())),
        ] {
            put(&mut header, 0, at, &number.to_le_bytes());
        }
        put(&mut header, 0, 368, &self.size.to_le_bytes());
        put(&mut header, 0, 392, &swap_uuid(identity.uuid("vdi")));
        put(&mut header, 0, 408, &swap_uuid(identity.uuid("vdi modification")));
        header
    }
}

impl UnitFormat for DynamicVdiFormat {
    fn format(&self) -> ImageFormat {
        ImageFormat::Vdi
    }

    fn disk_size(&self) -> u64 {
        self.size
    }

    fn unit(&self) -> u64 {
        BLOCK
    }

    fn first(&self) -> u64 {
        (u64::from(MAP_AT) + self.blocks() * 4).next_multiple_of(BLOCK)
    }

    /// Behind the map stands nothing.
    fn metadata_run(&self, _: &AllocationMap, offset: u64) -> (u64, bool) {
        let end = u64::from(MAP_AT) + self.blocks() * 4;
        if offset < end { (end - offset, false) } else { (self.first() - offset, true) }
    }

    fn length(&self, stored: &AllocationMap) -> u64 {
        self.first() + stored.count() * BLOCK
    }

    fn read_metadata(&self, stored: &AllocationMap, identity: &Identity, offset: u64, buffer: &mut [u8]) {
        if offset < HEADER_SECTOR as u64 {
            put(buffer, offset, 0, &self.header(stored, identity));
        }
        // Entries are asked for in order, and counting is dearer than going on.
        let mut rank = None;
        put_table(buffer, offset, u64::from(MAP_AT), self.blocks(), |block| {
            if !stored.contains(block) {
                return FREE.to_le_bytes();
            }
            let place = rank.unwrap_or_else(|| stored.rank(block));
            rank = Some(place + 1);
            narrow(place).to_le_bytes()
        });
    }
}

/// A number that fits because the disk's size was checked.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
