use super::{AllocationMap, Identity, Layout, Origin, Segment};
use crate::{ImageError, ImageFormat};

/// How a sparse format arranges a file: metadata, then the units that are there, in the guest's order and one after
/// another, then more metadata.
///
/// The first unit's place does not depend on how many there are: so a file can be written in one pass, while it is
/// still being found out what is there. What depends on it stands at the end.
pub trait UnitFormat: Send + Sync {
    /// Which format this is.
    fn format(&self) -> ImageFormat;

    /// What the guest sees, in bytes.
    fn disk_size(&self) -> u64;

    /// Guest bytes of a unit (cluster, grain, block).
    fn unit(&self) -> u64;

    /// Takes note of what follows from the whole map, before anything but [`UnitFormat::first`], [`UnitFormat::prefix`]
    /// and [`UnitFormat::place`] is asked: [`UnitLayout::new`] does it once, so that reading stays quick.
    fn prepare(&mut self, stored: &AllocationMap) {
        let _ = stored;
    }

    /// Where the first unit begins in the file, with its prefix; this is the end of the metadata at the beginning.
    fn first(&self) -> u64;

    /// Bytes of metadata before each unit's data.
    fn prefix(&self) -> u64 {
        0
    }

    /// How many bytes from `offset` on, which lies before the first unit, are alike, and whether they are all zeros,
    /// so that tables of a disk that holds little need not be stored.
    fn metadata_run(&self, stored: &AllocationMap, offset: u64) -> (u64, bool) {
        let _ = stored;
        (self.first() - offset, false)
    }

    /// The file's length when so many units are there: [`UnitFormat::first`], the units, the metadata at the end.
    fn length(&self, stored: &AllocationMap) -> u64;

    /// Fills the buffer, which is all zeros, with metadata from `offset` of the file on. It lies before the first
    /// unit, in one prefix, or behind the last unit.
    fn read_metadata(&self, stored: &AllocationMap, identity: &Identity, offset: u64, buffer: &mut [u8]);

    /// How many units may be there at most, where the format's numbers end before the disk does.
    fn most_units(&self) -> u64 {
        u64::MAX
    }

    /// The error of a disk that has more.
    fn too_many_units(&self) -> ImageError {
        let (most, unit) = (self.most_units(), self.unit());
        ImageError::Unwritable {
            format: self.format(),
            problem: format!("it holds more than {most} blocks of {unit} bytes; choose another format"),
        }
    }

    /// Where the data of the unit begins that has `rank` others before it.
    fn place(&self, rank: u64) -> u64 {
        self.first() + rank * (self.prefix() + self.unit()) + self.prefix()
    }
}

/// The plan of a file of a [`UnitFormat`].
pub struct UnitLayout<F> {
    format: F,
    stored: AllocationMap,
    identity: Identity,
    length: u64,
    /// Where the metadata at the end begins.
    tail: u64,
}

impl<F: UnitFormat> UnitLayout<F> {
    /// Plans a file that holds these units. The map's unit must be the format's.
    #[must_use]
    pub fn new(mut format: F, stored: AllocationMap, identity: Identity) -> Self {
        format.prepare(&stored);
        let length = format.length(&stored);
        let tail = format.first() + stored.count() * (format.prefix() + format.unit());
        Self { format, stored, identity, length, tail }
    }

    /// What is there.
    #[must_use]
    pub fn stored(&self) -> &AllocationMap {
        &self.stored
    }
}

impl<F: UnitFormat> Layout for UnitLayout<F> {
    fn length(&self) -> u64 {
        self.length
    }

    fn disk_size(&self) -> u64 {
        self.format.disk_size()
    }

    fn segment_at(&self, offset: u64) -> Option<Segment> {
        let metadata = |end: u64| Segment { offset, length: end - offset, origin: Origin::Metadata };
        if offset >= self.length {
            return None;
        }
        let first = self.format.first();
        if offset < first {
            let (run, zeros) = self.format.metadata_run(&self.stored, offset);
            let origin = if zeros { Origin::Zero } else { Origin::Metadata };
            return Some(Segment { offset, length: run.clamp(1, first - offset), origin });
        }
        if offset >= self.tail {
            return Some(metadata(self.length));
        }
        let (prefix, unit) = (self.format.prefix(), self.format.unit());
        let rank = (offset - first) / (prefix + unit);
        let within = (offset - first) % (prefix + unit);
        if within < prefix {
            return Some(metadata(offset - within + prefix));
        }
        let number = self.stored.select(rank)?;
        let within = within - prefix;
        // Units that follow each other in the guest follow each other in the file, unless something stands between.
        let run = if prefix == 0 { self.stored.run(number).max(1) } else { 1 };
        Some(Segment { offset, length: run * unit - within, origin: Origin::Guest(number * unit + within) })
    }

    fn read_metadata(&self, offset: u64, buffer: &mut [u8]) {
        self.format.read_metadata(&self.stored, &self.identity, offset, buffer);
    }
}

/// Copies what a region of a file and a buffer, which shows the file from `offset` on, have in common.
pub(crate) fn put(buffer: &mut [u8], offset: u64, region: u64, bytes: &[u8]) {
    let end = offset + buffer.len() as u64;
    let from = offset.max(region);
    let to = end.min(region + bytes.len() as u64);
    if from < to {
        let [into, out] = [from - offset, from - region].map(|start| usize::try_from(start).unwrap_or(0));
        let length = usize::try_from(to - from).unwrap_or(0);
        buffer[into..into + length].copy_from_slice(&bytes[out..out + length]);
    }
}

/// Fills what a table of fixed-width entries and a buffer, which shows the file from `offset` on, have in common.
/// Entries are asked for in order; what no entry covers is left alone.
pub(crate) fn put_table<const WIDTH: usize>(
    buffer: &mut [u8],
    offset: u64,
    table: u64,
    entries: u64,
    mut entry: impl FnMut(u64) -> [u8; WIDTH],
) {
    let width = WIDTH as u64;
    let end = offset + buffer.len() as u64;
    let from = offset.max(table);
    let to = end.min(table + entries * width);
    if from >= to {
        return;
    }
    for index in (from - table) / width..(to - table).div_ceil(width) {
        put(buffer, offset, table + index * width, &entry(index));
    }
}
