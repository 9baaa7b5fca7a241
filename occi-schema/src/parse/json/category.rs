//! Kinds, mixins and actions.

use serde::Deserialize;

use super::super::error::{ParseError, Position};
use super::super::location::is_reference;
use super::super::request::{AttributeFlags, CategoryReference};
use super::document::Attributes;
use super::text_or::TextOr;
use super::{Dialect, legacy};
use crate::category::Class;
use crate::identifier::{CategoryId, excerpt};
use crate::limits::Limits;
use crate::value::{Value, is_forbidden};

/// The query interface, or a part of it. Each entry may be reduced to its identifier.
#[derive(Debug, Deserialize)]
struct ModelDocument {
    #[serde(default)]
    kinds: Vec<TextOr<Box<CategoryDocument>>>,
    #[serde(default)]
    mixins: Vec<TextOr<Box<CategoryDocument>>>,
    #[serde(default)]
    actions: Vec<TextOr<Box<CategoryDocument>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryDocument {
    term: String,
    scheme: String,
    title: Option<String>,
    parent: Option<CategoryId>,
    /// The parent, in older drafts.
    #[serde(default)]
    related: Vec<CategoryId>,
    #[serde(default)]
    depends: Vec<CategoryId>,
    #[serde(default)]
    applies: Vec<CategoryId>,
    location: Option<String>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    actions: Vec<CategoryId>,
}

/// What tells a bare mixin from the collections of a model.
#[derive(Deserialize)]
struct TermProbe {
    term: Option<String>,
}

pub(super) fn references(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<Vec<CategoryReference>, ParseError> {
    let names_a_term = serde_json::from_slice::<TermProbe>(body).is_ok_and(|probe| probe.term.is_some());
    if names_a_term {
        let document = serde_json::from_slice::<CategoryDocument>(body)?;
        return Ok(vec![document.into_reference(Class::Mixin, dialect, limits)?]);
    }
    let document: ModelDocument = serde_json::from_slice(body)?;
    if document.kinds.len() + document.mixins.len() + document.actions.len() > limits.lines {
        return Err(ParseError::too_many(Position::Request, "categories", limits.lines));
    }
    let lists = [(Class::Kind, document.kinds), (Class::Mixin, document.mixins), (Class::Action, document.actions)];
    let mut found = Vec::new();
    for (class, entries) in lists {
        for entry in entries {
            found.push(match entry {
                TextOr::Text(text) => {
                    let id = text.parse().map_err(|_| {
                        ParseError::new(Position::Request, "a type identifier", format!("`{}`", excerpt(&text)))
                    })?;
                    CategoryReference::new(id, Some(class))
                }
                TextOr::Object(document) => document.into_reference(class, dialect, limits)?,
            });
        }
    }
    Ok(found)
}

impl CategoryDocument {
    fn into_reference(self, class: Class, dialect: Dialect, limits: &Limits) -> Result<CategoryReference, ParseError> {
        let id = CategoryId::new(&self.scheme, &self.term)
            .map_err(|error| ParseError::new(Position::Request, "a category", error.to_string()))?;
        if let Some(location) = self.location.as_deref().filter(|location| !is_reference(location)) {
            return Err(ParseError::new(Position::Request, "a URL or path", format!("`{}`", excerpt(location))));
        }
        if dialect == Dialect::Standard && !self.related.is_empty() {
            return Err(ParseError::new(Position::Request, "parent, or depends", "related"));
        }
        let attributes = match dialect {
            Dialect::Standard => self.attributes.0,
            Dialect::Legacy => legacy::flat_descriptions(self.attributes.0)?,
        };
        if attributes.len() > limits.attributes {
            return Err(ParseError::too_many(Position::Request, "attributes", limits.attributes));
        }
        let mut related: Vec<CategoryId> = self.parent.into_iter().chain(self.depends).collect();
        if related.is_empty() {
            related = self.related;
        }
        if related.len().max(self.applies.len()).max(self.actions.len()) > limits.categories {
            return Err(ParseError::too_many(Position::Request, "type identifiers", limits.categories));
        }
        if self.title.as_deref().is_some_and(|title| title.len() > limits.value_bytes || title.contains(is_forbidden)) {
            let expected = format!("a title of at most {} bytes without control characters", limits.value_bytes);
            return Err(ParseError::new(Position::Request, expected, "another"));
        }
        Ok(CategoryReference {
            id,
            class: Some(class),
            title: self.title,
            related,
            applies: self.applies,
            location: self.location,
            defaults: attributes.iter().filter_map(|(name, value)| Some((name.clone(), default(value)?))).collect(),
            attributes: attributes.into_iter().map(|(name, value)| (name, flags(&value, dialect))).collect(),
            actions: self.actions,
        })
    }
}

fn default(description: &Value) -> Option<Value> {
    let Value::Map(members) = description else { return None };
    legacy::described(members, "default").cloned()
}

fn flags(description: &Value, dialect: Dialect) -> AttributeFlags {
    let Value::Map(members) = description else { return AttributeFlags::default() };
    let truth = |name: &str| match dialect {
        Dialect::Standard => members.get(name).and_then(Value::as_boolean),
        Dialect::Legacy => legacy::described(members, name).and_then(Value::as_boolean),
    };
    AttributeFlags { immutable: truth("mutable") == Some(false), required: truth("required") == Some(true) }
}
