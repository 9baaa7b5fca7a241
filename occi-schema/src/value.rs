//! Attribute values: typed ones, and the ones a client wrote before their type is known.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A typed attribute value. In JSON it is the plain value (GFD.226 section 3.5).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A finite number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list of values.
    List(Vec<Value>),
    /// A map from names to values.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The text of a string value.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name of its type in the JSON rendering (GFD.226 section 3.5).
    #[must_use]
    pub fn json_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Integer(_) | Self::Float(_) => "number",
            Self::Boolean(_) => "boolean",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// The number of an integer value.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number of a float or integer value.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "sizes in GiB are far below 2^53")]
            Self::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The truth of a boolean value.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Boolean(truth) => serializer.serialize_bool(*truth),
            Self::List(items) => items.serialize(serializer),
            Self::Map(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, number, boolean, list or map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        match text.chars().find(|letter| is_forbidden(*letter)) {
            Some(letter) => Err(E::custom(format!("the control character U+{:04X} is not taken", u32::from(letter)))),
            None => Ok(Value::String(text)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| E::custom("a number above 2^63 - 1 is not taken"))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        if number.is_finite() { Ok(Value::Float(number)) } else { Err(E::custom("a number must be finite")) }
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Boolean(truth))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Map(members))
    }
}

/// A value as a client wrote it, whose type only the attribute's definition tells.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// Text that stood between quotes, escapes undone. Some clients quote numbers and booleans too.
    Quoted(String),
    /// Text without quotes: a number, a boolean, or (from sloppy clients) a word.
    Bare(String),
    /// A JSON value.
    Typed(Value),
}

impl RawValue {
    /// The value by its look alone, for attributes without a definition (GFD.229 section 4.3).
    #[must_use]
    pub fn guess(&self) -> Value {
        match self {
            Self::Quoted(text) => Value::String(text.clone()),
            Self::Typed(value) => value.clone(),
            Self::Bare(text) => match text.as_str() {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                _ => number(text).unwrap_or_else(|| Value::String(text.clone())),
            },
        }
    }

    /// The text as it was written, without quotes; `None` for lists and maps.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Quoted(text) | Self::Bare(text) => Some(text.clone()),
            Self::Typed(Value::String(text)) => Some(text.clone()),
            Self::Typed(Value::Integer(number)) => Some(number.to_string()),
            Self::Typed(Value::Float(number)) => Some(float_text(*number)),
            Self::Typed(Value::Boolean(truth)) => Some(truth.to_string()),
            Self::Typed(Value::List(_) | Value::Map(_)) => None,
        }
    }
}

impl From<Value> for RawValue {
    fn from(value: Value) -> Self {
        Self::Typed(value)
    }
}

/// Reads a number; signs and exponents are taken although no client may count on them (A-34).
pub(crate) fn number(text: &str) -> Option<Value> {
    let numeric = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().any(|byte| byte.is_ascii_digit()) || !text.bytes().all(numeric) {
        return None;
    }
    if let Ok(whole) = text.parse() {
        return Some(Value::Integer(whole));
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float)
}

/// A float as `d+.d+`: the only form that every known client reads (A-34).
pub(crate) fn float_text(number: f64) -> String {
    let mut text = number.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// Control characters that no value may hold. Tabs and line ends are text; the renderings escape them.
pub(crate) fn is_forbidden(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_146_floats_have_digits_on_both_sides_and_no_exponent() {
        assert_eq!(float_text(2.0), "2.0");
        assert_eq!(float_text(0.5), "0.5");
        assert_eq!(float_text(1e20), "100000000000000000000.0");
        assert_eq!(float_text(1e-7), "0.0000001");
    }

    #[test]
    fn c_263_bare_values_are_typed_by_their_look() {
        let guess = |text: &str| RawValue::Bare(text.to_owned()).guess();
        assert_eq!(guess("2"), Value::Integer(2));
        assert_eq!(guess("2.0"), Value::Float(2.0));
        assert_eq!(guess("-1.5e3"), Value::Float(-1500.0));
        assert_eq!(guess("true"), Value::Boolean(true));
        assert_eq!(guess("x86"), Value::from("x86"));
        assert_eq!(guess("inf"), Value::from("inf"));
        assert_eq!(guess("99999999999999999999"), Value::Float(1e20));
    }

    #[test]
    fn json_values_keep_their_types() {
        let text = r#"{"a":[1,2.0,"x",true]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn json_null_control_characters_and_repeated_members_are_refused() {
        for bad in ["null", "\"\\u0000\"", "\"\\u009b\"", "18446744073709551615", r#"{"a":1,"a":2}"#, "1e999"] {
            assert!(serde_json::from_str::<Value>(bad).is_err(), "{bad}");
        }
    }
}
