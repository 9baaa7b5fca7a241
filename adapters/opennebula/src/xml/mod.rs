//! XML as this service speaks it: small documents without attributes, read within bounds, and templates.

mod element;
mod reader;
mod template;

#[cfg(test)]
mod tests;

pub(crate) use element::Element;
pub(crate) use reader::{Bounds, XmlError, read, read_children};
pub(crate) use template::{Attributes, Template, escaped, obstacle};
