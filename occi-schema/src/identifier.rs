//! Type identifiers: scheme followed by term (core, GFD.221 section 5.3.1).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest scheme, in bytes, that is taken.
const SCHEME_BYTES: usize = 512;
/// Longest term, in bytes, that is taken.
const TERM_BYTES: usize = 128;

/// The identity of a category: its scheme, which ends in `#`, and its term.
///
/// Written (and read) as one string, `http://schemas.ogf.org/occi/infrastructure#compute`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId {
    text: Cow<'static, str>,
    /// Where the term starts; within the text and between characters.
    term: u16,
}

/// Why a text is not a type identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCategoryId {
    /// The scheme is not a URI of visible ASCII characters that ends in `#`.
    #[error("`{0}` is no scheme: a scheme is an absolute URI of at most {SCHEME_BYTES} bytes that ends in #")]
    Scheme(String),
    /// The term breaks the grammar of the text rendering (GFD.229 section 4.1).
    #[error(
        "`{0}` is no term: a term is at most {TERM_BYTES} letters, digits, `-`, `_` and `.`, \
         and starts with a letter or digit"
    )]
    Term(String),
}

impl CategoryId {
    /// Checks and joins a scheme and a term.
    ///
    /// # Errors
    /// [`InvalidCategoryId`] names the part that breaks the grammar.
    pub fn new(scheme: &str, term: &str) -> Result<Self, InvalidCategoryId> {
        if !is_scheme(scheme) {
            return Err(InvalidCategoryId::Scheme(excerpt(scheme)));
        }
        if !is_term(term) || term.len() > TERM_BYTES {
            return Err(InvalidCategoryId::Term(excerpt(term)));
        }
        let term_start = u16::try_from(scheme.len()).map_err(|_| InvalidCategoryId::Scheme(excerpt(scheme)))?;
        Ok(Self { text: Cow::Owned([scheme, term].concat()), term: term_start })
    }

    /// An identifier from this program's own text; unlike [`CategoryId::new`] it checks nothing.
    pub(crate) const fn well_known(text: &'static str, term: u16) -> Self {
        Self { text: Cow::Borrowed(text), term }
    }

    /// The scheme, with its closing `#`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..usize::from(self.term)).unwrap_or_default()
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> &str {
        self.text.get(usize::from(self.term)..).unwrap_or_default()
    }

    /// The joined form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for CategoryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for CategoryId {
    type Err = InvalidCategoryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let term_start = text.rfind('#').map_or(0, |hash| hash + 1);
        let (scheme, term) = text.split_at(term_start);
        Self::new(scheme, term)
    }
}

impl Serialize for CategoryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for CategoryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The grammar of terms and attribute names of the 1.2 text rendering, without a length.
pub(crate) fn is_term(text: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_scheme(text: &str) -> bool {
    // A scheme is printed between quotes and inside lists that are separated by spaces: neither may occur in it.
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b',' | b';');
    text.len() <= SCHEME_BYTES
        && text.ends_with('#')
        && text.find(':').is_some_and(|colon| colon > 0)
        && text.bytes().all(legal)
}

/// The start of a hostile text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).flat_map(|letter| letter.escape_debug()).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joined_form_is_read_and_written() {
        let id: CategoryId = "http://schemas.ogf.org/occi/infrastructure#compute".parse().unwrap();
        assert_eq!((id.scheme(), id.term()), ("http://schemas.ogf.org/occi/infrastructure#", "compute"));
        assert_eq!(id.to_string(), "http://schemas.ogf.org/occi/infrastructure#compute");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<CategoryId>(&json).unwrap(), id);
    }

    #[test]
    fn c_260_terms_follow_the_grammar_of_occi_1_2() {
        for good in ["Small.2", "os_tpl", "9front", "a"] {
            assert!(CategoryId::new("http://a.example/x#", good).is_ok(), "{good}");
        }
        for bad in ["", "_x", ".x", "a b", "ä", "a;b", "a\"", "a\n", &"x".repeat(TERM_BYTES + 1)] {
            assert!(CategoryId::new("http://a.example/x#", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn schemes_cannot_break_out_of_a_line() {
        for bad in ["", "#", "http://a", "http://a b#", "http://a\"#", "http://a\r\n#", "http://a,#", "http://é#"] {
            assert!(CategoryId::new(bad, "x").is_err(), "{bad:?}");
        }
        assert!(CategoryId::new(&format!("http://{}#", "a".repeat(SCHEME_BYTES)), "x").is_err());
    }

    #[test]
    fn a_message_shows_a_bounded_excerpt() {
        let message = CategoryId::new("http://a#", &"y\n".repeat(1000)).unwrap_err().to_string();
        assert!(message.len() < 400 && !message.contains('\n'), "{message}");
    }
}
