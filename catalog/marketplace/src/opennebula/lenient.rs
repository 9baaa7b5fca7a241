//! Marketplaces write numbers as texts and texts as numbers, and leave out what they do not know.

use serde_json::Value;

/// A line of text, without control characters and blanks around it, and no longer than so many characters.
pub fn line(value: Option<&Value>, longest: usize) -> String {
    let text = text(value);
    let plain = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_odd(*c));
    plain.take(longest).collect::<String>().trim().to_owned()
}

/// Several lines of text, without other control characters, and no longer than so many characters.
pub fn lines(value: Option<&Value>, longest: usize) -> String {
    let plain = text(value);
    plain
        .chars()
        .filter(|c| matches!(c, '\n' | '\t') || !is_odd(*c))
        .take(longest)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A count of something; `None` where there is none, or none that can be.
pub fn count(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// What a terminal, or a reader from right to left, would take for something else than text.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_it_is_it_is_plain_and_short() {
        assert_eq!(line(Some(&json!(" a\u{1b}[2J\n\u{202e}b ")), 100), "a[2J b");
        assert_eq!(line(Some(&json!("äöü")), 2), "äö");
        assert_eq!(line(Some(&json!(7.4)), 10), "7.4");
        assert_eq!(line(Some(&json!(["x"])), 10), "");
        assert_eq!(line(None, 10), "");
        assert_eq!(lines(Some(&json!("a\r\n\tb\u{7}")), 10), "a\n\tb");
        assert_eq!(count(Some(&json!("12 "))), Some(12));
        assert_eq!(count(Some(&json!(12))), Some(12));
        for odd in [json!(-1), json!(1.5), json!("x"), json!(1e30), json!(null), json!("99999999999999999999999")] {
            assert_eq!(count(Some(&odd)), None, "{odd}");
        }
    }
}
