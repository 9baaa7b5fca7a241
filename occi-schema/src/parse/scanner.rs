//! The tokens of the text renderings (GFD.229 section 4, with the leniency of section 3.8).

use std::borrow::Cow;

use super::error::{ParseError, Position};
use crate::attribute::AttributeName;
use crate::identifier::{CategoryId, excerpt};
use crate::value::is_forbidden;

/// Where a scanned text stands in the request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// In a line of the body, after so many bytes.
    Line { number: usize, before: usize },
    /// In a header field.
    Field(&'a str),
}

/// Reads tokens from the value of one field.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    origin: Origin<'a>,
    value_bytes: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, origin: Origin<'a>, value_bytes: usize) -> Self {
        Self { text, at: 0, origin, value_bytes }
    }

    pub(super) fn position(&self) -> Position {
        self.position_at(self.at)
    }

    fn position_at(&self, at: usize) -> Position {
        match self.origin {
            Origin::Line { number, before } => Position::Body { line: number, column: before + at + 1 },
            Origin::Field(name) => Position::Field { name: name.to_owned(), column: at + 1 },
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// How many bytes there are before one that `is_end`, or before the end. Ends are ASCII: no character is cut.
    fn distance(&self, is_end: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest();
        rest.bytes().position(is_end).unwrap_or(rest.len())
    }

    /// An error at this place, which shows what is here.
    pub(super) fn expected(&self, what: impl Into<String>) -> ParseError {
        let found = match self.rest() {
            "" => "the end".to_owned(),
            rest => format!("`{}`", excerpt(rest)),
        };
        ParseError::new(self.position(), what, found)
    }

    pub(super) fn skip_space(&mut self) {
        self.at += self.distance(|byte| !matches!(byte, b' ' | b'\t'));
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Whether `mark`, which is ASCII, is here.
    pub(super) fn is_at(&self, mark: char) -> bool {
        u8::try_from(mark).is_ok_and(|mark| self.text.as_bytes().get(self.at) == Some(&mark))
    }

    /// Skips `mark`, with white space around it, if it is here.
    pub(super) fn take(&mut self, mark: char) -> bool {
        self.skip_space();
        let found = self.is_at(mark);
        if found {
            self.at += mark.len_utf8();
            self.skip_space();
        }
        found
    }

    pub(super) fn require(&mut self, mark: char) -> Result<(), ParseError> {
        if self.take(mark) { Ok(()) } else { Err(self.expected(format!("`{mark}`"))) }
    }

    /// Moves to the next item of a comma list; `false` at the end. Trailing semicolons and empty items are skipped.
    pub(super) fn next_item(&mut self, is_first: bool) -> Result<bool, ParseError> {
        let mut separated = is_first;
        self.skip_space();
        loop {
            if self.is_at_end() {
                return Ok(false);
            }
            if self.take(',') {
                separated = true;
            } else if is_first || separated || !self.take(';') {
                break;
            }
        }
        if separated { Ok(true) } else { Err(self.expected("`,` or the end")) }
    }

    /// A name: everything up to one of the grammar's marks.
    pub(super) fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let is_mark = |byte| matches!(byte, b' ' | b'\t' | b';' | b',' | b'=' | b'"' | b'<' | b'>' | b'{' | b'}');
        let end = self.distance(is_mark);
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    pub(super) fn attribute_name(&mut self) -> Result<AttributeName, ParseError> {
        let before = self.clone();
        AttributeName::new(self.name()).map_err(|_| before.expected("an attribute name"))
    }

    /// Text up to one of `ends`, without the white space around it.
    pub(super) fn until(&mut self, ends: &[u8]) -> &'a str {
        let rest = self.rest();
        let end = self.distance(|byte| ends.contains(&byte));
        self.at += end;
        rest.get(..end).unwrap_or_default().trim_matches([' ', '\t'])
    }

    /// A parameter's value, quoted or not.
    pub(super) fn parameter(&mut self) -> Result<Cow<'a, str>, ParseError> {
        if self.is_at('"') { self.quoted() } else { self.bare().map(Cow::Borrowed) }
    }

    /// A value without quotes.
    pub(super) fn bare(&mut self) -> Result<&'a str, ParseError> {
        let start = self.at;
        let value = self.until(b";,");
        self.check_length(start, value.len())?;
        Ok(value)
    }

    /// A quoted string. `\"` and `\\` are RFC 7230's; `\n`, `\r`, `\t` and `\uXXXX` are what this crate writes.
    pub(super) fn quoted(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let start = self.at;
        if !self.is_at('"') {
            return Err(self.expected("a quoted string"));
        }
        let inner = self.text.get(start + 1..).unwrap_or_default();
        let Some(stop) = inner.bytes().position(|byte| matches!(byte, b'"' | b'\\')) else {
            return Err(ParseError::new(self.position(), "a closing quote", "the end"));
        };
        let plain = inner.get(..stop).unwrap_or_default();
        self.at = start + 1 + stop;
        if self.take_quote() {
            self.check_length(start, plain.len())?;
            return Ok(Cow::Borrowed(plain));
        }
        let mut unescaped = plain.to_owned();
        loop {
            let rest = self.rest();
            let mut letters = rest.char_indices();
            match letters.next() {
                None => return Err(ParseError::new(self.position_at(start), "a closing quote", "the end")),
                Some((_, '"')) => break,
                Some((_, '\\')) => {
                    let (letter, length) = escaped(rest).ok_or_else(|| self.expected("an escape sequence"))?;
                    unescaped.push(letter);
                    self.at += length;
                }
                Some(_) => {
                    let end = rest.find(['"', '\\']).unwrap_or(rest.len());
                    unescaped.push_str(rest.get(..end).unwrap_or_default());
                    self.at += end;
                }
            }
            self.check_length(start, unescaped.len())?;
        }
        self.take_quote();
        Ok(Cow::Owned(unescaped))
    }

    fn take_quote(&mut self) -> bool {
        let found = self.is_at('"');
        self.at += usize::from(found);
        found
    }

    fn check_length(&self, start: usize, length: usize) -> Result<(), ParseError> {
        if length <= self.value_bytes {
            return Ok(());
        }
        Err(ParseError::too_many(self.position_at(start), "bytes of text", self.value_bytes))
    }

    /// Type identifiers with spaces between.
    pub(super) fn identifiers(&self, text: &str) -> Result<Vec<CategoryId>, ParseError> {
        text.split_ascii_whitespace()
            .map(|each| each.parse().map_err(|_| self.not_a("a type identifier", each)))
            .collect()
    }

    pub(super) fn not_a(&self, what: &str, found: &str) -> ParseError {
        ParseError::new(self.position(), what, format!("`{}`", excerpt(found)))
    }
}

/// The character that an escape sequence at the start of `text` means, and the sequence's length in bytes.
fn escaped(text: &str) -> Option<(char, usize)> {
    let letter = text.get(1..)?.chars().next()?;
    let (meaning, length) = match letter {
        'n' => ('\n', 2),
        'r' => ('\r', 2),
        't' => ('\t', 2),
        'u' => match unit(text) {
            Some(high @ 0xD800..=0xDBFF) => {
                let low = unit(text.get(6..)?).filter(|low| (0xDC00..=0xDFFF).contains(low))?;
                (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 12)
            }
            Some(code) => (char::from_u32(code)?, 6),
            None => ('u', 2),
        },
        other => (other, 1 + other.len_utf8()),
    };
    (!is_forbidden(meaning)).then_some((meaning, length))
}

/// The UTF-16 unit of `\uXXXX` at the start of `text`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Result<String, ParseError> {
        Scanner::new(text, Origin::Field("X"), 100).quoted().map(Cow::into_owned)
    }

    #[test]
    fn c_262_escapes_are_undone() {
        assert_eq!(quoted(r#""a \"b\" \\ c""#).unwrap(), r#"a "b" \ c"#);
        assert_eq!(quoted(r#""l1\nl2\tx""#).unwrap(), "l1\nl2\tx");
        assert_eq!(quoted(r#""\u00e9\ud83d\ude00""#).unwrap(), "é😀");
        assert_eq!(quoted(r#""\q\é\u12""#).unwrap(), "qéu12");
    }

    #[test]
    fn a_30_escapes_cannot_smuggle_control_characters() {
        for bad in
            [r#""\u0000""#, r#""\u001b""#, r#""\ud800""#, r#""\ud800\u0041""#, r#""\"#, r#""abc"#, r#""a\""#, "x"]
        {
            assert!(quoted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_values_are_refused_with_the_limit() {
        let error = quoted(&format!("\"{}\"", "a".repeat(101))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read column 1 of the header field X: expected at most 100 bytes of text, found more"
        );
        assert!(quoted(&format!("\"\\n{}\"", "a".repeat(100))).is_err());
    }
}
