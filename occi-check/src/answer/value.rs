//! An attribute's value as a server wrote it.

use std::fmt;

use serde_json::Value as Json;

use super::scanner::unquote;
use crate::check::Stop;

/// A value, with its type as the rendering showed it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text, quoted in the text renderings.
    Text(String),
    /// A number, with its digits as they were written.
    Number(String),
    /// A boolean.
    Boolean(bool),
    /// An array, an object or null: JSON only.
    Structure(Json),
}

impl Value {
    /// The value of `name=value` in a text rendering.
    pub(crate) fn parse(text: &str) -> Result<Self, Stop> {
        match text {
            "true" => Ok(Self::Boolean(true)),
            "false" => Ok(Self::Boolean(false)),
            _ if text.starts_with('"') => Ok(Self::Text(unquote(text)?)),
            _ if text.parse::<f64>().is_ok_and(f64::is_finite) => Ok(Self::Number(text.to_owned())),
            _ => fail!("{text:?} is no quoted string, number or boolean"),
        }
    }

    pub(crate) fn from_json(value: &Json) -> Self {
        match value {
            Json::String(text) => Self::Text(text.clone()),
            Json::Bool(boolean) => Self::Boolean(*boolean),
            Json::Number(number) => Self::Number(number.to_string()),
            other => Self::Structure(other.clone()),
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Whether it means the same, however it was written.
    pub(crate) fn means(&self, other: &Self) -> bool {
        match (self.as_number(), other.as_number()) {
            (Some(left), Some(right)) => (left - right).abs() <= f64::EPSILON * left.abs().max(1.0),
            _ => self == other,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Number(digits) => formatter.write_str(digits),
            Self::Boolean(boolean) => write!(formatter, "{boolean}"),
            Self::Structure(json) => write!(formatter, "{json}"),
        }
    }
}
