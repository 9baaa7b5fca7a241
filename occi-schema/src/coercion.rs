//! From what a client wrote to a value of the declared type (section 3.8 rule 5).

use thiserror::Error;

use crate::attribute::{AttributeDefinition, ValueType};
use crate::identifier::excerpt;
use crate::model::Mode;
use crate::value::{RawValue, Value, number};

/// A value does not fit its attribute.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{attribute} takes {expected}, not `{found}`")]
pub struct BadValue {
    /// The attribute or parameter.
    pub attribute: String,
    /// What it takes.
    pub expected: String,
    /// The start of what was given.
    pub found: String,
}

impl AttributeDefinition {
    /// Turns what a client wrote into a value of this attribute.
    ///
    /// Strict mode refuses JSON strings where JSON has a type for the value (C-277); text is coerced in both modes.
    ///
    /// # Errors
    /// [`BadValue`] if the text is of another type, out of range, not one of the allowed words or of another form.
    pub fn coerce(&self, raw: &RawValue, mode: Mode) -> Result<Value, BadValue> {
        self.typed(raw, mode).ok_or_else(|| BadValue {
            attribute: self.name.to_string(),
            expected: self.expectation(),
            found: match raw.text() {
                Some(text) => excerpt(&text),
                None => "a list or map".to_owned(),
            },
        })
    }

    fn typed(&self, raw: &RawValue, mode: Mode) -> Option<Value> {
        let is_json_string = matches!(raw, RawValue::Typed(Value::String(_)));
        if mode == Mode::Strict && is_json_string && self.value_type.json_name() != "string" {
            return None;
        }
        match &self.value_type {
            ValueType::String(pattern) => {
                let text = raw.text()?;
                pattern.is_none_or(|pattern| pattern.matches(&text)).then_some(Value::String(text))
            }
            ValueType::Enum(words) => {
                let text = raw.text()?;
                let word = self.aliases.get(&text).unwrap_or(&text);
                words.iter().find(|allowed| allowed.eq_ignore_ascii_case(word)).cloned().map(Value::String)
            }
            ValueType::Uri => {
                let text = raw.text()?;
                (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')))
                    .then_some(Value::String(text))
            }
            ValueType::Integer { minimum, maximum } => {
                let whole = whole(&numeric(raw)?)?;
                within(&whole, minimum.as_ref(), maximum.as_ref()).then_some(Value::Integer(whole))
            }
            ValueType::Float { minimum, maximum } => {
                let float = numeric(raw)?.as_float()?;
                within(&float, minimum.as_ref(), maximum.as_ref()).then_some(Value::Float(float))
            }
            ValueType::Boolean => match raw {
                RawValue::Typed(Value::Boolean(truth)) => Some(Value::Boolean(*truth)),
                _ => raw.text()?.trim().to_ascii_lowercase().parse().ok().map(Value::Boolean),
            },
            ValueType::List => structure(raw).filter(|value| matches!(value, Value::List(_))),
            ValueType::Map => structure(raw).filter(|value| matches!(value, Value::Map(_))),
        }
    }

    fn expectation(&self) -> String {
        match &self.value_type {
            ValueType::String(None) => "text".to_owned(),
            ValueType::String(Some(pattern)) => pattern.description().to_owned(),
            ValueType::Enum(words) => format!("one of {}", words.join(", ")),
            ValueType::Uri => "a URI or a path".to_owned(),
            ValueType::Integer { minimum, maximum } => format!("a whole number{}", bounds(minimum, maximum)),
            ValueType::Float { minimum, maximum } => format!("a number{}", bounds(minimum, maximum)),
            ValueType::Boolean => "true or false".to_owned(),
            ValueType::List => "a list".to_owned(),
            ValueType::Map => "a map".to_owned(),
        }
    }
}

fn bounds(minimum: &Option<impl std::fmt::Display>, maximum: &Option<impl std::fmt::Display>) -> String {
    match (minimum, maximum) {
        (Some(minimum), Some(maximum)) => format!(" from {minimum} to {maximum}"),
        (Some(minimum), None) => format!(" of at least {minimum}"),
        (None, Some(maximum)) => format!(" of at most {maximum}"),
        (None, None) => String::new(),
    }
}

fn within<T: PartialOrd>(number: &T, minimum: Option<&T>, maximum: Option<&T>) -> bool {
    minimum.is_none_or(|minimum| number >= minimum) && maximum.is_none_or(|maximum| number <= maximum)
}

fn numeric(raw: &RawValue) -> Option<Value> {
    match raw {
        RawValue::Typed(value @ (Value::Integer(_) | Value::Float(_))) => Some(value.clone()),
        RawValue::Typed(Value::String(text)) | RawValue::Quoted(text) | RawValue::Bare(text) => number(text.trim()),
        RawValue::Typed(_) => None,
    }
}

/// A whole number, also where it was written as `2.0`.
fn whole(value: &Value) -> Option<i64> {
    /// Above this a float does not hold every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Integer(whole) => Some(*whole),
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the exact range")]
        Value::Float(float) if float.fract() == 0.0 && float.abs() <= EXACT => Some(*float as i64),
        _ => None,
    }
}

/// Lists and maps travel through the text renderings as quoted JSON.
fn structure(raw: &RawValue) -> Option<Value> {
    match raw {
        RawValue::Typed(Value::String(text)) | RawValue::Quoted(text) => serde_json::from_str(text).ok(),
        RawValue::Typed(value) => Some(value.clone()),
        RawValue::Bare(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::AttributeName;
    use crate::pattern::Pattern;

    fn coerce(value_type: ValueType, raw: impl Into<RawValue>) -> Option<Value> {
        let definition = AttributeDefinition::new(AttributeName::new("x.y").unwrap(), value_type);
        definition.coerce(&raw.into(), Mode::Interop).ok()
    }

    fn quoted(text: &str) -> RawValue {
        RawValue::Quoted(text.to_owned())
    }

    fn bare(text: &str) -> RawValue {
        RawValue::Bare(text.to_owned())
    }

    #[test]
    fn c_101_c_264_numbers_may_be_quoted_but_not_empty_or_words() {
        let integer = || ValueType::INTEGER;
        assert_eq!(coerce(integer(), quoted("2")), Some(Value::Integer(2)));
        assert_eq!(coerce(integer(), bare("2.0")), Some(Value::Integer(2)));
        assert_eq!(coerce(integer(), Value::Float(4.0)), Some(Value::Integer(4)));
        for bad in ["abc", "", "2.5", "1e400", "0x10", "++2"] {
            assert_eq!(coerce(integer(), quoted(bad)), None, "{bad}");
        }
        assert_eq!(coerce(ValueType::FLOAT, bare("4")), Some(Value::Float(4.0)));
    }

    #[test]
    fn c_103_ranges_include_their_bounds() {
        let vlan = || ValueType::Integer { minimum: Some(0), maximum: Some(4095) };
        assert!(coerce(vlan(), bare("4095")).is_some());
        assert!(coerce(vlan(), bare("4096")).is_none());
        assert!(coerce(vlan(), bare("-1")).is_none());
    }

    #[test]
    fn c_102_words_are_compared_without_case_and_aliases_are_read() {
        let words = || ValueType::Enum(vec!["hot".to_owned(), "deferred".to_owned()]);
        assert_eq!(coerce(words(), quoted("HOT")), Some(Value::from("hot")));
        assert_eq!(coerce(words(), quoted("sparc")), None);
        let mut definition = AttributeDefinition::new(AttributeName::new("method").unwrap(), words());
        definition.aliases.insert("deffered".to_owned(), "deferred".to_owned());
        assert_eq!(definition.coerce(&quoted("deffered"), Mode::Interop), Ok(Value::from("deferred")));
    }

    #[test]
    fn text_keeps_what_was_written() {
        assert_eq!(coerce(ValueType::TEXT, bare("1.10")), Some(Value::from("1.10")));
        assert_eq!(coerce(ValueType::TEXT, Value::Integer(5)), Some(Value::from("5")));
        assert_eq!(coerce(ValueType::String(Some(Pattern::Ip)), quoted("nope")), None);
        assert_eq!(coerce(ValueType::Boolean, quoted("true")), Some(Value::Boolean(true)));
        assert_eq!(coerce(ValueType::List, quoted("[1]")), Some(Value::List(vec![Value::Integer(1)])));
        assert_eq!(coerce(ValueType::List, quoted("{}")), None);
        assert_eq!(coerce(ValueType::Uri, quoted("/compute/1\r\nX: y")), None);
    }

    #[test]
    fn c_277_strict_mode_refuses_json_strings_for_numbers() {
        let definition = AttributeDefinition::new(AttributeName::new("n").unwrap(), ValueType::INTEGER);
        assert!(definition.coerce(&Value::from("2").into(), Mode::Strict).is_err());
        assert!(definition.coerce(&Value::from("2").into(), Mode::Interop).is_ok());
        let message = definition.coerce(&quoted("abc"), Mode::Interop).unwrap_err().to_string();
        assert_eq!(message, "n takes a whole number, not `abc`");
    }
}
