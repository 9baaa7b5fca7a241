//! JSON lists in pieces, so that one malformed object costs nothing but itself.

/// Most objects of one answer.
const MOST_OBJECTS: usize = 200_000;

/// The elements of an array, or of the named member of an object, told apart by brackets, commas and quotes alone.
/// Nothing where there is no such member.
///
/// # Errors
/// What is wrong with the whole, in words.
pub(crate) fn of<'a>(text: &'a [u8], member: &str) -> Result<Vec<&'a [u8]>, String> {
    let text = text.trim_ascii();
    match text.first() {
        None => Ok(Vec::new()),
        Some(b'[') => elements(text),
        Some(b'{') => match value_of(text, member)? {
            None => Ok(Vec::new()),
            Some(value) => elements(value),
        },
        Some(_) => Err("the answer is no JSON".into()),
    }
}

/// The value of a member of the outermost object.
fn value_of<'a>(text: &'a [u8], member: &str) -> Result<Option<&'a [u8]>, String> {
    let quoted = format!("\"{member}\"");
    for piece in elements(text)? {
        if let Some(rest) = piece.strip_prefix(quoted.as_bytes())
            && let Some(value) = rest.trim_ascii_start().strip_prefix(b":")
        {
            return Ok(Some(value.trim_ascii()));
        }
    }
    Ok(None)
}

/// What stands between the brackets or braces, at commas.
fn elements(text: &[u8]) -> Result<Vec<&[u8]>, String> {
    let end = match text.first() {
        Some(b'[') => b']',
        Some(b'{') => b'}',
        _ => return Err("a list is none".into()),
    };
    let mut found = Vec::new();
    let mut rest = text.get(1..).unwrap_or_default();
    loop {
        let place = end_of_element(rest).ok_or("a list does not end")?;
        let (element, after) = rest.split_at(place);
        let (closed, element) = (after.first() != Some(&b','), element.trim_ascii());
        if closed && after.first() != Some(&end) {
            return Err("the brackets do not match".into());
        }
        if !(closed && element.is_empty()) {
            if found.len() == MOST_OBJECTS {
                return Err(format!("a list of more than {MOST_OBJECTS} objects"));
            }
            found.push(element);
        }
        rest = after.get(1..).unwrap_or_default();
        if closed {
            return if rest.is_empty() { Ok(found) } else { Err("something follows the end".into()) };
        }
    }
}

/// Where the comma or bracket stands that ends the element.
fn end_of_element(text: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b',' | b']' | b'}' if depth == 0 => return Some(place),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Result<Vec<String>, String> {
        let pieces = of(text.as_bytes(), "resources")?;
        Ok(pieces.into_iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect())
    }

    #[test]
    fn a_list_falls_into_its_objects() {
        let both = r#" {"links" : [7], "resources": [ {"a":"],}\""} , {"b":[1,{"c":2}]}, NaN ] } "#;
        assert_eq!(pieces(both).unwrap(), [r#"{"a":"],}\""}"#, r#"{"b":[1,{"c":2}]}"#, "NaN"]);
        for empty in ["{}", "[]", "", r#"{"resources":[]}"#, r#"{"links":[1]}"#] {
            assert_eq!(pieces(empty).unwrap(), Vec::<String>::new(), "{empty}");
        }
        assert_eq!(pieces(r#"["x","y"]"#).unwrap(), [r#""x""#, r#""y""#]);
    }

    #[test]
    fn what_does_not_end_or_match_is_no_list() {
        for bad in ["[", "[1", "[1}", "{\"resources\":[1,2}", "[1]2", "\"x\"", "{\"resources\":7}", "[\"x]"] {
            assert!(pieces(bad).is_err(), "{bad}");
        }
    }
}
