//! Templates: the attributes of an object, in the order and the form in which the daemon writes them.

use std::collections::BTreeMap;

mod grammar;

/// The parts of an attribute like `DISK=[IMAGE_ID="0"]`.
pub type Parts = BTreeMap<String, String>;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `NAME="value"`
    Single(String),
    /// `NAME=[A="x",B="y"]`
    Vector(Parts),
}

/// Attributes by name, sorted, a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(BTreeMap<String, Vec<Attribute>>);

impl Template {
    /// Reads a template in text form or in XML form.
    ///
    /// # Errors
    /// The daemon's "Parse error: ..." text.
    pub fn parse(text: &str) -> Result<Self, String> {
        grammar::parse(text)
    }

    /// The first single value of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.iter().find_map(|a| match a {
            Attribute::Single(text) => Some(text.as_str()),
            Attribute::Vector(_) => None,
        })
    }

    /// The first single value of this name, an integer.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Whether a single value of this name says yes.
    pub fn says_yes(&self, name: &str) -> bool {
        self.text(name).is_some_and(|t| t.eq_ignore_ascii_case("yes"))
    }

    /// All vectors of this name.
    pub fn vectors(&self, name: &str) -> impl Iterator<Item = &Parts> {
        self.0.get(name).into_iter().flatten().filter_map(|a| match a {
            Attribute::Vector(parts) => Some(parts),
            Attribute::Single(_) => None,
        })
    }

    /// The first vector of this name.
    pub fn vector(&self, name: &str) -> Option<&Parts> {
        self.vectors(name).next()
    }

    /// All vectors of this name, to be changed.
    pub fn vectors_mut(&mut self, name: &str) -> impl Iterator<Item = &mut Parts> {
        self.0.get_mut(name).into_iter().flatten().filter_map(|a| match a {
            Attribute::Vector(parts) => Some(parts),
            Attribute::Single(_) => None,
        })
    }

    /// Whether the name occurs.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Replaces all attributes of this name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.into(), vec![Attribute::Single(value.into())]);
    }

    /// Sets a single value if there is none.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.has(name) {
            self.set(name, value);
        }
    }

    /// Adds one attribute.
    pub fn push(&mut self, name: &str, attribute: Attribute) {
        self.0.entry(name.into()).or_default().push(attribute);
    }

    /// Adds one vector.
    pub fn push_vector(&mut self, name: &str, parts: Parts) {
        self.push(name, Attribute::Vector(parts));
    }

    /// Takes all attributes of this name away.
    pub fn take(&mut self, name: &str) -> Vec<Attribute> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Takes the first single value of this name away, and all others of the name with it.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        self.take(name).into_iter().find_map(|a| match a {
            Attribute::Single(text) => Some(text),
            Attribute::Vector(_) => None,
        })
    }

    /// Keeps only the vectors of this name that satisfy a condition.
    pub fn retain_vectors(&mut self, name: &str, keep: impl Fn(&Parts) -> bool) {
        if let Some(list) = self.0.get_mut(name) {
            list.retain(|a| match a {
                Attribute::Vector(parts) => keep(parts),
                Attribute::Single(_) => true,
            });
            if list.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Replaces the names that occur in the other template by those, and keeps the rest.
    pub fn merge(&mut self, other: Template) {
        self.0.extend(other.0);
    }

    /// Splits off the attributes whose names satisfy a condition.
    pub fn split_off(&mut self, belongs: impl Fn(&str) -> bool) -> Template {
        let (off, stay): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.0).into_iter().partition(|(name, _)| belongs(name));
        self.0 = stay;
        Self(off)
    }

    /// The elements inside `<TEMPLATE>`.
    pub fn write(&self, out: &mut String) {
        self.write_where(out, |_| true);
    }

    /// The elements whose names satisfy a condition.
    pub fn write_where(&self, out: &mut String, wanted: impl Fn(&str) -> bool) {
        for (name, list) in self.0.iter().filter(|(name, _)| wanted(name)) {
            for attribute in list {
                match attribute {
                    Attribute::Single(text) => element(out, name, text),
                    Attribute::Vector(parts) => vector(out, name, parts),
                }
            }
        }
    }

    /// The elements inside `<TEMPLATE>`, as text of their own.
    pub fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// `<NAME><![CDATA[text]]></NAME>`
pub fn element(out: &mut String, name: &str, text: &str) {
    for piece in ["<", name, "><![CDATA[", text, "]]></", name, ">"] {
        out.push_str(piece);
    }
}

/// `<NAME><A><![CDATA[x]]></A>...</NAME>`
pub fn vector(out: &mut String, name: &str, parts: &Parts) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    for (part, text) in parts {
        element(out, part, text);
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}
