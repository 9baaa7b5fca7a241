//! Cuts text renderings into their parts without being fooled by quotes.

use crate::check::Stop;

/// The values of a comma list; commas in quotes or angle brackets do not count.
pub(crate) fn split_commas(text: &str) -> Result<Vec<String>, Stop> {
    split(text, ',')
}

/// The parameters of a value, cut at semicolons.
pub(crate) fn split_parameters(text: &str) -> Result<Vec<String>, Stop> {
    split(text, ';')
}

fn split(text: &str, separator: char) -> Result<Vec<String>, Stop> {
    let mut parts = Vec::new();
    let (mut part, mut in_quotes, mut is_escaped, mut in_brackets) = (String::new(), false, false, false);
    for character in text.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            '<' if !in_quotes => in_brackets = true,
            '>' if !in_quotes => in_brackets = false,
            _ => {}
        }
        if character == separator && !in_quotes && !in_brackets {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
    }
    if in_quotes {
        fail!("a quoted string has no end: {:?}", text.trim());
    }
    parts.push(part);
    Ok(parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
}

/// What stands in quotes, with its escapes undone.
pub(crate) fn unquote(text: &str) -> Result<String, Stop> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner.filter(|_| text.len() >= 2) else { fail!("quotes were expected around {text:?}") };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) => plain.push(escaped),
                None => fail!("an escape has no end: {text:?}"),
            },
            '"' => fail!("a quote within a quoted string is not escaped: {text:?}"),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// `name="value"` of a parameter, unquoted.
pub(crate) fn parameter(text: &str) -> Result<(String, String), Stop> {
    let Some((name, value)) = text.split_once('=') else { fail!("{text:?} is not name=value") };
    Ok((name.to_owned(), unquote(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quotes_do_not_split() {
        let parts = split_commas("a=1, b=\"x, \\\" y\", <u,v>; w").unwrap();
        assert_eq!(parts, ["a=1", "b=\"x, \\\" y\"", "<u,v>; w"]);
        assert!(split_commas("a=\"open").is_err());
    }

    #[test]
    fn escapes_are_undone_and_stray_quotes_refused() {
        assert_eq!(unquote("\"a\\\"b\\\\c\"").unwrap(), "a\"b\\c");
        for wrong in ["a", "\"", "\"a\"b\"", "\"a\\\""] {
            assert!(unquote(wrong).is_err(), "{wrong}");
        }
    }
}
