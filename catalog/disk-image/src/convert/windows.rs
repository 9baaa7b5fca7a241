use crate::{DiskView, ImageError};

/// The parts of a disk that may hold anything, in order, cut into windows that fit in memory.
pub(super) struct Windows<'a> {
    view: &'a dyn DiskView,
    /// Bytes of the longest window.
    longest: u64,
    /// What windows begin and end at multiples of, unless the disk ends; a divisor of `longest`.
    step: u64,
    at: u64,
    /// Where the extent that is being cut ends; zeros begin there.
    extent_end: u64,
    given: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// How many windows came before.
    pub(super) number: u64,
    /// First byte of the disk.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) length: usize,
}

impl<'a> Windows<'a> {
    pub(super) fn new(view: &'a dyn DiskView, longest: u64, step: u64) -> Self {
        Self { view, longest, step, at: 0, extent_end: 0, given: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Window>, ImageError> {
        let size = self.view.size();
        while self.at >= self.extent_end {
            let Some(extent) = self.view.extent_at(self.at)? else { return Ok(None) };
            // A view that answers nonsense may cost time, but not bytes nor the end of the loop.
            let end = self.at.saturating_add(extent.length.max(1)).min(size);
            if extent.kind.is_data() {
                // The last window ended at a multiple of the step too, so that nothing is given twice.
                self.at -= self.at % self.step;
                self.extent_end = end;
            } else {
                self.at = end;
            }
        }
        let offset = self.at;
        let end_of_extent = self.extent_end.next_multiple_of(self.step).min(size);
        let end = (offset - offset % self.longest + self.longest).min(end_of_extent);
        self.at = end;
        let number = self.given;
        self.given += 1;
        Ok(Some(Window { number, offset, length: usize::try_from(end - offset).unwrap_or(usize::MAX) }))
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list that happens to have one range")]
mod tests {
    use super::*;
    use crate::{Extent, ExtentKind, ImageFormat};

    /// A disk of which these ranges are data.
    struct Ranges(u64, Vec<std::ops::Range<u64>>);

    impl DiskView for Ranges {
        fn format(&self) -> ImageFormat {
            ImageFormat::Raw
        }

        fn size(&self) -> u64 {
            self.0
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> Result<(), ImageError> {
            Ok(())
        }

        fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
            if from >= self.0 {
                return Ok(None);
            }
            let extent = match self.1.iter().find(|range| range.end > from) {
                Some(range) if range.contains(&from) => (range.end, ExtentKind::Data),
                Some(range) => (range.start, ExtentKind::Absent),
                None => (self.0, ExtentKind::Zero),
            };
            Ok(Some(Extent { offset: from, length: extent.0 - from, kind: extent.1 }))
        }
    }

    fn windows(view: &Ranges, longest: u64, step: u64) -> Vec<(u64, u64)> {
        let mut windows = Windows::new(view, longest, step);
        let mut all = Vec::new();
        while let Some(window) = windows.next().unwrap() {
            assert_eq!(window.number, all.len() as u64);
            all.push((window.offset, window.offset + window.length as u64));
        }
        all
    }

    #[test]
    fn data_is_covered_once_in_aligned_windows() {
        assert_eq!(windows(&Ranges(0, vec![]), 64, 8), []);
        assert_eq!(windows(&Ranges(1000, vec![]), 64, 8), []);
        assert_eq!(windows(&Ranges(100, vec![0..100]), 64, 8), [(0, 64), (64, 100)]);
        // Two extents that share a step are in one window, and it is not given again.
        assert_eq!(windows(&Ranges(100, vec![3..10, 12..14, 30..31]), 64, 8), [(0, 16), (24, 32)]);
        assert_eq!(windows(&Ranges(99, vec![60..70, 98..99]), 64, 8), [(56, 64), (64, 72), (96, 99)]);
    }
}
