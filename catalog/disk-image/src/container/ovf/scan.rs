//! A look at an XML text before it is parsed: the parser's work grows faster than the text when elements lie deep, or
//! have many attributes or namespaces.

const DEEPEST: usize = 64;
const MOST_ATTRIBUTES: usize = 256;
/// In force at one place.
const MOST_NAMESPACES: usize = 64;

/// Refuses texts whose parsing would cost more than a real description's. What is not well-formed is left to the
/// parser.
pub(super) fn check_bounds(text: &str) -> Result<(), String> {
    let mut rest = text;
    // How many namespaces each open element declares.
    let mut open: Vec<usize> = Vec::new();
    let mut namespaces = 0;
    while let Some(begin) = rest.find('<') {
        rest = &rest[begin..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, end)) = skipped.iter().find(|(mark, _)| rest.starts_with(mark)) {
            let Some(place) = rest.find(end) else { return Ok(()) };
            rest = &rest[place + end.len()..];
        } else if rest.starts_with("<!DOCTYPE") {
            return Err("has a document type declaration, which an OVF has no use for".into());
        } else if rest.starts_with("</") {
            namespaces -= open.pop().unwrap_or(0);
            rest = &rest[2..];
        } else if rest.starts_with("<!") {
            rest = &rest[2..];
        } else {
            let tag = Tag::read(rest);
            if tag.attributes > MOST_ATTRIBUTES {
                return Err(format!("has an element with more than {MOST_ATTRIBUTES} attributes"));
            }
            if namespaces + tag.namespaces > MOST_NAMESPACES {
                return Err(format!("declares more than {MOST_NAMESPACES} namespaces at once"));
            }
            if !tag.is_empty {
                open.push(tag.namespaces);
                namespaces += tag.namespaces;
            }
            if open.len() > DEEPEST {
                return Err(format!("has elements more than {DEEPEST} deep within each other"));
            }
            rest = &rest[tag.length..];
        }
    }
    Ok(())
}

/// What is counted in the tag that a text begins with.
struct Tag {
    length: usize,
    attributes: usize,
    namespaces: usize,
    is_empty: bool,
}

impl Tag {
    fn read(text: &str) -> Self {
        let mut tag = Self { length: text.len(), attributes: 0, namespaces: 0, is_empty: false };
        let mut quote = None;
        let mut last = b'<';
        let bytes = text.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            match (quote, byte) {
                (Some(mark), _) => quote = (byte != mark).then_some(mark),
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    tag.attributes += 1;
                }
                (None, b'x') if bytes[at..].starts_with(b"xmlns") && last.is_ascii_whitespace() => tag.namespaces += 1,
                (None, b'>') => {
                    tag.length = at + 1;
                    tag.is_empty = last == b'/';
                    break;
                }
                _ => {}
            }
            last = byte;
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_passes() {
        let text = "<?xml version='1.0' ?><!-- <a><b> --><E xmlns='u' xmlns:x='v' a='>/' b=\"'\"><F/><G> = </G>\
                    <![CDATA[<a]]></E>";
        assert_eq!(check_bounds(text), Ok(()));
        assert_eq!(check_bounds(&format!("<a>{}</a>", "<b xmlns:c='d'><e/></b>".repeat(10_000))), Ok(()));
        for cut in 0..text.len() {
            assert_eq!(check_bounds(&text[..cut]), Ok(()), "cut at {cut}");
        }
    }

    #[test]
    fn what_costs_more_than_it_is_worth_does_not() {
        let problem = |text: &str| check_bounds(text).err().unwrap_or_default();
        assert!(problem("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").contains("document type"));
        assert!(problem(&"<a>".repeat(100_000)).contains("64 deep"));
        let attributes: String = (0..300).map(|i| format!(" a{i}='>'")).collect();
        assert!(problem(&format!("<a{attributes}/>")).contains("256 attributes"));
        let deep: String = (0..60).map(|i| format!("<a xmlns:b{i}='{i}' xmlns:c{i}='{i}'>")).collect();
        assert!(problem(&deep).contains("64 namespaces"));
    }
}
