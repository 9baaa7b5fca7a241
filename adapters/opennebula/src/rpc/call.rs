use std::fmt::Write;

use crate::xml::escaped;

/// A value that a call hands over. The service is strict about types: a number where a truth value is due is a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    Number(i32),
    Truth(bool),
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Parameter {
    fn from(number: i32) -> Self {
        Self::Number(number)
    }
}

impl From<crate::names::Id> for Parameter {
    fn from(id: crate::names::Id) -> Self {
        Self::Number(id.number())
    }
}

impl From<bool> for Parameter {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

/// A call, but for the session that it is made in.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) parameters: Vec<Parameter>,
}

impl Call {
    /// A call without parameters so far.
    pub(crate) fn new(method: &'static str) -> Self {
        Self { method, parameters: Vec::new() }
    }

    /// The same with one parameter more.
    pub(crate) fn with(mut self, parameter: impl Into<Parameter>) -> Self {
        self.parameters.push(parameter.into());
        self
    }

    /// What is sent. The session goes first.
    pub(crate) fn body(&self, session: &str) -> String {
        let mut body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{}</methodName><params>",
            self.method
        );
        let session = Parameter::Text(session.to_owned());
        for parameter in std::iter::once(&session).chain(&self.parameters) {
            let _ = match parameter {
                Parameter::Text(text) => {
                    write!(body, "<param><value><string>{}</string></value></param>", escaped(text))
                }
                Parameter::Number(number) => write!(body, "<param><value><int>{number}</int></value></param>"),
                Parameter::Truth(truth) => {
                    write!(body, "<param><value><boolean>{}</boolean></value></param>", u8::from(*truth))
                }
            };
        }
        body.push_str("</params></methodCall>");
        body
    }
}
