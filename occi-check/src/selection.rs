//! Which checks are asked for.

use std::str::FromStr;

/// The checks to run: all, or those of some numbers or sections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    ranges: Vec<(u16, u16)>,
    sections: Vec<char>,
}

impl Selection {
    /// Adds the numbers of a list such as `C-001,C-010..C-020`.
    ///
    /// # Errors
    /// What is no number or range, in words.
    pub fn add_numbers(&mut self, list: &str) -> Result<(), String> {
        for part in list.split(',') {
            let (first, last) = part.split_once("..").unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("the range {part:?} is empty"));
            }
            self.ranges.push((first, last));
        }
        Ok(())
    }

    /// Adds the sections of a list such as `A,M`.
    ///
    /// # Errors
    /// What is no section's letter, in words.
    pub fn add_sections(&mut self, list: &str) -> Result<(), String> {
        for part in list.split(',') {
            let letter = char::from_str(part.trim()).map(|letter| letter.to_ascii_uppercase());
            match letter {
                Ok(letter) if crate::sections().iter().any(|section| section.letter == letter) => {
                    self.sections.push(letter);
                }
                _ => return Err(format!("{part:?} is no section; A to Q are")),
            }
        }
        Ok(())
    }

    pub(crate) fn holds(&self, section: char, number: u16) -> bool {
        let all = self.ranges.is_empty() && self.sections.is_empty();
        all || self.sections.contains(&section)
            || self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

fn number(text: &str) -> Result<u16, String> {
    let digits = text.trim().trim_start_matches(['C', 'c']).trim_start_matches('-');
    digits.parse().map_err(|_| format!("{text:?} is no check's number; write C-001, or a range C-001..C-046"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ranges_and_sections_are_read() {
        let mut selection = Selection::default();
        assert!(selection.holds('A', 1));
        selection.add_numbers("C-003,C-010..C-012").unwrap();
        selection.add_sections("m").unwrap();
        let held: Vec<_> = (1..20).filter(|number| selection.holds('A', *number)).collect();
        assert_eq!(held, [3, 10, 11, 12]);
        assert!(selection.holds('M', 260));
        for wrong in ["", "C-x", "5..2"] {
            assert!(selection.add_numbers(wrong).is_err(), "{wrong}");
        }
        assert!(selection.add_sections("Z").is_err());
    }
}
