use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::{crew::Task, fingerprint::Fingerprint, target_file::TargetFile, windows::Window, zeros};
use crate::{
    ImageError,
    layout::{AllocationMapBuilder, UnitFormat},
};

/// The least run of zeros within a unit that becomes a hole, in bytes.
const HOLE: usize = 4 << 10;

/// Writes the units of a sparse format one after another, as they turn out to hold anything.
pub(super) struct UnitsTask<'a, F> {
    pub(super) format: &'a F,
    pub(super) target: &'a TargetFile<'a>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) stored: Mutex<AllocationMapBuilder>,
}

/// A run of bytes that are not zero, and where it goes.
pub(super) struct PlacedRun {
    bytes: Range<usize>,
    place: u64,
}

#[derive(Default)]
pub(super) struct UnitsHand {
    runs: Vec<Range<usize>>,
    placed: Vec<PlacedRun>,
}

impl<F: UnitFormat> Task for UnitsTask<'_, F> {
    type Hand = UnitsHand;

    fn hand(&self) -> Self::Hand {
        UnitsHand::default()
    }

    fn prepare(&self, hand: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError> {
        let step = usize::try_from(self.format.unit()).unwrap_or(usize::MAX).min(HOLE);
        zeros::runs(bytes, step, step, &mut hand.runs);
        if let Some(fingerprint) = &self.fingerprint {
            fingerprint.add(window.offset, bytes);
        }
        Ok(())
    }

    fn place(&self, hand: &mut Self::Hand, window: Window) -> Result<(), ImageError> {
        let unit = self.format.unit();
        hand.placed.clear();
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for run in &hand.runs {
            let mut at = run.start;
            while at < run.end {
                let guest = window.offset + at as u64;
                let number = guest / unit;
                let end_of_unit = usize::try_from((number + 1) * unit - window.offset).unwrap_or(usize::MAX);
                let end = run.end.min(end_of_unit);
                // In the guest's order: so the newest unit is the last one, or there already.
                if !stored.contains(number) {
                    if stored.count() >= self.format.most_units() {
                        return Err(self.format.too_many_units());
                    }
                    stored.add(number, number + 1);
                }
                let place = self.format.place(stored.count() - 1) + guest % unit;
                match hand.placed.last_mut() {
                    Some(last) if last.bytes.end == at && last.place + last.bytes.len() as u64 == place => {
                        last.bytes.end = end;
                    }
                    _ => hand.placed.push(PlacedRun { bytes: at..end, place }),
                }
                at = end;
            }
        }
        Ok(())
    }

    fn store(&self, hand: &mut Self::Hand, _: Window, bytes: &[u8]) -> Result<(), ImageError> {
        for run in &hand.placed {
            self.target.write_at(run.place, &bytes[run.bytes.clone()])?;
        }
        Ok(())
    }
}
