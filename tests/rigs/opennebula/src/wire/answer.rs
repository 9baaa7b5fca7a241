//! Writing answers in the form that xmlrpc-c writes them.

use super::call::Fault;

/// The value of a successful call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A document or a word, as string.
    Text(String),
    /// Most often the object's identifier.
    Integer(i32),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

/// Error codes of OpenNebula's XML-RPC interface (API reference, "Return values").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not authenticated.
    Authentication = 0x100,
    /// Not authorized, above quota, or locked.
    Authorization = 0x200,
    /// No such object.
    NoExists = 0x400,
    /// Wrong state, wrong action.
    Action = 0x800,
    /// Wrong use of the interface.
    Interface = 0x1000,
    /// Everything else, most often the caller's fault.
    Internal = 0x2000,
    /// The object could not be allocated.
    Allocate = 0x4000,
}

/// A call that was understood and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// Without the `[method]` before it.
    pub message: String,
    /// The object that does not exist, else -1.
    pub object: i32,
}

/// Why a call has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The daemon refused.
    Failure(Failure),
    /// The call was not understood.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal {
    /// A refusal without object.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::about(code, message, -1)
    }

    /// A refusal that names an object in its fourth element.
    pub fn about(code: Code, message: impl Into<String>, object: i32) -> Self {
        Self::Failure(Failure { code, message: message.into(), object })
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodResponse>\r\n";

/// One result as a complete document.
pub fn document(method: &str, result: &Result<Value, Refusal>) -> String {
    match result {
        Err(Refusal::Fault(fault)) => {
            let mut out = format!("{HEAD}<fault>\r\n<value>");
            fault_structure(&mut out, fault);
            out.push_str("</value>\r\n</fault>\r\n</methodResponse>\r\n");
            out
        }
        _ => {
            let mut out = format!("{HEAD}<params>\r\n<param><value>");
            array(&mut out, method, result);
            out.push_str("</value></param>\r\n</params>\r\n</methodResponse>\r\n");
            out
        }
    }
}

/// The answer to `system.multicall`: every result in an array of one element.
pub fn several(results: &[(String, Result<Value, Refusal>)]) -> String {
    let mut out = format!("{HEAD}<params>\r\n<param><value><array><data>\r\n");
    for (method, result) in results {
        match result {
            Err(Refusal::Fault(fault)) => {
                out.push_str("<value>");
                fault_structure(&mut out, fault);
            }
            _ => {
                out.push_str("<value><array><data>\r\n<value>");
                array(&mut out, method, result);
                out.push_str("</value>\r\n</data></array>");
            }
        }
        out.push_str("</value>\r\n");
    }
    out.push_str("</data></array></value></param>\r\n</params>\r\n</methodResponse>\r\n");
    out
}

/// The answer to `system.listMethods`.
pub fn names(methods: &[&str]) -> String {
    let mut out = format!("{HEAD}<params>\r\n<param><value><array><data>\r\n");
    for method in methods {
        out.push_str("<value><string>");
        out.push_str(method);
        out.push_str("</string></value>\r\n");
    }
    out.push_str("</data></array></value></param>\r\n</params>\r\n</methodResponse>\r\n");
    out
}

fn fault_structure(out: &mut String, fault: &Fault) {
    out.push_str(&format!(
        "<struct>\r\n<member><name>faultCode</name>\r\n<value><i4>{}</i4></value></member>\r\n\
         <member><name>faultString</name>\r\n<value><string>",
        fault.code
    ));
    escape(out, &fault.text);
    out.push_str("</string></value></member>\r\n</struct>");
}

fn array(out: &mut String, method: &str, result: &Result<Value, Refusal>) {
    out.push_str("<array><data>\r\n");
    match result {
        Ok(value) => {
            out.push_str("<value><boolean>1</boolean></value>\r\n");
            match value {
                Value::Text(text) => {
                    out.push_str("<value><string>");
                    escape(out, text);
                    out.push_str("</string></value>\r\n");
                }
                Value::Integer(number) => out.push_str(&format!("<value><i4>{number}</i4></value>\r\n")),
            }
            out.push_str("<value><i4>0</i4></value>\r\n");
        }
        Err(Refusal::Failure(failure)) => {
            out.push_str("<value><boolean>0</boolean></value>\r\n<value><string>");
            escape(out, &format!("[{method}] {}", failure.message));
            out.push_str(&format!(
                "</string></value>\r\n<value><i4>{}</i4></value>\r\n<value><i4>{}</i4></value>\r\n\
                 <value><i8>-1</i8></value>\r\n",
                failure.code as i32, failure.object
            ));
        }
        Err(Refusal::Fault(fault)) => fault_structure(out, fault),
    }
    out.push_str("</data></array>");
}

fn escape(out: &mut String, text: &str) {
    for piece in text.split_inclusive(['&', '<', '>', '\r']) {
        let cut = piece.len().saturating_sub(1);
        let (before, last) = if piece.is_char_boundary(cut) { piece.split_at(cut) } else { (piece, "") };
        let written = match last {
            "&" => "&amp;",
            "<" => "&lt;",
            ">" => "&gt;",
            "\r" => "&#x0d;",
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        out.push_str(before);
        out.push_str(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        escape(&mut out, "a<b>&ü\rü");
        assert_eq!(out, "a&lt;b&gt;&amp;ü&#x0d;ü");
    }

    #[test]
    fn failures_have_five_elements() {
        let refusal = Refusal::about(Code::NoExists, "Error getting virtual machine [999].", 999);
        let written = document("one.vm.info", &Err(refusal));
        assert_eq!(written.matches("<value>").count(), 6);
        assert!(written.contains("<string>[one.vm.info] Error getting virtual machine [999].</string>"));
        assert!(written.contains("<i4>999</i4>") && written.contains("<i8>-1</i8>"));
    }
}
