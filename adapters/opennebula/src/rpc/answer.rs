use backend::BackendError;
use backend_http::quoted;

use super::Refusal;
use crate::xml::{Bounds, Element, read};

/// What the service answered: its value, or why not.
pub(crate) type Answer = Result<Value, Refusal>;

/// The value of a successful call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
}

impl Value {
    /// The value as text, which documents and tokens are.
    pub(crate) fn text(self) -> Result<String, BackendError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(nonsense(&format!("{other:?} where a text is due"))),
        }
    }

    /// The value as a number, which the name of a new object is.
    pub(crate) fn number(self) -> Result<i64, BackendError> {
        match self {
            Self::Number(number) => Ok(number),
            other => Err(nonsense(&quoted(&format!("{other:?} where a number is due")))),
        }
    }
}

fn nonsense(why: &str) -> BackendError {
    BackendError::Failed(format!("OpenNebula answers nonsense: {why}; is the endpoint that of oned's XML-RPC?"))
}

/// Reads the body of an answer.
///
/// # Errors
/// [`BackendError::Failed`] for what is no answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Answer, BackendError> {
    // A byte that is no UTF-8 spoils the text that it stands in, and not the whole answer.
    let text = String::from_utf8_lossy(body);
    let root = read(&text, Bounds::ANSWER).map_err(|why| nonsense(&why.to_string()))?;
    drop(text);
    if root.name != "methodResponse" {
        return Err(nonsense("it is no methodResponse"));
    }
    if let Some(fault) = root.child("fault") {
        return Ok(Err(read_fault(fault)));
    }
    let values = root.child("params").and_then(|params| params.child("param")?.child("value")?.child("array"));
    let mut values = values.and_then(|array| array.child("data")).map(|data| data.all("value")).into_iter().flatten();
    let (ok, value, code) = (values.next(), values.next(), values.next());
    let (Some(ok), Some(value), Some(code)) = (ok, value, code) else {
        return Err(nonsense("fewer than three values"));
    };
    match (scalar(ok), scalar(code)) {
        (Some(Value::Truth(true)), _) => scalar(value).map(Ok).ok_or_else(|| nonsense("a value of an unknown type")),
        (Some(Value::Truth(false)), Some(Value::Number(code))) => {
            let message = scalar(value).and_then(|value| value.text().ok()).unwrap_or_default();
            Ok(Err(Refusal::Error { code, message: quoted_at_length(&message) }))
        }
        _ => Err(nonsense("no truth value at its beginning")),
    }
}

/// Messages of the service are longer than other strangers', and their end tells.
fn quoted_at_length(message: &str) -> String {
    const MOST_CHARACTERS: usize = 600;
    message.chars().take(MOST_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn read_fault(fault: &Element) -> Refusal {
    let members = fault.child("value").and_then(|value| value.child("struct"));
    let mut refusal = (0, String::new());
    for member in members.map(|members| members.all("member")).into_iter().flatten() {
        let value = member.child("value").and_then(scalar);
        match (member.text_of("name"), value) {
            (Some("faultCode"), Some(Value::Number(code))) => refusal.0 = code,
            (Some("faultString"), Some(Value::Text(text))) => refusal.1 = quoted_at_length(&text),
            _ => {}
        }
    }
    Refusal::Fault { code: refusal.0, message: refusal.1 }
}

/// A value without parts. Without a type it is a text (XML-RPC specification, scalars).
fn scalar(value: &Element) -> Option<Value> {
    let Some(typed) = value.children.first() else { return Some(Value::Text(value.text.clone())) };
    match typed.name.as_str() {
        "string" => Some(Value::Text(typed.text.clone())),
        "int" | "i4" | "i8" => typed.text.trim().parse().ok().map(Value::Number),
        "boolean" => match typed.text.trim() {
            "1" => Some(Value::Truth(true)),
            "0" => Some(Value::Truth(false)),
            _ => None,
        },
        _ => None,
    }
}
