use super::{BEFORE_HEADER, DYNAMIC, FIXED, MOST_BLOCKS, SIGNATURE, SIGNATURE_AT, VERSION, refused};
use crate::{ImageError, LARGEST_DISK, SECTOR, source::ImageFile};

/// All fields that are known to this reader.
const KNOWN: usize = 456;
/// Without the geometry that newer versions of the format's program append.
const SHORTEST_HEADER: u32 = 384;
const SMALLEST_BLOCK: u64 = 4 << 10;
const LARGEST_BLOCK: u64 = 256 << 20;

/// A header whose every number has been checked, alone and against the file's length.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) is_fixed: bool,
    /// Who made it, and what a person wrote about it.
    pub(super) creator: String,
    pub(super) description: String,
    /// Where the map stands, in bytes.
    pub(super) map: u64,
    /// Where the first block stands, in bytes.
    pub(super) data: u64,
    /// As stored, in bytes: not always a multiple of 512.
    pub(super) size: u64,
    pub(super) block: u64,
    /// Entries of the map; the disk may need fewer.
    pub(super) blocks: u64,
    /// Blocks that the file says are there.
    pub(super) allocated: u64,
    pub(super) uuid: [u8; 16],
}

impl Header {
    /// Blocks that the disk needs.
    pub(super) fn needed(&self) -> u64 {
        self.size.div_ceil(self.block)
    }

    pub(super) fn read(source: &ImageFile) -> Result<Self, ImageError> {
        if source.length() < KNOWN as u64 {
            return Err(refused("header", 0, "is cut off: the file is too short for one"));
        }
        let bytes: [u8; KNOWN] = source.read_array(0)?;
        let fields = Fields(&bytes);
        if fields.u32(64) != SIGNATURE {
            return Err(refused("signature", SIGNATURE_AT, "is not that of VDI"));
        }
        let version = fields.u32(68);
        if version != VERSION {
            let (major, minor) = (version >> 16, version & 0xffff);
            return Err(refused("version", 68, format!("is {major}.{minor}; version 1.1 is read")));
        }
        refuse_references(&fields)?;
        let header = Self {
            is_fixed: fields.u32(76) == FIXED,
            creator: text(&bytes[..64]),
            description: text(&bytes[84..340]),
            map: u64::from(fields.u32(340)),
            data: u64::from(fields.u32(344)),
            size: fields.u64(368),
            block: u64::from(fields.u32(376)),
            blocks: u64::from(fields.u32(384)),
            allocated: u64::from(fields.u32(388)),
            uuid: fields.bytes(392),
        };
        header.check_units(&fields)?;
        header.check_counts()?;
        header.check_places(&fields, source.length())?;
        Ok(header)
    }

    fn check_units(&self, fields: &Fields<'_>) -> Result<(), ImageError> {
        let sector = fields.u32(360);
        if u64::from(sector) != SECTOR {
            return Err(refused("sector_size", 360, format!("is {sector}, not 512")));
        }
        if !self.block.is_power_of_two() || !(SMALLEST_BLOCK..=LARGEST_BLOCK).contains(&self.block) {
            return Err(refused(
                "block_size",
                376,
                format!("is {}, not a power of two from 4 KiB to 256 MiB", self.block),
            ));
        }
        let extra = fields.u32(380);
        if extra != 0 {
            // Before the data, says the format's own program; QEMU takes it for nothing: there is no one disk.
            let problem =
                format!("is {extra}: programs disagree where such blocks lie; convert it with VirtualBox first");
            return Err(refused("block_extra", 380, problem));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), ImageError> {
        if self.size > LARGEST_DISK {
            return Err(refused("disk_size", 368, format!("is {} bytes; at most {LARGEST_DISK} are read", self.size)));
        }
        if self.blocks > MOST_BLOCKS {
            return Err(refused("blocks_in_image", 384, format!("is {}; at most {MOST_BLOCKS} are read", self.blocks)));
        }
        if self.blocks < self.needed() {
            let problem = format!("is {}, but the disk's size needs {}", self.blocks, self.needed());
            return Err(refused("blocks_in_image", 384, problem));
        }
        if self.allocated > self.blocks {
            let problem = format!("is {}, of {} blocks in all", self.allocated, self.blocks);
            return Err(refused("blocks_allocated", 388, problem));
        }
        Ok(())
    }

    fn check_places(&self, fields: &Fields<'_>, file_length: u64) -> Result<(), ImageError> {
        let length = fields.u32(72);
        if length < SHORTEST_HEADER {
            return Err(refused("header_size", 72, format!("is {length}, less than {SHORTEST_HEADER}")));
        }
        for (field, at, place) in [("offset_bmap", 340, self.map), ("offset_data", 344, self.data)] {
            if !place.is_multiple_of(SECTOR) {
                return Err(refused(field, at, format!("is {place}, not a sector's beginning")));
            }
        }
        if self.map < BEFORE_HEADER + u64::from(length) {
            return Err(refused("offset_bmap", 340, "leads the map upon the header"));
        }
        let end = self.map + self.blocks * 4;
        if end > file_length {
            return Err(refused("offset_bmap", 340, "leads the map out of the file; it may have been cut off"));
        }
        if self.data < end {
            return Err(refused("offset_data", 344, "leads the blocks upon the header or the map"));
        }
        Ok(())
    }
}

fn refuse_references(fields: &Fields<'_>) -> Result<(), ImageError> {
    const CURE: &str = "and an image must stand alone; clone it with VirtualBox first";
    match fields.u32(76) {
        DYNAMIC | FIXED => {}
        3 => return Err(refused("image_type", 76, format!("is 3: it holds former states of another image, {CURE}"))),
        4 => return Err(refused("image_type", 76, format!("is 4: it holds changes of another image, {CURE}"))),
        other => return Err(refused("image_type", 76, format!("is {other}; 1 (dynamic) and 2 (fixed) are read"))),
    }
    for (field, at) in [("uuid_link", 424), ("uuid_parent", 440)] {
        if fields.bytes(at) != [0; 16] {
            return Err(refused(field, at as u64, format!("names another image, {CURE}")));
        }
    }
    Ok(())
}

/// Text that is filled up with zeros.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// Little-endian numbers at fixed places.
struct Fields<'a>(&'a [u8; KNOWN]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}
