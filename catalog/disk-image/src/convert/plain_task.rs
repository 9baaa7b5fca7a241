use std::{ops::Range, sync::Mutex};

use super::{crew::Task, fingerprint::Fingerprint, target_file::TargetFile, windows::Window, zeros};
use crate::ImageError;

/// The least run of zeros that becomes a hole, in bytes: a block of common file systems.
const HOLE: usize = 4 << 10;

/// Writes each byte to its own place: raw, and fixed VHD but for its footer.
pub(super) struct PlainTask<'a> {
    pub(super) target: &'a TargetFile<'a>,
    pub(super) fingerprint: Option<Fingerprint>,
    /// Where the last window ended: what lies between windows is zeros.
    pub(super) done: Mutex<u64>,
}

impl Task for PlainTask<'_> {
    type Hand = Vec<Range<usize>>;

    fn hand(&self) -> Self::Hand {
        Vec::new()
    }

    fn prepare(&self, runs: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError> {
        if self.target.is_blank() {
            zeros::runs(bytes, HOLE, HOLE, runs);
        } else {
            runs.clear();
            runs.push(0..bytes.len());
        }
        if let Some(fingerprint) = &self.fingerprint {
            fingerprint.add(window.offset, bytes);
        }
        Ok(())
    }

    fn place(&self, _: &mut Self::Hand, window: Window) -> Result<(), ImageError> {
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.target.write_zeros(*done, window.offset.saturating_sub(*done))?;
        *done = window.offset + window.length as u64;
        Ok(())
    }

    fn store(&self, runs: &mut Self::Hand, window: Window, bytes: &[u8]) -> Result<(), ImageError> {
        for run in runs.iter() {
            self.target.write_at(window.offset + run.start as u64, &bytes[run.clone()])?;
        }
        Ok(())
    }
}
