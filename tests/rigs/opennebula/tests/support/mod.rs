//! A caller that knows nothing of the simulator's inside: HTTP by hand, and answers as trees.

// Not every test uses all of it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    Long(i64),
    Boolean(bool),
    Array(Vec<Value>),
    Fault(i64, String),
}

pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut is an empty answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn post(address: SocketAddr, body: &str) -> String {
    let head = format!("POST /RPC2 HTTP/1.1\r\nHost: one\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = raw(address, format!("{head}{body}").as_bytes()).await;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A call of oneadmin with typed values, written as `<string>`, `<int>` and `<boolean>` elements.
pub async fn call(address: SocketAddr, session: &str, method: &str, values: &[&str]) -> Value {
    let mut body = format!("<methodCall><methodName>{method}</methodName><params>");
    let session = format!("<string>{}</string>", escape(session));
    for value in std::iter::once(session.as_str()).chain(values.iter().copied()) {
        body.push_str(&format!("<param><value>{value}</value></param>"));
    }
    body.push_str("</params></methodCall>");
    parse(&post(address, &body).await)
}

pub fn text(text: &str) -> String {
    format!("<string>{}</string>", escape(text))
}

pub fn int(number: i32) -> String {
    format!("<int>{number}</int>")
}

pub fn yes_or_no(yes: bool) -> String {
    format!("<boolean>{}</boolean>", i32::from(yes))
}

pub fn parse(document: &str) -> Value {
    let document = document.trim_start_matches('\u{feff}');
    let tree = roxmltree::Document::parse(document).unwrap_or_else(|e| panic!("{e}: {document}"));
    let value = tree.descendants().find(|n| n.has_tag_name("value")).unwrap();
    if tree.descendants().any(|n| n.has_tag_name("fault")) {
        let number = tree.descendants().find(|n| n.has_tag_name("i4")).and_then(|n| n.text()).unwrap();
        let said = tree.descendants().find(|n| n.has_tag_name("string")).and_then(|n| n.text()).unwrap_or_default();
        return Value::Fault(number.parse().unwrap(), said.to_owned());
    }
    value_of(value)
}

fn value_of(value: roxmltree::Node<'_, '_>) -> Value {
    let Some(typed) = value.children().find(roxmltree::Node::is_element) else {
        return Value::Text(value.text().unwrap_or_default().into());
    };
    let content = || typed.text().unwrap_or_default();
    match typed.tag_name().name() {
        "i4" | "int" => Value::Integer(content().parse().unwrap()),
        "i8" => Value::Long(content().parse().unwrap()),
        "boolean" => Value::Boolean(content() == "1"),
        "array" => {
            let data = typed.children().find(|n| n.has_tag_name("data")).unwrap();
            Value::Array(data.children().filter(|n| n.has_tag_name("value")).map(value_of).collect())
        }
        _ => Value::Text(content().to_owned()),
    }
}

impl Value {
    /// The value of a successful call.
    pub fn ok(&self) -> &Value {
        match self {
            Value::Array(parts) if parts.first() == Some(&Value::Boolean(true)) => &parts[1],
            other => panic!("refused: {other:?}"),
        }
    }

    /// The code and the text of a refusal.
    pub fn refused(&self) -> (i64, String) {
        match self {
            Value::Array(parts) => match &parts[..] {
                [Value::Boolean(false), Value::Text(text), Value::Integer(code), ..] => (*code, text.clone()),
                other => panic!("not refused: {other:?}"),
            },
            other => panic!("not refused: {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn number(&self) -> i32 {
        match self {
            Value::Integer(number) => i32::try_from(*number).unwrap(),
            other => panic!("no number: {other:?}"),
        }
    }
}

/// One element as it stands in a document: its path, and how its text is written.
struct Element {
    path: String,
    form: &'static str,
}

/// All elements in their order. The daemon's documents have no attributes and no comments.
fn elements(document: &str) -> Vec<Element> {
    let mut all: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find('<') {
        let (plain, after) = rest.split_at(at);
        if let (Some(last), false) = (open.last(), plain.trim().is_empty()) {
            all[*last].form = "plain";
        }
        if let Some(inner) = after.strip_prefix("<![CDATA[") {
            all[*open.last().unwrap()].form = "CDATA";
            rest = inner.split_once("]]>").unwrap().1;
            continue;
        }
        let (tag, behind) = after.split_once('>').unwrap();
        rest = behind;
        if tag.starts_with("</") {
            open.pop();
            continue;
        }
        let name = tag.trim_start_matches('<').trim_end_matches('/');
        let path = match open.last() {
            Some(parent) => {
                all[*parent].form = "elements";
                format!("{}/{name}", all[*parent].path)
            }
            None => name.to_owned(),
        };
        all.push(Element { path, form: "nothing" });
        if !tag.ends_with('/') {
            open.push(all.len() - 1);
        }
    }
    assert!(open.is_empty(), "an element is not closed in {document}");
    all
}

/// The path of every element of a document, with how its text is written: `CDATA`, `plain`, `nothing` or `elements`.
/// An element that is there more than once counts once; one that is empty only in places counts as what it else is.
pub fn shape(document: &str) -> BTreeMap<String, String> {
    let mut shape: BTreeMap<String, String> = BTreeMap::new();
    for element in elements(document) {
        let known = shape.entry(element.path).or_default();
        if known.is_empty() || known == "nothing" {
            *known = element.form.to_owned();
        }
    }
    shape
}

/// Which children stand before which others in some element: the element's path and both names.
pub fn orders(document: &str) -> BTreeSet<(String, String, String)> {
    let tree = roxmltree::Document::parse(document).unwrap();
    let mut orders = BTreeSet::new();
    for node in tree.descendants().filter(roxmltree::Node::is_element) {
        let mut path: Vec<_> =
            node.ancestors().filter(roxmltree::Node::is_element).map(|n| n.tag_name().name()).collect();
        path.reverse();
        let path = path.join("/");
        let mut before: Vec<&str> = Vec::new();
        for child in node.children().filter(roxmltree::Node::is_element) {
            let name = child.tag_name().name();
            if before.last() != Some(&name) {
                orders.extend(before.iter().map(|b| (path.clone(), (*b).to_owned(), name.to_owned())));
                before.push(name);
            }
        }
    }
    orders
}
