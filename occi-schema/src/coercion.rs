//! From what a client wrote to a value of the declared type (section 3.8 rule 5).

use thiserror::Error;

use crate::attribute::{AttributeDefinition, ValueType};
use crate::identifier::excerpt;
use crate::model::Mode;
use crate::parse::is_reference;
use crate::pattern::Pattern;
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
    /// Strict mode takes no value in another type's clothes: a JSON string for a number (C-277), a quoted number, a
    /// bare word (C-263), another spelling of a word.
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
        if mode == Mode::Strict && !self.value_type.is_written_as(raw) {
            return None;
        }
        match &self.value_type {
            ValueType::String(pattern) => {
                let text = raw.text()?;
                // Clients send labels of their own as host names (GFD.184 says String); a guest's name is the server's.
                let pattern = pattern.filter(|pattern| mode == Mode::Strict || *pattern != Pattern::Hostname);
                pattern.is_none_or(|pattern| pattern.matches(&text)).then_some(Value::String(text))
            }
            ValueType::Enum(words) => {
                let text = raw.text()?;
                let alias = self.aliases.get(&text).filter(|_| mode == Mode::Interop);
                let word = alias.unwrap_or(&text);
                words.iter().find(|allowed| allowed.eq_ignore_ascii_case(word)).cloned().map(Value::String)
            }
            ValueType::Uri => {
                let text = raw.text()?;
                is_reference(&text).then_some(Value::String(text))
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

/// Deepest nesting of a list or map: what is taken in one rendering must fit into the limits of the others.
const DEPTH: usize = 8;

/// Lists and maps travel through the text renderings as quoted JSON.
fn structure(raw: &RawValue) -> Option<Value> {
    let value = match raw {
        RawValue::Typed(Value::String(text)) | RawValue::Quoted(text) => serde_json::from_str(text).ok()?,
        RawValue::Typed(value) => value.clone(),
        RawValue::Bare(_) => return None,
    };
    fits(&value, DEPTH).then_some(value)
}

fn fits(value: &Value, depth: usize) -> bool {
    match value {
        Value::List(items) => depth > 0 && items.iter().all(|item| fits(item, depth - 1)),
        Value::Map(members) => depth > 0 && members.values().all(|member| fits(member, depth - 1)),
        _ => true,
    }
}

impl ValueType {
    /// Whether a client wrote a value as the documents have this type: GFD.226 section 3.5, GFD.229 section 4.3.
    fn is_written_as(&self, raw: &RawValue) -> bool {
        let expected = self.json_name();
        match raw {
            RawValue::Typed(value) => value.json_name() == expected,
            // Lists and maps have no form of their own in text.
            RawValue::Quoted(_) => !matches!(expected, "number" | "boolean"),
            RawValue::Bare(_) => matches!(expected, "number" | "boolean"),
        }
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

    #[test]
    fn c_263_c_264_strict_mode_takes_the_grammar_at_its_word() {
        let of = |value_type| AttributeDefinition::new(AttributeName::new("n").unwrap(), value_type);
        let is_taken = |value_type, raw: RawValue| of(value_type).coerce(&raw, Mode::Strict).is_ok();
        assert!(is_taken(ValueType::INTEGER, bare("2")) && !is_taken(ValueType::INTEGER, quoted("2")));
        assert!(is_taken(ValueType::FLOAT, bare("2.5")) && !is_taken(ValueType::Boolean, quoted("true")));
        assert!(is_taken(ValueType::TEXT, quoted("2")) && !is_taken(ValueType::TEXT, bare("x")));
        assert!(!is_taken(ValueType::TEXT, Value::Integer(2).into()));
        assert!(is_taken(ValueType::List, quoted("[1]")) && is_taken(ValueType::List, Value::List(vec![]).into()));
        let mut method = of(ValueType::Enum(vec!["deferred".to_owned()]));
        method.aliases.insert("deffered".to_owned(), "deferred".to_owned());
        assert!(method.coerce(&quoted("deffered"), Mode::Strict).is_err(), "A-36");
    }

    #[test]
    fn a_40_lists_are_as_deep_in_text_as_in_json() {
        let nested = |depth: usize| quoted(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(coerce(ValueType::List, nested(DEPTH)).is_some());
        assert!(coerce(ValueType::List, nested(DEPTH + 1)).is_none());
    }

    #[test]
    fn uris_are_what_every_rendering_can_carry() {
        for bad in ["/a<b", "/a\"b", "/a b", ""] {
            assert_eq!(coerce(ValueType::Uri, quoted(bad)), None, "{bad}");
        }
        assert!(coerce(ValueType::Uri, quoted(&format!("/{}", "a".repeat(2047)))).is_some());
        assert!(coerce(ValueType::Uri, quoted(&format!("/{}", "a".repeat(2048)))).is_none());
    }
}
