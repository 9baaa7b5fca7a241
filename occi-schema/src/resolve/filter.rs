//! What a filter means.

use std::collections::BTreeMap;

use crate::attribute::AttributeName;
use crate::identifier::CategoryId;
use crate::model::Model;
use crate::parse::Filter;
use crate::resolve::Refusal;
use crate::resolve::attributes::insert;
use crate::value::Value;

/// What the members of a listing must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResolvedFilter {
    /// Kinds, mixins (or, in the query interface, actions) that are asked for, each once.
    pub categories: Vec<CategoryId>,
    /// Attributes with their typed values.
    pub attributes: BTreeMap<AttributeName, Value>,
}

impl Model {
    /// Decides what a filter means.
    ///
    /// # Errors
    /// [`Refusal`]: an unknown category or attribute, or a value of the wrong type.
    pub fn resolve_filter(&self, filter: &Filter) -> Result<ResolvedFilter, Refusal> {
        let mut resolved = ResolvedFilter::default();
        for reference in &filter.categories {
            let id = self.named(reference)?.id();
            if !resolved.categories.contains(id) {
                resolved.categories.push(id.clone());
            }
        }
        for (name, raw) in &filter.attributes {
            let definition = self.attribute(name).ok_or_else(|| Refusal::UnknownFilterAttribute(name.clone()))?;
            insert(&mut resolved.attributes, name, definition.coerce(raw, self.mode())?)?;
        }
        Ok(resolved)
    }
}
