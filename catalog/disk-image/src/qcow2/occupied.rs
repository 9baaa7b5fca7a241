use std::collections::{BTreeMap, btree_map::Entry};

const WORDS: usize = 512;
/// Clusters whose bits lie together: 4 KiB of bits.
const PAGE: u64 = WORDS as u64 * 64;
/// 16 MiB of bits: clusters of 64 KiB scattered over 8 TiB. Runs that are wholly in use take no memory.
const MOST_MIXED: usize = 4096;

/// Which clusters of a file are in use, to find those that are used twice, in bounded memory.
///
/// When an image scatters its clusters beyond any honest measure, what does not fit is not remembered: then the sum
/// of all clusters alone bounds what a small file can unfold to.
#[derive(Debug, Default)]
pub(super) struct Occupied {
    pages: BTreeMap<u64, Page>,
    mixed: usize,
}

#[derive(Debug)]
enum Page {
    Whole,
    Mixed { words: Box<[u64; WORDS]>, ones: u32 },
}

impl Occupied {
    /// Takes `count` clusters from `first` on; false when one of them was taken before, and then some may be taken.
    pub(super) fn claim(&mut self, first: u64, count: u64) -> bool {
        let mut at = first;
        let end = first.saturating_add(count);
        while at < end {
            let number = at / PAGE;
            let here = end.min((number + 1) * PAGE);
            if !self.claim_in_page(number, place(at), place(here - 1)) {
                return false;
            }
            at = here;
        }
        true
    }

    /// Takes a cluster that others may have taken.
    pub(super) fn share(&mut self, cluster: u64) {
        self.claim(cluster, 1);
    }

    pub(super) fn contains(&self, cluster: u64) -> bool {
        self.first_taken(cluster, 1).is_some()
    }

    /// The first of `count` clusters from `first` on that is taken.
    pub(super) fn first_taken(&self, first: u64, count: u64) -> Option<u64> {
        let end = first.saturating_add(count);
        let mut at = first;
        while at < end {
            let (number, here) = (at / PAGE, end.min((at / PAGE + 1) * PAGE));
            match self.pages.get(&number) {
                None => {}
                Some(Page::Whole) => return Some(at),
                Some(Page::Mixed { words, .. }) => {
                    let (from, to) = (place(at), place(here - 1));
                    for (i, word) in words.iter().enumerate().take(to.0 + 1).skip(from.0) {
                        let taken = word & bits_of(i, from, to);
                        if taken != 0 {
                            return Some(number * PAGE + i as u64 * 64 + u64::from(taken.trailing_zeros()));
                        }
                    }
                }
            }
            at = here;
        }
        None
    }

    fn claim_in_page(&mut self, number: u64, first: (usize, u32), last: (usize, u32)) -> bool {
        let page = match self.pages.entry(number) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(_) if self.mixed >= MOST_MIXED => return true,
            Entry::Vacant(vacant) => {
                self.mixed += 1;
                vacant.insert(Page::Mixed { words: Box::new([0; WORDS]), ones: 0 })
            }
        };
        let Page::Mixed { words, ones } = page else { return false };
        for word in first.0..=last.0 {
            let bits = bits_of(word, first, last);
            if words[word] & bits != 0 {
                return false;
            }
            words[word] |= bits;
            *ones += bits.count_ones();
        }
        if u64::from(*ones) == PAGE {
            *page = Page::Whole;
            self.mixed -= 1;
        }
        true
    }
}

/// The bits of this word that lie between two places, both included.
fn bits_of(word: usize, first: (usize, u32), last: (usize, u32)) -> u64 {
    let from = if word == first.0 { first.1 } else { 0 };
    let to = if word == last.0 { last.1 } else { 63 };
    u64::MAX >> (63 - to) & u64::MAX << from
}

fn place(cluster: u64) -> (usize, u32) {
    let within = cluster % PAGE;
    (usize::try_from(within / 64).unwrap_or(0), u32::try_from(within % 64).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_twice() {
        let mut occupied = Occupied::default();
        assert!(occupied.claim(3, 1) && occupied.claim(60, 10) && occupied.claim(PAGE - 1, 2));
        for taken in [3, 60, 63, 64, 69, PAGE - 1, PAGE] {
            assert!(occupied.contains(taken) && !occupied.claim(taken, 1), "{taken}");
        }
        assert_eq!(occupied.first_taken(0, 3), None);
        assert_eq!(occupied.first_taken(0, 100), Some(3));
        assert_eq!(occupied.first_taken(65, 100), Some(65));
        assert_eq!(occupied.first_taken(70, 2 * PAGE), Some(PAGE - 1));
        assert!(!occupied.contains(70) && occupied.claim(70, 1) && !occupied.claim(0, 4));
    }

    #[test]
    fn what_is_wholly_in_use_takes_no_memory() {
        let mut occupied = Occupied::default();
        assert!(occupied.claim(1, 3 * PAGE));
        assert_eq!((occupied.pages.len(), occupied.mixed), (4, 2));
        assert!(occupied.claim(0, 1) && !occupied.claim(PAGE, 1));
        assert_eq!(occupied.mixed, 1);
    }

    #[test]
    fn what_is_scattered_beyond_measure_is_forgotten() {
        let mut occupied = Occupied::default();
        for page in 0..2 * MOST_MIXED as u64 {
            assert!(occupied.claim(page * PAGE, 1));
        }
        assert_eq!(occupied.pages.len(), MOST_MIXED);
        assert!(!occupied.claim(0, 1) && occupied.claim((2 * MOST_MIXED as u64 - 1) * PAGE, 1));
    }
}
