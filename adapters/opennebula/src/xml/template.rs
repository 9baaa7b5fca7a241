use std::fmt::Write;

/// A text that the service cannot keep as it is, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InexpressibleText {
    /// The attribute.
    pub(crate) attribute: String,
    /// Why.
    pub(crate) why: &'static str,
}

impl std::fmt::Display for InexpressibleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenNebula cannot keep this value of {}: {}", self.attribute, self.why)
    }
}

impl From<InexpressibleText> for backend::BackendError {
    fn from(text: InexpressibleText) -> Self {
        Self::Refused(text.to_string())
    }
}

/// Why the service would not take a text, or not as it is.
pub(crate) fn obstacle(text: &str) -> Option<&'static str> {
    if text.contains("]]>") {
        return Some("it contains ]]>; leave that out");
    }
    text.chars().find_map(|c| match c {
        '\n' | '\t' => None,
        c if c.is_control() => Some("it contains a control character; leave that out"),
        '\u{fffe}' | '\u{ffff}' => Some("it contains a character that XML does not have; leave that out"),
        c if u32::from(c) > 0xffff => {
            Some("it contains a character outside the Basic Multilingual Plane, such as an emoji; leave that out")
        }
        _ => None,
    })
}

/// A template in its XML form: the one that keeps every text.
#[derive(Debug, Default)]
pub(crate) struct Template(Attributes);

/// Names and values.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    xml: String,
    fault: Option<InexpressibleText>,
}

impl Attributes {
    /// Adds a value. An empty one is not written, which the service takes for absent in either form.
    pub(crate) fn set(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        let value = value.to_string();
        if value.is_empty() {
            return self;
        }
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let why = if name.is_empty() || !name.chars().all(plain) {
            Some("the attribute's name has other characters than A-Z 0-9 _")
        } else {
            obstacle(&value)
        };
        if let Some(why) = why {
            self.fault.get_or_insert(InexpressibleText { attribute: name.to_owned(), why });
            return self;
        }
        let _ = write!(self.xml, "<{name}>{}</{name}>", escaped(&value));
        self
    }

    /// Adds a value where there is one.
    pub(crate) fn set_some(&mut self, name: &str, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Adds a vector.
    pub(crate) fn vector(&mut self, name: &str, fill: impl FnOnce(&mut Attributes)) -> &mut Self {
        let mut inner = Attributes::default();
        fill(&mut inner);
        if let Some(fault) = inner.fault {
            self.fault.get_or_insert(fault);
        }
        let _ = write!(self.xml, "<{name}>{}</{name}>", inner.xml);
        self
    }
}

impl Template {
    /// The template whose attributes `fill` gives.
    ///
    /// # Errors
    /// [`InexpressibleText`] for the first value that the service could not keep.
    pub(crate) fn write(fill: impl FnOnce(&mut Attributes)) -> Result<String, InexpressibleText> {
        let mut template = Self::default();
        fill(&mut template.0);
        match template.0.fault {
            Some(fault) => Err(fault),
            None => Ok(format!("<TEMPLATE>{}</TEMPLATE>", template.0.xml)),
        }
    }
}

/// The text with the characters that XML keeps for itself written as entities.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
