use std::fmt;

use super::{AllocationMap, Identity, Layout, Origin, Segment};
use crate::ImageFormat;

/// How many units may have to be gone through to find the place of one.
const STRIDE: usize = 512;

/// How a compressed format arranges a file: metadata, then the packed units that are there in the guest's order, with
/// gaps as the format needs them, then more metadata.
///
/// A unit's place follows from the lengths of those before it. Those lengths are known once all units were packed:
/// four bytes each ([`PackedUnits`]) are all that must be kept to plan the file again.
pub trait PackedFormat: Send + Sync {
    /// Where the next unit may stand: what placing depends on.
    type Cursor: Clone + Send + Sync + fmt::Debug;

    /// Which format this is.
    fn format(&self) -> ImageFormat;

    /// What the guest sees, in bytes.
    fn disk_size(&self) -> u64;

    /// Guest bytes of a unit (cluster, grain).
    fn unit(&self) -> u64;

    /// Before any unit is placed.
    fn start(&self) -> Self::Cursor;

    /// Places the next unit that is there, of so many bytes in the file, and answers where it begins.
    fn place(&self, cursor: &mut Self::Cursor, unit: u64, length: u32) -> u64;

    /// Packs units, always to the same bytes. One for each thread.
    fn packer(&self) -> Box<dyn Packer>;

    /// Takes note of what follows from all units together, before the length or metadata is asked for:
    /// [`PackedLayout::new`] does it once, so that reading stays quick.
    fn prepare(&mut self, units: &PackedUnits<Self>) {
        let _ = units;
    }

    /// The longest file that the format can have, in bytes: whoever packs must stop there.
    fn longest_file(&self) -> u64 {
        u64::MAX
    }

    /// The file's length, after the last unit was placed.
    fn length(&self, units: &PackedUnits<Self>) -> u64;

    /// Fills the buffer, which is all zeros, with what the file has from `offset` on besides units: headers, tables.
    /// Parts of the buffer that belong to units, or to gaps, are left alone.
    fn read_metadata(&self, units: &PackedUnits<Self>, identity: &Identity, offset: u64, buffer: &mut [u8]);
}

/// Packs one unit after another.
pub trait Packer: Send {
    /// Appends to `packed` what stands in the file for a unit: `data` is its guest bytes, whole, zeros behind the
    /// disk's end.
    fn pack(&mut self, unit: u64, data: &[u8], packed: &mut Vec<u8>);
}

/// The packed units of a disk: which there are, and how long each is in the file.
#[derive(Debug, Clone)]
pub struct PackedUnits<F: PackedFormat + ?Sized> {
    stored: AllocationMap,
    lengths: Vec<u32>,
    /// Every so many units, the cursor before the unit is placed.
    checkpoints: Vec<F::Cursor>,
    end: F::Cursor,
}

/// A unit in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedUnit {
    /// Its number in the guest.
    pub unit: u64,
    /// Its first byte in the file.
    pub place: u64,
    /// Bytes in the file.
    pub length: u32,
}

impl<F: PackedFormat> PackedUnits<F> {
    /// Places all units. There must be a length for each unit that is there; units without one are left out.
    #[must_use]
    pub fn new(format: &F, stored: AllocationMap, lengths: Vec<u32>) -> Self {
        let mut checkpoints = Vec::with_capacity(lengths.len().div_ceil(STRIDE));
        let mut cursor = format.start();
        for (rank, (unit, length)) in numbers(&stored, 0).zip(&lengths).enumerate() {
            if rank.is_multiple_of(STRIDE) {
                checkpoints.push(cursor.clone());
            }
            format.place(&mut cursor, unit, *length);
        }
        Self { stored, lengths, checkpoints, end: cursor }
    }

    /// Which units there are.
    #[must_use]
    pub fn stored(&self) -> &AllocationMap {
        &self.stored
    }

    /// After the last unit.
    #[must_use]
    pub fn end(&self) -> &F::Cursor {
        &self.end
    }

    /// The units in their places, from the one on that has `rank` others before it.
    pub fn placed<'a>(&'a self, format: &'a F, rank: u64) -> impl Iterator<Item = PlacedUnit> + 'a {
        let rank = usize::try_from(rank).unwrap_or(usize::MAX);
        let from = rank / STRIDE;
        let mut cursor = self.checkpoints.get(from).unwrap_or(&self.end).clone();
        let first = from.saturating_mul(STRIDE).min(self.lengths.len());
        let units = numbers(&self.stored, first as u64).zip(&self.lengths[first..]);
        let placed = units.map(move |(unit, &length)| {
            let place = format.place(&mut cursor, unit, length);
            PlacedUnit { unit, place, length }
        });
        placed.skip(rank.saturating_sub(first))
    }

    /// Where something else than units stands: before the first, and between two that do not follow each other.
    pub(crate) fn gaps<'a>(&'a self, format: &'a F) -> Vec<std::ops::Range<u64>> {
        let mut gaps = Vec::new();
        let mut end = 0;
        for placed in self.placed(format, 0) {
            if placed.place > end {
                gaps.push(end..placed.place);
            }
            end = placed.place + u64::from(placed.length);
        }
        gaps.push(end..end);
        gaps
    }

    /// The last unit that begins at or before this byte of the file, or the first unit when none does.
    pub(crate) fn at(&self, format: &F, offset: u64) -> Option<PlacedUnit> {
        let begins_after = |cursor: &F::Cursor, rank: usize| {
            let unit = self.stored.select((rank * STRIDE) as u64)?;
            Some(format.place(&mut cursor.clone(), unit, self.lengths[rank * STRIDE]) > offset)
        };
        // Checkpoints stand in the order of their places.
        let mut low = 0;
        let mut high = self.checkpoints.len();
        while low < high {
            let middle = usize::midpoint(low, high);
            if begins_after(&self.checkpoints[middle], middle)? { high = middle } else { low = middle + 1 }
        }
        let from = low.saturating_sub(1) * STRIDE;
        let mut found: Option<PlacedUnit> = None;
        for placed in self.placed(format, from as u64) {
            if placed.place > offset && found.is_some() {
                break;
            }
            found = Some(placed);
            if placed.place > offset {
                break;
            }
        }
        found
    }
}

/// The numbers of the units that are there, from the one on that has `rank` others before it.
fn numbers(stored: &AllocationMap, rank: u64) -> impl Iterator<Item = u64> + '_ {
    let mut next = stored.select(rank);
    std::iter::from_fn(move || {
        let unit = next?;
        next = if stored.contains(unit + 1) { Some(unit + 1) } else { stored.next(unit + 1) };
        Some(unit)
    })
}

/// The plan of a file of a [`PackedFormat`].
pub struct PackedLayout<F: PackedFormat> {
    format: F,
    units: PackedUnits<F>,
    identity: Identity,
    length: u64,
}

impl<F: PackedFormat> PackedLayout<F> {
    /// Plans a file of these units.
    #[must_use]
    pub fn new(mut format: F, units: PackedUnits<F>, identity: Identity) -> Self {
        format.prepare(&units);
        let length = format.length(&units);
        Self { format, units, identity, length }
    }
}

impl<F: PackedFormat> Layout for PackedLayout<F> {
    fn length(&self) -> u64 {
        self.length
    }

    fn disk_size(&self) -> u64 {
        self.format.disk_size()
    }

    fn segment_at(&self, offset: u64) -> Option<Segment> {
        if offset >= self.length {
            return None;
        }
        let metadata = |end: u64| Some(Segment { offset, length: end - offset, origin: Origin::Metadata });
        let Some(placed) = self.units.at(&self.format, offset) else { return metadata(self.length) };
        if offset < placed.place {
            return metadata(placed.place);
        }
        let within = offset - placed.place;
        if within < u64::from(placed.length) {
            let origin = Origin::Packed { unit: placed.unit, within };
            return Some(Segment { offset, length: u64::from(placed.length) - within, origin });
        }
        let rank = self.units.stored.rank(placed.unit + 1);
        let next = self.units.placed(&self.format, rank).next();
        metadata(next.map_or(self.length, |next| next.place))
    }

    fn read_metadata(&self, offset: u64, buffer: &mut [u8]) {
        self.format.read_metadata(&self.units, &self.identity, offset, buffer);
    }

    fn unit(&self) -> u64 {
        self.format.unit()
    }

    fn packer(&self) -> Option<Box<dyn Packer>> {
        Some(self.format.packer())
    }
}
