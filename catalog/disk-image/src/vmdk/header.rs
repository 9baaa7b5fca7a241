use std::ops::Range;

use super::{ENTRIES, LARGEST_DIRECTORY, MAGIC, descriptor::LARGEST_TEXT, refused};
use crate::{ImageError, LARGEST_DISK, SECTOR, source::ImageFile};

/// Bytes of a header or footer that mean something.
const LENGTH: usize = 79;
/// The grain directory stands where the footer says.
const AT_END: u64 = u64::MAX;
/// Footer marker, footer and the marker of the end.
const FOOTER: u64 = 3 * SECTOR;
const FOOTER_MARKER: u32 = 3;

/// 4 KiB and 2 MiB, in sectors. Writers use 64 KiB.
const GRAINS: std::ops::RangeInclusive<u64> = 8..=4096;

const NEWLINE_TEST: u32 = 1;
const REDUNDANT: u32 = 1 << 1;
const ZERO_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;
/// A reader that does not know one of these must not read; the lower half may be ignored.
const INCOMPATIBLE: u32 = 0xffff_0000;

/// The header of a sparse extent, or the footer that stands for it, whose every number has been checked, alone and
/// against the file's length.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) version: u32,
    /// Guest-visible, in sectors.
    pub(super) capacity: u64,
    /// Sectors of a grain.
    pub(super) grain: u64,
    /// Where the embedded descriptor stands, in bytes; empty when there is none.
    pub(super) descriptor: Range<u64>,
    /// Where the grain directory stands, in bytes.
    pub(super) directory: u64,
    /// Where the second one stands, in bytes.
    pub(super) redundant: Option<u64>,
    /// Entries of each directory.
    pub(super) entries: u64,
    /// Grains are zlib streams.
    pub(super) compressed: bool,
    /// Compressed grains tell where in the guest they belong.
    pub(super) markers: bool,
    /// An entry of 1 in a grain table is a grain of zeros.
    pub(super) zero_grains: bool,
    /// Not closed properly.
    pub(super) unclean: bool,
    /// The end of the file that is no grain's, in bytes; empty without a footer.
    pub(super) footer: Range<u64>,
    /// The footer says another capacity than the header.
    pub(super) contradicted: bool,
}

impl Header {
    pub(super) fn read(source: &ImageFile) -> Result<Self, ImageError> {
        let length = source.length();
        if length < SECTOR {
            return Err(refused("header", 0, "is cut off: the file is too short for one"));
        }
        let at_start = Fields { bytes: source.read_array(0)?, base: 0 };
        if at_start.u64(56) != AT_END {
            return Self::check(&at_start, length, length..length);
        }
        let footer = read_footer(source)?;
        let header = Self::check(&footer, length, length - FOOTER..length)?;
        let contradicted = at_start.u64(12) != footer.u64(12) && at_start.u64(12) != 0;
        Ok(Self { contradicted, ..header })
    }

    /// Bytes of a grain.
    pub(super) fn grain_bytes(&self) -> u64 {
        self.grain * SECTOR
    }

    /// Grains of the disk.
    pub(super) fn grains(&self) -> u64 {
        self.capacity.div_ceil(self.grain)
    }

    fn check(fields: &Fields, length: u64, footer: Range<u64>) -> Result<Self, ImageError> {
        fields.check_magic()?;
        let version = fields.u32(4);
        if !(1..=3).contains(&version) {
            return Err(fields.refused("version", 4, format!("is {version}; versions 1 to 3 are read")));
        }
        let flags = fields.u32(8);
        let unknown = flags & INCOMPATIBLE & !(COMPRESSED | MARKERS);
        if unknown != 0 {
            return Err(fields.refused("flags", 8, format!("have unknown bits {unknown:#x}")));
        }
        if flags & NEWLINE_TEST != 0 && fields.bytes[73..77] != *b"\n \r\n" {
            let problem = "are not as written: the file was transferred as text; transfer it again as binary";
            return Err(fields.refused("end-of-line characters", 73, problem));
        }
        let compressed = fields.compression(flags)?;
        let (capacity, grain) = fields.geometry()?;
        let entries = capacity.div_ceil(grain * ENTRIES);
        if entries * 4 > LARGEST_DIRECTORY {
            return Err(fields.refused("capacity", 12, "needs more than 32 MiB of grain directory"));
        }
        let overhead = fields.u64(64);
        if overhead > length.div_ceil(SECTOR) {
            let problem = format!("is {overhead} sectors, more than the file has; it may have been cut off");
            return Err(fields.refused("overHead", 64, problem));
        }
        let directory = fields.directory("gdOffset", 56, entries, length)?;
        let redundant = (flags & REDUNDANT != 0 && fields.u64(48) != 0 && fields.u64(48) != fields.u64(56))
            .then(|| fields.directory("rgdOffset", 48, entries, length))
            .transpose()?;
        Ok(Self {
            version,
            capacity,
            grain,
            descriptor: fields.descriptor(length)?,
            directory,
            redundant,
            entries,
            compressed,
            markers: flags & MARKERS != 0,
            zero_grains: flags & ZERO_GRAINS != 0,
            unclean: fields.bytes[72] != 0,
            footer,
            contradicted: false,
        })
    }
}

/// A marker, the footer, and a marker of the end: the last three sectors of the file.
fn read_footer(source: &ImageFile) -> Result<Fields, ImageError> {
    let cut = "the file has no footer at its end, where the grain directory should be named; it may have been cut off";
    let Some(base) = source.length().checked_sub(FOOTER).filter(|base| *base >= SECTOR) else {
        return Err(refused("gdOffset", 56, format!("asks for a footer, but {cut}")));
    };
    let marker = Fields { bytes: source.read_array(base)?, base };
    let end = Fields { bytes: source.read_array(base + 2 * SECTOR)?, base: base + 2 * SECTOR };
    let footer = Fields { bytes: source.read_array(base + SECTOR)?, base: base + SECTOR };
    if marker.u32(8) != 0 || marker.u32(12) != FOOTER_MARKER || footer.bytes[..4] != MAGIC {
        return Err(refused("footer marker", base, format!("is missing: {cut}")));
    }
    if end.bytes[..16] != [0; 16] {
        return Err(refused("end-of-stream marker", end.base, "is missing; the file may have been cut off"));
    }
    if footer.u64(56) == AT_END {
        return Err(footer.refused("gdOffset", 56, "asks for a footer in the footer itself"));
    }
    Ok(footer)
}

/// Little-endian numbers at fixed places.
struct Fields {
    bytes: [u8; LENGTH],
    /// Where they stand in the file.
    base: u64,
}

impl Fields {
    fn u32(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn refused(&self, field: &'static str, at: u64, problem: impl Into<String>) -> ImageError {
        refused(field, self.base + at, problem)
    }

    fn check_magic(&self) -> Result<(), ImageError> {
        if self.bytes[..4] == MAGIC { Ok(()) } else { Err(self.refused("magicNumber", 0, "is not that of VMDK")) }
    }

    fn compression(&self, flags: u32) -> Result<bool, ImageError> {
        let mut algorithm = [0; 2];
        algorithm.copy_from_slice(&self.bytes[77..79]);
        match (u16::from_le_bytes(algorithm), flags & COMPRESSED != 0) {
            (0, false) => Ok(false),
            (1, true) => Ok(true),
            (other, flag) if other > 1 => {
                let _ = flag;
                Err(self.refused("compressAlgorithm", 77, format!("is {other}, which is unknown")))
            }
            (algorithm, _) => Err(self.refused("compressAlgorithm", 77, format!("is {algorithm}, against the flags"))),
        }
    }

    /// Capacity and grain, in sectors.
    fn geometry(&self) -> Result<(u64, u64), ImageError> {
        let capacity = self.u64(12);
        if capacity > LARGEST_DISK / SECTOR {
            let problem = format!("is {capacity} sectors; at most {} are read", LARGEST_DISK / SECTOR);
            return Err(self.refused("capacity", 12, problem));
        }
        let grain = self.u64(20);
        if !GRAINS.contains(&grain) || !grain.is_power_of_two() {
            let problem = format!("is {grain} sectors, not a power of two from 8 to 4096");
            return Err(self.refused("grainSize", 20, problem));
        }
        match self.u32(44) {
            512 => Ok((capacity, grain)),
            other => Err(self.refused("numGTEsPerGT", 44, format!("is {other} instead of 512"))),
        }
    }

    /// Where a descriptor stands within the file, in bytes.
    fn descriptor(&self, length: u64) -> Result<Range<u64>, ImageError> {
        let (offset, sectors) = (self.u64(28), self.u64(36));
        if offset == 0 || sectors == 0 {
            return Ok(0..0);
        }
        if sectors > LARGEST_TEXT / SECTOR {
            return Err(self.refused("descriptorSize", 36, format!("is {sectors} sectors, more than 1 MiB")));
        }
        let start = offset.checked_mul(SECTOR);
        match start.and_then(|start| Some(start..start.checked_add(sectors * SECTOR)?)) {
            Some(range) if range.end <= length => Ok(range),
            _ => Err(self.refused("descriptorOffset", 28, "leads out of the file; it may have been cut off")),
        }
    }

    /// Where a grain directory stands, in bytes.
    fn directory(&self, field: &'static str, at: usize, entries: u64, length: u64) -> Result<u64, ImageError> {
        // A disk without bytes has no directory, wherever the header says that it stands.
        if entries == 0 {
            return Ok(0);
        }
        let offset = self.u64(at);
        if offset == 0 {
            return Err(self.refused(field, at as u64, "is 0, where the header stands"));
        }
        let start = offset.checked_mul(SECTOR);
        match start.filter(|start| start.checked_add(entries * 4).is_some_and(|end| end <= length)) {
            Some(start) => Ok(start),
            None => Err(self.refused(field, at as u64, "leads out of the file; it may have been cut off")),
        }
    }
}
