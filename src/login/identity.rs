use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// No issuer is longer, in bytes.
const LONGEST_ISSUER: usize = 512;
/// OpenID Connect allows a subject no more bytes.
const LONGEST_SUBJECT: usize = 255;
/// What is shown of a name, in characters.
const LONGEST_NAME: usize = 255;
/// Claims nest no deeper.
const DEEPEST: usize = 8;
/// So many values are in one person's claims at most: lists, objects, texts, numbers, counted together.
const MOST_VALUES: usize = 5_000;
/// All keys and texts of one person's claims together, in bytes.
const MOST_TEXT: usize = 256 << 10;

/// Who somebody is at a provider. Nothing else identifies: names and e-mail addresses can be given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The provider, as it names itself.
    pub issuer: String,
    /// The person, as the provider names them, for ever.
    pub subject: String,
}

impl Identity {
    /// Somebody at a provider.
    ///
    /// # Errors
    /// Issuer or subject are empty, too long, or hold control characters.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, ClaimsError> {
        for (what, text, longest) in [("iss", issuer, LONGEST_ISSUER), ("sub", subject, LONGEST_SUBJECT)] {
            if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
                return Err(ClaimsError::Unfit { what, longest });
            }
        }
        Ok(Self { issuer: issuer.to_owned(), subject: subject.to_owned() })
    }
}

/// What a provider says about a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// Who it is.
    pub identity: Identity,
    /// For people to read; never a key.
    pub name: Option<String>,
    /// What the person would like to be called; never a key.
    pub preferred_username: Option<String>,
    /// Where mail goes; never a key.
    pub email: Option<String>,
    /// Everything that was said, for the mapping rules.
    pub all: Map<String, Value>,
}

/// Why claims are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// Issuer or subject.
    #[error("the claim {what} must have 1 to {longest} bytes and no control characters")]
    Unfit {
        /// Its name.
        what: &'static str,
        /// Bytes.
        longest: usize,
    },
    /// More than anybody's claims hold. They are refused as a whole: with a part of the groups a person would have
    /// other rights than the provider says.
    #[error(
        "there are more than {MOST_VALUES} values, {MOST_TEXT} bytes or {DEEPEST} levels in the claims; \
         let the provider send only the groups that concern Tombolo"
    )]
    TooMuch,
}

impl Claims {
    /// What was said about somebody, within bounds.
    ///
    /// # Errors
    /// It is more than is taken.
    pub fn new(identity: Identity, all: Map<String, Value>) -> Result<Self, ClaimsError> {
        let mut room = Room { values: MOST_VALUES, text: MOST_TEXT };
        for (key, value) in &all {
            room.take_text(key)?;
            room.take(value, 1)?;
        }
        let text = |key: &str| all.get(key).and_then(Value::as_str).and_then(shown);
        let (name, preferred_username, email) = (text("name"), text("preferred_username"), text("email"));
        Ok(Self { identity, name, preferred_username, email, all })
    }
}

/// A text without what would change how others are read, at a length that fits a page.
fn shown(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !is_invisible(*c)).take(LONGEST_NAME).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Control characters, and those that turn the direction of writing.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

struct Room {
    values: usize,
    text: usize,
}

impl Room {
    fn take_text(&mut self, text: &str) -> Result<(), ClaimsError> {
        self.text = self.text.checked_sub(text.len()).ok_or(ClaimsError::TooMuch)?;
        Ok(())
    }

    fn take(&mut self, value: &Value, depth: usize) -> Result<(), ClaimsError> {
        if depth > DEEPEST {
            return Err(ClaimsError::TooMuch);
        }
        self.values = self.values.checked_sub(1).ok_or(ClaimsError::TooMuch)?;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => self.take_text(text),
            Value::Array(values) => values.iter().try_for_each(|value| self.take(value, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(key, value)| {
                self.take_text(key)?;
                self.take(value, depth + 1)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(all: Value) -> Result<Claims, ClaimsError> {
        let Value::Object(all) = all else { panic!("not an object") };
        Claims::new(Identity::new("https://school.example", "anna")?, all)
    }

    #[test]
    fn names_are_for_people_and_lose_what_cannot_be_seen() {
        let said =
            json!({"name": " Anna\u{202e}\r\nA. ", "preferred_username": "anna", "email": "\n", "groups": ["a"]});
        let claims = claims(said).unwrap();
        assert_eq!(claims.name.as_deref(), Some("AnnaA."));
        assert_eq!(claims.preferred_username.as_deref(), Some("anna"));
        assert_eq!(claims.email, None);
        assert_eq!(claims.all["groups"], json!(["a"]));
    }

    #[test]
    fn a_name_that_is_no_text_is_none() {
        assert_eq!(claims(json!({"name": {"a": 1}, "email": 7})).unwrap().name, None);
    }

    #[test]
    fn issuer_and_subject_have_bounds() {
        let longest = "s".repeat(255);
        assert!(Identity::new("https://a", &longest).is_ok());
        for (issuer, subject) in
            [("", "a"), ("https://a", ""), ("https://a", &*format!("{longest}s")), ("https://a", "a\0"), ("a\n", "a")]
        {
            assert!(Identity::new(issuer, subject).is_err(), "{issuer:?} {subject:?}");
        }
    }

    #[test]
    fn a18_a_school_of_groups_is_taken_and_a_flood_is_refused_as_a_whole() {
        let groups = |count: usize| json!({"groups": (0..count).map(|n| format!("class-{n}")).collect::<Vec<_>>()});
        assert_eq!(claims(groups(4_000)).unwrap().all["groups"].as_array().unwrap().len(), 4_000);
        assert_eq!(claims(groups(100_000)), Err(ClaimsError::TooMuch));
    }

    #[test]
    fn a18_depth_and_length_are_bounded_too() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(claims(json!({"a": nested(7)})).is_ok());
        assert_eq!(claims(json!({"a": nested(8)})), Err(ClaimsError::TooMuch));
        assert!(claims(json!({"a": "x".repeat(200_000)})).is_ok());
        assert_eq!(claims(json!({"a": "x".repeat(300_000)})), Err(ClaimsError::TooMuch));
        assert_eq!(claims(json!({"x".repeat(300_000): 1})), Err(ClaimsError::TooMuch));
    }
}
