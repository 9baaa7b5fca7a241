//! Links that are given with their source.

use std::collections::BTreeMap;

use crate::attribute::AttributeName;
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::parse::LinkRequest;
use crate::resolve::Refusal;
use crate::value::{RawValue, Value};
use crate::well_known::{LINK, attribute};

/// A link that is to be created with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLink {
    /// Its kind.
    pub kind: CategoryId,
    /// Its mixins, without what they depend on.
    pub mixins: Vec<CategoryId>,
    /// What it points at: a URI reference, not looked up.
    pub target: String,
    /// The target's kind, as far as the client says.
    pub target_kind: Option<CategoryId>,
    /// The path that the client wishes for it.
    pub location: Option<String>,
    /// Its attributes, without source and target.
    pub attributes: BTreeMap<AttributeName, Value>,
}

impl Model {
    /// Resolves the links of a new or changed resource.
    pub(super) fn new_links(&self, requests: &[LinkRequest], mode: Mode) -> Result<Vec<NewLink>, Refusal> {
        requests.iter().map(|request| self.new_link(request, mode)).collect()
    }

    fn new_link(&self, request: &LinkRequest, mode: Mode) -> Result<NewLink, Refusal> {
        let named = self.named_by(&request.categories)?;
        let kind = match named.kind {
            Some(kind) => kind,
            None => self
                .link_kind_for(&request.target_kinds)
                .ok_or_else(|| Refusal::UnclearLink(crate::identifier::excerpt(&request.target)))?,
        };
        if !self.descends_from(&kind, &LINK) {
            return Err(Refusal::NotALink(kind));
        }
        let target_kind = request.target_kinds.iter().find(|id| self.kind(id).is_some()).cloned();
        self.check_link_target(&kind, target_kind.as_ref())?;
        self.check_mixins(&kind, &named.mixins)?;
        let definitions = self.definitions(&kind, &named.mixins);
        // Source and target are known without being said.
        let mut given = request.attributes.clone();
        given.retain(|(name, _)| *name != attribute::SOURCE && *name != attribute::TARGET);
        given.push((attribute::SOURCE.clone(), RawValue::Quoted("/".to_owned())));
        given.push((attribute::TARGET.clone(), RawValue::Quoted(request.target.clone())));
        let mut attributes = self.new_values(&kind, &definitions, &given, mode)?;
        for name in [&attribute::SOURCE, &attribute::TARGET] {
            attributes.remove(name);
        }
        Ok(NewLink {
            kind,
            mixins: named.mixins,
            target: request.target.clone(),
            target_kind,
            location: request.location.clone(),
            attributes,
        })
    }

    /// Refuses a target whose kind the link's kind does not point at.
    ///
    /// # Errors
    /// [`Refusal::WrongTarget`]; never where the target's kind is unknown, for it may be on another server.
    pub fn check_link_target(&self, link: &CategoryId, target: Option<&CategoryId>) -> Result<(), Refusal> {
        let allowed = self.ancestry(link).map(|kind| &kind.targets).find(|targets| !targets.is_empty());
        match (target, allowed) {
            (Some(target), Some(allowed)) if !allowed.iter().any(|each| self.descends_from(target, each)) => {
                Err(Refusal::WrongTarget { link: link.clone(), target: target.clone() })
            }
            _ => Ok(()),
        }
    }

    fn link_kind_for(&self, target_kinds: &[CategoryId]) -> Option<CategoryId> {
        let points_there = |targets: &[CategoryId]| {
            target_kinds.iter().any(|kind| targets.iter().any(|target| self.descends_from(kind, target)))
        };
        self.kinds().find(|kind| points_there(&kind.targets)).map(|kind| kind.id.clone())
    }
}
