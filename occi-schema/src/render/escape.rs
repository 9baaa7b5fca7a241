//! Making any text safe for its place.

use std::borrow::Cow;
use std::fmt::Write;

use crate::value::{Value, float_text};

/// Where a text rendering stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a line of a UTF-8 body.
    Line,
    /// In a header field: visible ASCII only.
    Field,
}

/// Appends a value as the text renderings write it: strings quoted, numbers and booleans bare, lists and maps as quoted
/// JSON.
pub(super) fn value(out: &mut String, value: &Value, place: Place) {
    match value {
        Value::String(text) => quoted(out, text, place),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float_text(*number)),
        Value::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        // Maps with text keys and finite numbers always serialise; `null` would stand for what cannot.
        structure @ (Value::List(_) | Value::Map(_)) => {
            let json = serde_json::to_string(structure).unwrap_or_else(|_| "null".to_owned());
            quoted(out, &json, place);
        }
    }
}

/// Appends a quoted string.
pub(super) fn quoted(out: &mut String, text: &str, place: Place) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter.is_control() || (place == Place::Field && !letter.is_ascii()) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// The title of a category, reduced to what every known client's regular expression reads: no commas, quotes,
/// backslashes or line ends; in header fields no letters beyond ASCII (section 9.1 rule 3). JSON has the full title.
pub(super) fn title(text: &str, place: Place) -> String {
    let plain = text.chars().filter(|letter| *letter != ',').map(|letter| match letter {
        '"' => '\'',
        '\\' => '/',
        ';' => ':',
        _ if letter.is_control() => ' ',
        _ if place == Place::Field && !letter.is_ascii() => '?',
        _ => letter,
    });
    plain.collect()
}

/// A URI reference with everything percent-encoded that would end it, its list, its quotes or its line.
pub(super) fn uri(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b',' | b'^' | b'`' | b'{' | b'|' | b'}')
        {
            safe.push(char::from(byte));
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

/// A message on one line.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A message for a header field: visible ASCII and spaces, and not endless.
pub(super) fn header_safe(text: &str) -> String {
    const LONGEST: usize = 1024;
    let safe = |letter: char| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' };
    one_line(text).chars().take(LONGEST).map(safe).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &Value, place: Place) -> String {
        let mut out = String::new();
        value(&mut out, given, place);
        out
    }

    #[test]
    fn c_145_strings_are_quoted_and_numbers_are_bare() {
        assert_eq!(shown(&Value::from("a \"b\" \\"), Place::Line), r#""a \"b\" \\""#);
        assert_eq!(shown(&Value::Integer(2), Place::Line), "2");
        assert_eq!(shown(&Value::Float(2.0), Place::Line), "2.0");
        assert_eq!(shown(&Value::Boolean(true), Place::Line), "true");
        assert_eq!(shown(&Value::List(vec![Value::from("x")]), Place::Line), r#""[\"x\"]""#);
    }

    #[test]
    fn a_30_nothing_can_end_a_line_or_a_field() {
        let hostile = Value::from("a\r\nSet-Cookie: x\u{0}\u{85}é😀");
        assert_eq!(shown(&hostile, Place::Line), "\"a\\r\\nSet-Cookie: x\\u0000\\u0085é😀\"");
        assert_eq!(shown(&hostile, Place::Field), r#""a\r\nSet-Cookie: x\u0000\u0085\u00e9\ud83d\ude00""#);
        assert_eq!(uri("/a\r\n <b>\",é"), "/a%0D%0A%20%3Cb%3E%22%2C%C3%A9");
        assert_eq!(header_safe("no\r\nX: é"), "no  X: ?");
    }

    #[test]
    fn c_271_titles_of_categories_suit_every_client() {
        assert_eq!(title("Debian 12, \"small\"\n; é", Place::Line), "Debian 12 'small' : é");
        assert_eq!(title("é", Place::Field), "?");
    }
}
