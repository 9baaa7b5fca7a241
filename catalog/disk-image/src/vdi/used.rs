const WORDS: usize = 512;
/// Numbers whose bits lie together: 4 KiB of bits.
const PAGE: usize = WORDS * 64;

/// Which numbers below a bound have been met. Takes memory only near those that have.
#[derive(Debug)]
pub(super) struct Used {
    bound: usize,
    pages: Vec<Option<Box<[u64; WORDS]>>>,
}

impl Used {
    pub(super) fn below(bound: u64) -> Self {
        let bound = usize::try_from(bound).unwrap_or(usize::MAX);
        Self { bound, pages: vec![None; bound.div_ceil(PAGE)] }
    }

    /// Takes down a number, and answers whether it is new; `None` when it is not below the bound.
    pub(super) fn add(&mut self, number: u32) -> Option<bool> {
        let number = usize::try_from(number).ok().filter(|number| *number < self.bound)?;
        let page = self.pages.get_mut(number / PAGE)?.get_or_insert_with(|| Box::new([0; WORDS]));
        let word = &mut page[number % PAGE / 64];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        Some(is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let mut used = Used::below(70_000);
        for number in [0, 1, 63, 64, 32_767, 32_768, 65_535, 69_999] {
            assert_eq!(used.add(number), Some(true));
            assert_eq!(used.add(number), Some(false));
        }
        assert_eq!(used.add(2), Some(true));
        assert_eq!(used.add(70_000), None);
        assert_eq!(used.add(u32::MAX), None);
        assert_eq!(Used::below(0).add(0), None);
    }
}
