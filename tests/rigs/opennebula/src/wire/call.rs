//! Reading a call: strict types, no characters outside the Basic Multilingual Plane.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

/// How many XML nodes a call may have.
const MOST_NODES: u32 = 1 << 20;

/// An XML-RPC fault: the call was not understood. HTTP status stays 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// xmlrpc-c's number: -501 wrong type, -503 not a call, -506 unknown method.
    pub code: i32,
    /// What was wrong.
    pub text: String,
}

impl Fault {
    /// A parameter has another type than the method wants, or is missing.
    pub fn parameter(text: &str) -> Self {
        Self { code: -501, text: text.into() }
    }

    /// The body is not an XML-RPC call.
    pub fn parse(text: &str) -> Self {
        Self { code: -503, text: text.into() }
    }

    /// The method does not exist.
    pub fn method(name: &str) -> Self {
        Self { code: -506, text: format!("Method '{name}' not defined") }
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// `<string>`, or a value without type.
    Text(String),
    /// `<int>` or `<i4>`.
    Integer(i32),
    /// `<boolean>`.
    Boolean(bool),
    /// `<array>`.
    Array(Vec<Parameter>),
    /// `<struct>`.
    Structure(BTreeMap<String, Parameter>),
    /// A type that no method of the daemon takes (`<double>`, `<nil>`, ...).
    Other,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// For instance `one.vm.info`.
    pub method: String,
    /// In order, the session first.
    pub parameters: Vec<Parameter>,
}

/// Reads the body of a request.
///
/// # Errors
/// Fault -503 when it is no XML-RPC call.
pub fn parse(body: &[u8]) -> Result<Call, Fault> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Fault::parse("Call XML not a proper XML-RPC call.  Call is not valid XML.  not UTF-8"))?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|e| not_xml(text, &e))?;
    let root = document.root_element();
    if !root.has_tag_name("methodCall") {
        return Err(not_call(&format!(
            "XML-RPC call should be a <methodCall> element.  Instead, we have a <{}> element.",
            root.tag_name().name()
        )));
    }
    let method = child(root, "methodName")
        .ok_or_else(|| not_call("<methodCall> has no <methodName> child"))?
        .text()
        .unwrap_or_default()
        .to_owned();
    let mut parameters = Vec::new();
    if let Some(list) = child(root, "params") {
        for param in list.children().filter(Node::is_element) {
            let value = child(param, "value").ok_or_else(|| not_call("<param> has no <value> child"))?;
            parameters.push(parameter(value)?);
        }
    }
    Ok(Call { method, parameters })
}

fn not_call(text: &str) -> Fault {
    Fault::parse(&format!("Call XML not a proper XML-RPC call.  {text}"))
}

fn not_xml(text: &str, error: &roxmltree::Error) -> Fault {
    if !text.trim_start().starts_with('<') {
        return not_call("Call is not valid XML.  syntax error");
    }
    match error {
        roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
            not_call("Call is not valid XML.  Invalid XML \"content\".  Problem with token at '...': no element found")
        }
        other => not_call(&format!("Call is not valid XML.  {other}")),
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|n| n.has_tag_name(name))
}

fn parameter(value: Node<'_, '_>) -> Result<Parameter, Fault> {
    let Some(typed) = value.children().find(Node::is_element) else {
        return text(value).map(Parameter::Text);
    };
    match typed.tag_name().name() {
        "string" => text(typed).map(Parameter::Text),
        "int" | "i4" => {
            let written = text(typed)?;
            written
                .parse()
                .map(Parameter::Integer)
                .map_err(|_| Fault::parse(&format!("<int> content '{written}' is not a 32-bit integer")))
        }
        "boolean" => match text(typed)?.as_str() {
            "0" => Ok(Parameter::Boolean(false)),
            "1" => Ok(Parameter::Boolean(true)),
            _ => Err(Fault::parse("<boolean> XML element content must be either '0' or '1'")),
        },
        "array" => {
            let data = child(typed, "data").ok_or_else(|| Fault::parse("<array> has no <data> child"))?;
            data.children()
                .filter(|n| n.has_tag_name("value"))
                .map(parameter)
                .collect::<Result<_, _>>()
                .map(Parameter::Array)
        }
        "struct" => {
            let mut members = BTreeMap::new();
            for member in typed.children().filter(|n| n.has_tag_name("member")) {
                let (Some(name), Some(value)) = (child(member, "name"), child(member, "value")) else {
                    return Err(Fault::parse("<member> must have a <name> and a <value>"));
                };
                members.insert(text(name)?, parameter(value)?);
            }
            Ok(Parameter::Structure(members))
        }
        _ => Ok(Parameter::Other),
    }
}

fn text(node: Node<'_, '_>) -> Result<String, Fault> {
    let mut whole = String::new();
    for piece in node.children().filter(Node::is_text) {
        whole.push_str(piece.text().unwrap_or_default());
    }
    if whole.chars().any(|c| u32::from(c) > 0xFFFF) {
        return Err(Fault::parse("UTF-8 string contains a character not in the Basic Multilingual Plane"));
    }
    if let Some(control) = whole.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        && u32::from(control) < 0x20
    {
        return Err(Fault::parse("string contains a control character"));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Vec<u8> {
        format!(
            "<methodCall><methodName>m</methodName><params><param><value>{value}</value></param></params></methodCall>"
        )
        .into_bytes()
    }

    #[test]
    fn types_are_strict() {
        assert_eq!(parse(&with("<int>7</int>")).unwrap().parameters, [Parameter::Integer(7)]);
        assert_eq!(parse(&with("plain")).unwrap().parameters, [Parameter::Text("plain".into())]);
        assert_eq!(parse(&with("<int> 7</int>")).unwrap_err().code, -503);
        assert_eq!(parse(&with("<i8>7</i8>")).unwrap().parameters, [Parameter::Other]);
        assert_eq!(parse(&with("<boolean>true</boolean>")).unwrap_err().code, -503);
    }

    #[test]
    fn characters_outside_the_basic_plane_are_refused() {
        assert!(parse(&with("<string>漢字 ünï</string>")).is_ok());
        let fault = parse(&with("<string>\u{1F600}</string>")).unwrap_err();
        assert_eq!(fault, Fault::parse("UTF-8 string contains a character not in the Basic Multilingual Plane"));
    }

    #[test]
    fn document_type_declarations_are_refused() {
        let bomb = b"<!DOCTYPE a [<!ENTITY b \"c\">]><methodCall><methodName>&b;</methodName></methodCall>";
        assert_eq!(parse(bomb).unwrap_err().code, -503);
    }
}
