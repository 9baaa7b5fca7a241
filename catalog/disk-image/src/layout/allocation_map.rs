use crate::{DiskView, ImageError};

const WORDS: usize = 512;
/// Units whose bits lie together: 4 KiB of bits.
const PAGE: u64 = WORDS as u64 * 64;

/// Which units of a disk hold anything, each unit as long as the target's cluster, grain or block.
///
/// Counting the units before one ([`AllocationMap::rank`]) and finding the one with a count
/// ([`AllocationMap::select`]) are quick, since that is how a place in the disk becomes a place in the file and back.
/// Runs that are wholly there or wholly absent take no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationMap {
    units: u64,
    pages: Vec<Page>,
    /// Units there before each page, and at the end all.
    before: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    Absent,
    Whole,
    Mixed(Box<[u64; WORDS]>),
}

impl Page {
    fn count(&self, units: u64) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Whole => units,
            Self::Mixed(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
        }
    }
}

impl AllocationMap {
    /// From what a view knows of its disk without reading it: a unit is there when any byte of it may be stored.
    ///
    /// # Errors
    /// What the view fails with.
    pub fn of(view: &dyn DiskView, unit: u64) -> Result<Self, ImageError> {
        let mut builder = AllocationMapBuilder::new(view.size().div_ceil(unit));
        let mut at = 0;
        while let Some(extent) = view.extent_at(at)? {
            let end = at.saturating_add(extent.length.max(1));
            if extent.kind.is_data() {
                builder.add(at / unit, end.div_ceil(unit));
            }
            at = end;
        }
        Ok(builder.finish())
    }

    /// Units of the whole disk.
    #[must_use]
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Units that are there.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// Whether this unit is there.
    #[must_use]
    pub fn contains(&self, unit: u64) -> bool {
        match self.page(unit) {
            Page::Absent => false,
            Page::Whole => unit < self.units,
            Page::Mixed(words) => {
                let (word, bit) = place(unit);
                words[word] >> bit & 1 == 1
            }
        }
    }

    /// How many units before this one are there.
    #[must_use]
    pub fn rank(&self, unit: u64) -> u64 {
        if unit >= self.units {
            return self.count();
        }
        let before = self.before[index(unit / PAGE)];
        before
            + match self.page(unit) {
                Page::Absent => 0,
                Page::Whole => unit % PAGE,
                Page::Mixed(words) => {
                    let (word, bit) = place(unit);
                    let whole: u64 = words[..word].iter().map(|word| u64::from(word.count_ones())).sum();
                    whole + u64::from((words[word] & ((1 << bit) - 1)).count_ones())
                }
            }
    }

    /// The unit that has `rank` others before it; `None` when there are no more.
    #[must_use]
    pub fn select(&self, rank: u64) -> Option<u64> {
        if rank >= self.count() {
            return None;
        }
        let page = self.before.partition_point(|before| *before <= rank) - 1;
        let mut left = rank - self.before[page];
        let first = page as u64 * PAGE;
        match &self.pages[page] {
            Page::Absent => None,
            Page::Whole => Some(first + left),
            Page::Mixed(words) => {
                for (i, word) in words.iter().enumerate() {
                    let ones = u64::from(word.count_ones());
                    if left < ones {
                        let mut rest = *word;
                        for _ in 0..left {
                            rest &= rest - 1;
                        }
                        return Some(first + i as u64 * 64 + u64::from(rest.trailing_zeros()));
                    }
                    left -= ones;
                }
                None
            }
        }
    }

    /// The first unit from `from` on that is there; `None` when there are no more.
    #[must_use]
    pub fn next(&self, from: u64) -> Option<u64> {
        self.select(self.rank(from))
    }

    /// How many units from `unit` on, which is there, are there without a gap: at least as many as fit in a page or
    /// up to its end, so that a long run may come in parts.
    #[must_use]
    pub fn run(&self, unit: u64) -> u64 {
        let end_of_page = (unit / PAGE + 1) * PAGE;
        let end = end_of_page.min(self.units);
        match self.page(unit) {
            Page::Absent => 0,
            Page::Whole => end - unit,
            Page::Mixed(_) => (unit..end).take_while(|unit| self.contains(*unit)).count() as u64,
        }
    }

    /// Whether any unit of this range is there.
    #[must_use]
    pub fn any(&self, from: u64, to: u64) -> bool {
        self.rank(to.min(self.units)) > self.rank(from.min(self.units))
    }

    fn page(&self, unit: u64) -> &Page {
        self.pages.get(index(unit / PAGE)).unwrap_or(&Page::Absent)
    }
}

/// Puts an [`AllocationMap`] together, from the disk's beginning to its end.
#[derive(Debug)]
pub(crate) struct AllocationMapBuilder {
    units: u64,
    pages: Vec<Page>,
    /// Units added; all of them lie before the last page's end.
    count: u64,
    open: Option<Box<[u64; WORDS]>>,
}

impl AllocationMapBuilder {
    pub(crate) fn new(units: u64) -> Self {
        Self { units, pages: Vec::new(), count: 0, open: None }
    }

    /// Adds the units from `from` to before `to`. Those of the page that was last added to may come again; earlier
    /// pages are closed.
    pub(crate) fn add(&mut self, from: u64, to: u64) {
        let to = to.min(self.units);
        let mut at = from;
        while at < to {
            let page = at / PAGE;
            self.go_to(index(page));
            let end = to.min((page + 1) * PAGE);
            if let Some(words) = &mut self.open {
                for unit in at..end {
                    let (word, bit) = place(unit);
                    let added = 1 << bit;
                    self.count += u64::from(words[word] & added == 0);
                    words[word] |= added;
                }
            }
            at = end;
        }
    }

    /// Whether a unit of the page that was last added to is there.
    pub(crate) fn contains(&self, unit: u64) -> bool {
        let is_open = index(unit / PAGE) + 1 == self.pages.len() + usize::from(self.open.is_some());
        match &self.open {
            Some(words) if is_open => {
                let (word, bit) = place(unit);
                words[word] >> bit & 1 == 1
            }
            _ => false,
        }
    }

    /// Units added so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn finish(mut self) -> AllocationMap {
        self.close();
        let all = index(self.units.div_ceil(PAGE));
        self.pages.resize(all, Page::Absent);
        let mut sum = 0;
        let mut before = Vec::with_capacity(all + 1);
        before.push(0);
        for (number, page) in self.pages.iter().enumerate() {
            sum += page.count(units_of(number, self.units));
            before.push(sum);
        }
        AllocationMap { units: self.units, pages: self.pages, before }
    }

    fn go_to(&mut self, page: usize) {
        if self.open.is_some() && page == self.pages.len() {
            return;
        }
        self.close();
        self.pages.resize(page.max(self.pages.len()), Page::Absent);
        self.open = Some(Box::new([0; WORDS]));
    }

    fn close(&mut self) {
        if let Some(words) = self.open.take() {
            let mixed = Page::Mixed(words);
            let units = units_of(self.pages.len(), self.units);
            self.pages.push(if mixed.count(units) == units { Page::Whole } else { mixed });
        }
    }
}

fn units_of(page: usize, units: u64) -> u64 {
    (units - page as u64 * PAGE).min(PAGE)
}

fn place(unit: u64) -> (usize, u32) {
    let within = unit % PAGE;
    (index(within / 64), u32::try_from(within % 64).unwrap_or(0))
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rank_and_select_agree_with_a_list(
            gaps in proptest::collection::vec((0_u64..70_000, 1_u64..50_000), 0..8),
            tail in 0_u64..40_000,
        ) {
            let mut there = Vec::new();
            let mut at = 0;
            for (gap, run) in gaps {
                there.extend(at + gap..at + gap + run);
                at += gap + run;
            }
            let mut builder = AllocationMapBuilder::new(at + tail);
            for unit in &there {
                builder.add(*unit, unit + 1);
                prop_assert!(builder.contains(*unit));
            }
            prop_assert_eq!(builder.count(), there.len() as u64);
            let map = builder.finish();
            prop_assert_eq!(map.count(), there.len() as u64);
            prop_assert_eq!(map.select(map.count()), None);
            for (rank, unit) in there.iter().enumerate().step_by(97) {
                prop_assert_eq!(map.select(rank as u64), Some(*unit));
                prop_assert_eq!(map.rank(*unit), rank as u64);
                prop_assert!(map.contains(*unit));
                prop_assert!(map.run(*unit) > 0);
                prop_assert_eq!(map.next(*unit), Some(*unit));
            }
            for unit in (0..at + tail).step_by(1009) {
                prop_assert_eq!(map.contains(unit), there.binary_search(&unit).is_ok());
                prop_assert_eq!(map.rank(unit), there.partition_point(|other| *other < unit) as u64);
            }
        }
    }
}
