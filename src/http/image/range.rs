use std::ops::Range;

use actix_web::http::header::{HeaderMap, RANGE};

use super::joined;

/// Which part of a file is asked for (RFC 9110 section 14.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, none that can be read, or several, which a server need not answer as such.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Nothing,
}

impl Wanted {
    /// What the request asks of a file of this length.
    pub fn of(headers: &HeaderMap, length: u64) -> Self {
        joined(headers, RANGE).map_or(Self::Whole, |range| Self::said(&range, length))
    }

    fn said(range: &str, length: u64) -> Self {
        let Some((unit, range)) = range.split_once('=') else { return Self::Whole };
        let Some((first, last)) = range.trim().split_once('-') else { return Self::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let range = match (first.trim(), last.trim()) {
            ("", last) => number(last).map(|count| length.saturating_sub(count)..length),
            (first, "") => number(first).map(|first| first..length),
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => Some(first..last.saturating_add(1).min(length)),
                _ => None,
            },
        };
        match range {
            Some(range) if range.start < range.end => Self::Part(range),
            Some(_) => Self::Nothing,
            None => Self::Whole,
        }
    }
}

/// Digits alone; a number beyond all is beyond every file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file() {
        let said = |range: &str| Wanted::said(range, 1000);
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-999", 0..1000),
            ("Bytes = 10-19", 10..20),
            ("bytes=990-", 990..1000),
            ("bytes=990-5000", 990..1000),
            ("bytes=0-18446744073709551615", 0..1000),
            ("bytes=5-99999999999999999999999", 5..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-5000", 0..1000),
        ] {
            assert_eq!(said(range), Wanted::Part(part), "{range}");
        }
        for range in ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(said(range), Wanted::Nothing, "{range}");
        }
    }

    #[test]
    fn what_is_no_range_is_overlooked() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=+1-2",
            "bytes=1",
            "bytes=1--2",
            "lines=0-1",
            "bytes=0-0,2-3",
            "bytes=0-0, -1",
            "bytes=0x1-2",
        ] {
            assert_eq!(Wanted::said(range, 1000), Wanted::Whole, "{range}");
        }
    }
}
