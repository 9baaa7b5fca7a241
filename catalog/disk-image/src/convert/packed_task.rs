use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::{crew::Task, fingerprint::Fingerprint, target_file::TargetFile, windows::Window, zeros};
use crate::{
    ImageError,
    layout::{AllocationMapBuilder, PackedFormat, Packer},
};

/// Writes the units of a compressed format one after another. Compressing is the work of each thread for itself.
pub(super) struct PackedTask<'a, F: PackedFormat> {
    pub(super) format: &'a F,
    pub(super) target: &'a TargetFile<'a>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) placed: Mutex<PlacedSoFar<F>>,
}

pub(super) struct PlacedSoFar<F: PackedFormat> {
    pub(super) stored: AllocationMapBuilder,
    pub(super) lengths: Vec<u32>,
    pub(super) cursor: F::Cursor,
}

pub(super) struct PackedHand {
    packer: Box<dyn Packer>,
    /// A unit at the disk's end, filled up.
    last_unit: Vec<u8>,
    /// The window's packed units, one behind the other.
    packed: Vec<u8>,
    /// Their numbers and where they stand in `packed`.
    units: Vec<(u64, Range<usize>)>,
    /// What of `packed` goes where.
    placed: Vec<(Range<usize>, u64)>,
}

impl<F: PackedFormat> Task for PackedTask<'_, F> {
    type Hand = PackedHand;

    fn hand(&self) -> Self::Hand {
        PackedHand {
            packer: self.format.packer(),
            last_unit: Vec::new(),
            packed: Vec::new(),
            units: Vec::new(),
            placed: Vec::new(),
        }
    }

    fn prepare(&self, hand: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError> {
        let unit = usize::try_from(self.format.unit()).unwrap_or(usize::MAX);
        hand.packed.clear();
        hand.units.clear();
        let first = window.offset / self.format.unit();
        for (number, data) in (first..).zip(bytes.chunks(unit)) {
            if zeros::is_zero(data) {
                continue;
            }
            let start = hand.packed.len();
            if data.len() == unit {
                hand.packer.pack(number, data, &mut hand.packed);
            } else {
                hand.last_unit.clear();
                hand.last_unit.extend(data);
                hand.last_unit.resize(unit, 0);
                hand.packer.pack(number, &hand.last_unit, &mut hand.packed);
            }
            hand.units.push((number, start..hand.packed.len()));
        }
        if let Some(fingerprint) = &self.fingerprint {
            fingerprint.add(window.offset, bytes);
        }
        Ok(())
    }

    fn place(&self, hand: &mut Self::Hand, _: Window) -> Result<(), ImageError> {
        hand.placed.clear();
        let mut so_far = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = &mut *so_far;
        for (number, range) in &hand.units {
            let length = u32::try_from(range.len()).unwrap_or(u32::MAX);
            let place = self.format.place(&mut so_far.cursor, *number, length);
            let longest = self.format.longest_file();
            if place.saturating_add(length.into()) > longest {
                let problem = format!("the file would pass {longest} bytes, where its numbers end");
                return Err(ImageError::Unwritable { format: self.format.format(), problem });
            }
            so_far.stored.add(*number, number + 1);
            so_far.lengths.push(length);
            match hand.placed.last_mut() {
                Some((last, at)) if last.end == range.start && *at + last.len() as u64 == place => {
                    last.end = range.end;
                }
                _ => hand.placed.push((range.clone(), place)),
            }
        }
        Ok(())
    }

    fn store(&self, hand: &mut Self::Hand, _: Window, _: &[u8]) -> Result<(), ImageError> {
        for (range, place) in &hand.placed {
            self.target.write_at(*place, &hand.packed[range.clone()])?;
        }
        Ok(())
    }
}
