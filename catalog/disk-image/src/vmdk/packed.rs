use libdeflater::DecompressionError;

use super::{header::Header, memory::Room};
use crate::{ImageError, SECTOR, source::ImageFile};

/// The fewest bytes of a grain: its prefix without a marker, and an empty zlib stream.
pub(super) const LEAST_PACKED: u64 = 4 + 8;

/// A compressed grain's prefix.
struct Prefix {
    /// The guest's sector that it says it belongs to.
    sector: Option<u64>,
    /// Bytes of the zlib stream behind it.
    length: u64,
}

impl Prefix {
    fn length(header: &Header) -> u64 {
        if header.markers { 12 } else { 4 }
    }

    fn read(header: &Header, bytes: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        if header.markers {
            let length = u32::from_le_bytes([i, j, k, l]).into();
            Self { sector: Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])), length }
        } else {
            Self { sector: None, length: u32::from_le_bytes([a, b, c, d]).into() }
        }
    }

    /// What is wrong with it, for this grain, which has so many bytes of the file.
    fn problem(&self, header: &Header, grain: u64, available: u64) -> Option<String> {
        let belongs = grain * header.grain;
        if let Some(sector) = self.sector.filter(|sector| *sector != belongs) {
            return Some(format!("a grain that says it belongs to sector {sector} instead of {belongs}"));
        }
        // No packer doubles what it packs: QEMU's bound too.
        let most = 2 * header.grain_bytes();
        if self.length == 0 || self.length > most {
            return Some(format!("a grain of {} packed bytes, not 1 to {most}", self.length));
        }
        if Self::length(header) + self.length > available {
            return Some(format!("a grain of {} packed bytes, which runs into what follows it", self.length));
        }
        None
    }
}

/// Says what is wrong with the grain that stands last in the file, without unpacking it: it may have been cut off.
pub(super) fn problem_of_last(
    header: &Header,
    source: &ImageFile,
    grain: u64,
    sector: u32,
) -> Result<Option<String>, ImageError> {
    let start = u64::from(sector) * SECTOR;
    let prefix = Prefix::read(header, &source.read_array(start)?);
    Ok(prefix.problem(header, grain, header.footer.start - start))
}

/// Unpacks a grain into the buffer, which has room for exactly a grain. The inner error says what is wrong with it,
/// as words after `leads to`.
///
/// `next` is a sector behind it where something else begins.
pub(super) fn unpack(
    header: &Header,
    source: &ImageFile,
    room: &mut Room,
    (grain, sector, next): (u64, u32, Option<u32>),
    buffer: &mut [u8],
) -> Result<Result<(), String>, ImageError> {
    let start = u64::from(sector) * SECTOR;
    let most = Prefix::length(header) + 2 * header.grain_bytes();
    let end = next.map_or(header.footer.start, |next| u64::from(next) * SECTOR).min(header.footer.start);
    let available = end.saturating_sub(start);
    room.packed.resize(usize::try_from(available.min(most)).unwrap_or(0).max(12), 0);
    source.read_padded(start, &mut room.packed)?;

    let mut bytes = [0; 12];
    bytes.copy_from_slice(&room.packed[..12]);
    let prefix = Prefix::read(header, &bytes);
    if let Some(problem) = prefix.problem(header, grain, available) {
        return Ok(Err(problem));
    }
    let from = usize::try_from(Prefix::length(header)).unwrap_or(0);
    let stream = &room.packed[from..from + usize::try_from(prefix.length).unwrap_or(0)];
    let whole = buffer.len();
    // Writers may leave out what stands behind the disk's end, and nothing else.
    let needed = (header.capacity - grain * header.grain).min(header.grain) * SECTOR;
    Ok(match room.decompressor.zlib_decompress(stream, buffer) {
        Ok(length) if length as u64 >= needed => {
            buffer[length..].fill(0);
            Ok(())
        }
        Ok(length) => Err(format!("a compressed grain that unpacks to {length} bytes instead of {whole}")),
        Err(DecompressionError::InsufficientSpace) => {
            Err(format!("a compressed grain that unpacks to more than {whole} bytes"))
        }
        Err(DecompressionError::BadData) => Err("a compressed grain that is no zlib stream".into()),
    })
}
