//! Attribute names and definitions (core, GFD.221 section 5.3.2).

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::identifier::{excerpt, is_term};
use crate::model::Mode;
use crate::pattern::Pattern;
use crate::value::Value;
use crate::version::OcciVersion;

/// Longest attribute name, in bytes, that is taken.
const NAME_BYTES: usize = 255;

/// The flat, dotted name of an attribute, such as `occi.compute.cores`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Cow<'static, str>);

/// Why a text is no attribute name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no attribute name: a name is at most {NAME_BYTES} letters, digits, `-`, `_` and `.`, \
     and starts with a letter or digit"
)]
pub struct InvalidAttributeName(String);

impl AttributeName {
    /// Checks a name.
    ///
    /// # Errors
    /// The text breaks the grammar of the 1.2 text rendering (GFD.229 section 4.1) or is too long.
    pub fn new(text: &str) -> Result<Self, InvalidAttributeName> {
        if is_term(text) && text.len() <= NAME_BYTES {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(InvalidAttributeName(excerpt(text)))
        }
    }

    /// A name from this program's own text; unlike [`AttributeName::new`] it checks nothing.
    pub(crate) const fn well_known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name belongs to the core model, `occi.core.…`.
    #[must_use]
    pub fn is_core(&self) -> bool {
        self.0.starts_with("occi.core.")
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for AttributeName {
    type Err = InvalidAttributeName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Borrow<str> for AttributeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for AttributeName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl Serialize for AttributeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AttributeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The type of an attribute's values, with its bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueType {
    /// Any text, of the given form if there is one.
    String(Option<Pattern>),
    /// A whole number within inclusive bounds.
    Integer {
        /// The least value.
        minimum: Option<i64>,
        /// The greatest value.
        maximum: Option<i64>,
    },
    /// A number within inclusive bounds.
    Float {
        /// The least value.
        minimum: Option<f64>,
        /// The greatest value.
        maximum: Option<f64>,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these texts, compared without regard to case.
    Enum(Vec<String>),
    /// A URI, or a path on this server.
    Uri,
    /// A list of values.
    List,
    /// A map of values.
    Map,
}

impl ValueType {
    /// Any text.
    pub const TEXT: Self = Self::String(None);
    /// Any whole number.
    pub const INTEGER: Self = Self::Integer { minimum: None, maximum: None };
    /// Any number.
    pub const FLOAT: Self = Self::Float { minimum: None, maximum: None };

    /// The type's name in the JSON rendering (GFD.226 section 3.5.1).
    #[must_use]
    pub fn json_name(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Enum(_) | Self::Uri => "string",
            Self::Integer { .. } | Self::Float { .. } => "number",
            Self::Boolean => "boolean",
            Self::List => "array",
            Self::Map => "object",
        }
    }
}

/// When a client may write an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// At creation and later: mutable.
    #[default]
    Always,
    /// Once, at creation. The documents print these as mutable and forbid their change in prose.
    AtCreation,
    /// Never: the server manages it.
    Never,
}

/// Whether an attribute must be given at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It may be left out.
    #[default]
    Optional,
    /// The client must give it, unless a default exists.
    Required,
    /// Required by the letter of the documents, but every real server chooses a value.
    ServerFills,
}

/// What a category says about one of its attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeDefinition {
    /// The name.
    pub name: AttributeName,
    /// Type and bounds of the values.
    pub value_type: ValueType,
    /// When a client may write it.
    pub change: Change,
    /// Whether it must be given at creation.
    pub presence: Presence,
    /// Used at creation where the client gives nothing.
    pub default: Option<Value>,
    /// The unit of the numbers, such as `GiB`.
    pub unit: Option<String>,
    /// What the attribute means, for people.
    pub description: Option<String>,
    /// Other spellings that clients use, and the value each means.
    pub aliases: BTreeMap<String, String>,
    /// The first OCCI version that has it.
    pub since: Option<OcciVersion>,
    /// The last OCCI version that has it.
    pub until: Option<OcciVersion>,
}

impl AttributeDefinition {
    /// A mutable, optional attribute without a default.
    #[must_use]
    pub fn new(name: AttributeName, value_type: ValueType) -> Self {
        Self {
            name,
            value_type,
            change: Change::default(),
            presence: Presence::default(),
            default: None,
            unit: None,
            description: None,
            aliases: BTreeMap::new(),
            since: None,
            until: None,
        }
    }

    /// The same, managed by the server alone.
    #[must_use]
    pub fn immutable(mut self) -> Self {
        self.change = Change::Never;
        self
    }

    /// The same, to be given at creation.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// The same, with a default.
    #[must_use]
    pub fn with_default(mut self, default: Value) -> Self {
        self.default = Some(default);
        self
    }

    /// The same, with a description.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Whether discovery calls the attribute mutable.
    #[must_use]
    pub fn is_mutable(&self) -> bool {
        self.change != Change::Never
    }

    /// Whether discovery calls the attribute required.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.presence == Presence::Required
    }

    /// The same in a mode: by the letter, what an instance always has and a client may write is required.
    #[must_use]
    pub fn is_required_in(&self, mode: Mode) -> bool {
        self.is_required() || (mode == Mode::Strict && self.presence == Presence::ServerFills)
    }

    /// The pattern of a string attribute.
    #[must_use]
    pub fn pattern(&self) -> Option<Pattern> {
        match self.value_type {
            ValueType::String(pattern) => pattern,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_cannot_carry_punctuation() {
        assert!(AttributeName::new("occi.compute.cores").is_ok());
        assert!(AttributeName::new("occi.agreement.agreedAt").is_ok());
        for bad in ["", ".a", "a b", "a=b", "a\"b", "a\r\nb", "ü", &"a".repeat(NAME_BYTES + 1)] {
            assert!(AttributeName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_map_of_names_is_searched_by_text() {
        let map = BTreeMap::from([(AttributeName::new("occi.core.id").unwrap(), 1)]);
        assert_eq!(map.get("occi.core.id"), Some(&1));
    }
}
