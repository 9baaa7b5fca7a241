//! What a creation means.

use std::collections::BTreeMap;

use crate::attribute::AttributeName;
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::parse::EntityRequest;
use crate::resolve::{NewLink, Refusal};
use crate::value::Value;
use crate::well_known::LINK;

/// An entity that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntity {
    /// Its kind.
    pub kind: CategoryId,
    /// Its mixins in the client's order, each once, without what they depend on.
    pub mixins: Vec<CategoryId>,
    /// Its attributes with defaults applied. What only the server writes is absent, unless a template sets it.
    pub attributes: BTreeMap<AttributeName, Value>,
    /// Links to be created with it.
    pub links: Vec<NewLink>,
}

impl Model {
    /// Decides what a creation means. `expected_kind` is that of the collection it was sent to, if it was sent to one.
    ///
    /// The ends of links are to be paths where they are of this server: see [`EntityRequest::with_local_paths`].
    ///
    /// # Errors
    /// [`Refusal`]: see its variants.
    pub fn resolve_new(
        &self,
        request: &EntityRequest,
        expected_kind: Option<&CategoryId>,
        mode: Mode,
    ) -> Result<NewEntity, Refusal> {
        let named = self.named_by(&request.categories, mode)?;
        let kind = named.kind.ok_or(Refusal::NoKind)?;
        if self.kind(&kind).is_none_or(|kind| !kind.instantiable) {
            return Err(Refusal::AbstractKind(kind));
        }
        if let Some(expected) = expected_kind.filter(|expected| **expected != kind) {
            return Err(Refusal::WrongKind { expected: expected.clone(), found: kind });
        }
        self.check_mixins(&kind, &named.mixins)?;
        if !request.links.is_empty() && self.descends_from(&kind, &LINK) {
            return Err(Refusal::LinkNotAllowed);
        }
        let definitions = self.definitions(&kind, &named.mixins);
        let attributes = self.new_values(&kind, &definitions, &request.attributes, mode)?;
        if self.descends_from(&kind, &LINK) {
            self.check_ends(&kind, &attributes)?;
        }
        let links = self.new_links(&request.links, mode)?;
        Ok(NewEntity { kind, mixins: named.mixins, attributes, links })
    }
}
