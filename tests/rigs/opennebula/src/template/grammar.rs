//! The two forms in which templates come: text (`NAME="value"`) and XML.

use std::iter::Peekable;
use std::str::CharIndices;

use super::{Attribute, Parts, Template};

/// Reads a template.
///
/// # Errors
/// The daemon's text.
pub fn parse(text: &str) -> Result<Template, String> {
    // Everything is written as CDATA, and there is no way to write this inside of one.
    if text.contains("]]>") {
        return Err("Parse error: ]]> in a value".into());
    }
    if text.trim_start().starts_with('<') { xml(text) } else { Reader::new(text).template() }
}

fn xml(text: &str) -> Result<Template, String> {
    let document =
        roxmltree::Document::parse(text).map_err(|e| format!("Error transforming template from XML: {e}"))?;
    let mut template = Template::default();
    for node in document.root_element().children().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name().to_ascii_uppercase();
        if node.children().any(|c| c.is_element()) {
            let mut parts = Parts::new();
            for part in node.children().filter(roxmltree::Node::is_element) {
                parts.insert(part.tag_name().name().to_ascii_uppercase(), content(part));
            }
            template.push_vector(&name, parts);
        } else {
            let text = content(node);
            // An empty element is dropped in this form, and kept in the other.
            if !text.is_empty() {
                template.push(&name, Attribute::Single(text));
            }
        }
    }
    Ok(template)
}

fn content(node: roxmltree::Node<'_, '_>) -> String {
    node.children().filter_map(|c| c.text()).collect::<String>().trim().to_owned()
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, rest: text.char_indices().peekable() }
    }

    fn template(mut self) -> Result<Template, String> {
        let mut template = Template::default();
        loop {
            self.blanks();
            let Some(&(_, next)) = self.rest.peek() else { return Ok(template) };
            if next == '#' {
                while self.rest.next().is_some_and(|(_, c)| c != '\n') {}
                continue;
            }
            let name = self.name("VARIABLE")?;
            self.equals()?;
            match self.rest.peek() {
                Some(&(_, '[')) => {
                    self.rest.next();
                    let parts = self.parts()?;
                    template.push_vector(&name, parts);
                }
                _ => {
                    let value = self.value("OBRACKET or CCDATA or STRING")?;
                    template.push(&name, Attribute::Single(value));
                }
            }
        }
    }

    fn parts(&mut self) -> Result<Parts, String> {
        let mut parts = Parts::new();
        loop {
            self.blanks();
            if self.next_is(']') && parts.is_empty() {
                return Ok(parts);
            }
            let name = self.name("CBRACKET or VARIABLE")?;
            self.equals()?;
            let value = self.value("CCDATA or STRING")?;
            parts.insert(name, value);
            self.blanks();
            match self.rest.next() {
                Some((_, ',')) => {}
                Some((_, ']')) => return Ok(parts),
                found => return Err(self.error(found.map(|(at, _)| at), "COMMA or CBRACKET")),
            }
        }
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.rest.next_if(|&(_, c)| c == wanted).is_some()
    }

    fn blanks(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn name(&mut self, expected: &str) -> Result<String, String> {
        let mut name = String::new();
        while let Some((_, c)) = self.rest.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c.to_ascii_uppercase());
        }
        if name.is_empty() {
            let at = self.rest.peek().map(|&(at, _)| at);
            return Err(self.error(at, expected));
        }
        Ok(name)
    }

    fn equals(&mut self) -> Result<(), String> {
        self.blanks();
        if !self.next_is('=') {
            let at = self.rest.peek().map(|&(at, _)| at);
            return Err(self.error(at, "EQUAL or EQUAL_EMPTY"));
        }
        self.blanks();
        Ok(())
    }

    fn value(&mut self, expected: &str) -> Result<String, String> {
        if !self.next_is('"') {
            let mut bare = String::new();
            while let Some((_, c)) = self.rest.next_if(|(_, c)| !c.is_whitespace() && !",[]=\"#".contains(*c)) {
                bare.push(c);
            }
            let at = self.rest.peek().map(|&(at, _)| at);
            return if bare.is_empty() { Err(self.error(at, expected)) } else { Ok(bare) };
        }
        let mut value = String::new();
        loop {
            match self.rest.next() {
                None => return Err(self.error(None, expected)),
                Some((_, '"')) => return Ok(value.trim().replace('\r', "\n")),
                // Only a quote is escaped; before anything else a backslash is a backslash.
                Some((_, '\\')) if self.next_is('"') => value.push('"'),
                Some((_, c)) => value.push(c),
            }
        }
    }

    fn error(&self, at: Option<usize>, expected: &str) -> String {
        let (what, at) = at.map_or(("$end", self.text.len()), |at| ("VARIABLE", at));
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().len();
        format!(
            "Parse error: syntax error, unexpected {what}, expecting {expected} at line {line}, columns {column}:{}",
            column + 1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let template =
            parse("name=\"a \\\"b\\\" \\n\"\n# remark\nDISK=[IMAGE_ID=\"0\", size = 4]\nDISK=[TYPE=fs]\n").unwrap();
        assert_eq!(template.text("NAME"), Some("a \"b\" \\n"));
        let disks: Vec<_> = template.vectors("DISK").collect();
        assert_eq!(disks.len(), 2);
        assert_eq!(disks[0]["SIZE"], "4");
    }

    #[test]
    fn xml_form() {
        let template =
            parse("<TEMPLATE><NAME>x\\</NAME><EMPTY/><NIC><NETWORK>n &amp; m</NETWORK></NIC></TEMPLATE>").unwrap();
        assert_eq!(template.text("NAME"), Some("x\\"));
        assert!(!template.has("EMPTY"));
        assert_eq!(template.vector("NIC").unwrap()["NETWORK"], "n & m");
    }

    #[test]
    fn recorded_parse_errors() {
        let expected = "Parse error: syntax error, unexpected $end, expecting OBRACKET or CCDATA or STRING at line 0, \
                        columns 14:15";
        assert_eq!(parse("NAME=\"x\" TYPE=").unwrap_err(), expected);
        let expected = "Parse error: syntax error, unexpected $end, expecting CBRACKET or VARIABLE at line 0, \
                        columns 16:17";
        assert_eq!(parse("NAME = \"x\" CPU=[").unwrap_err(), expected);
        assert!(parse("A=\"]]>\"").is_err());
    }
}
