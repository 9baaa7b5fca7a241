//! Links: those that are given with their source, and the ends of those that are created on their own.

use std::collections::BTreeMap;

use crate::attribute::AttributeName;
use crate::coercion::BadValue;
use crate::identifier::{CategoryId, excerpt};
use crate::model::{Mode, Model};
use crate::parse::{LinkRequest, local_path};
use crate::resolve::{NewEntity, Refusal};
use crate::value::{RawValue, Value};
use crate::well_known::{LINK, attribute};

/// What a link may point at outside of this server. Others could be executed by whoever looks at them in a browser.
const SCHEMES: [&str; 3] = ["http://", "https://", "urn:"];

/// A link that is to be created with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLink {
    /// Its kind.
    pub kind: CategoryId,
    /// Its mixins, without what they depend on.
    pub mixins: Vec<CategoryId>,
    /// What it points at: a path of this server, or where the kind allows it a URL. Not looked up.
    pub target: String,
    /// The target's kind, as far as the client says.
    pub target_kind: Option<CategoryId>,
    /// The path that the client wishes for it.
    pub location: Option<String>,
    /// Its attributes, without source and target.
    pub attributes: BTreeMap<AttributeName, Value>,
}

/// Where a link that is created on its own starts and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEnds<'a> {
    /// A path of this server, not looked up.
    pub source: &'a str,
    /// What it points at.
    pub target: LinkTarget<'a>,
    /// The target's kind, as far as the client says: for what is here, look it up.
    pub target_kind: Option<CategoryId>,
}

/// What a link points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkTarget<'a> {
    /// A path of this server, not looked up.
    Here(&'a str),
    /// A URL or URN of something else (GFD.221 section 5.4.3).
    Elsewhere(&'a str),
}

impl NewEntity {
    /// The ends of a link; `None` for a resource.
    #[must_use]
    pub fn ends(&self) -> Option<LinkEnds<'_>> {
        ends(&self.attributes)
    }
}

fn ends(attributes: &BTreeMap<AttributeName, Value>) -> Option<LinkEnds<'_>> {
    let text = |name: &AttributeName| attributes.get(name).and_then(Value::as_str);
    let target = text(&attribute::TARGET)?;
    Some(LinkEnds {
        source: text(&attribute::SOURCE)?,
        target: if target.starts_with('/') { LinkTarget::Here(target) } else { LinkTarget::Elsewhere(target) },
        target_kind: text(&attribute::TARGET_KIND).and_then(|kind| kind.parse().ok()),
    })
}

impl Model {
    /// Resolves the links of a new or changed resource.
    pub(super) fn new_links(&self, requests: &[LinkRequest], mode: Mode) -> Result<Vec<NewLink>, Refusal> {
        requests.iter().map(|request| self.new_link(request, mode)).collect()
    }

    fn new_link(&self, request: &LinkRequest, mode: Mode) -> Result<NewLink, Refusal> {
        // The grammar of links has no place for a class, so no mode asks for it.
        let named = self.named_by(&request.categories, Mode::Interop)?;
        let kind = match named.kind {
            Some(kind) => kind,
            None => self
                .link_kind_for(&request.target_kinds)
                .ok_or_else(|| Refusal::UnclearLink(excerpt(&request.target)))?,
        };
        if !self.descends_from(&kind, &LINK) {
            return Err(Refusal::NotALink(kind));
        }
        self.check_target(&kind, &request.target)?;
        self.check_mixins(&kind, &named.mixins)?;
        let definitions = self.definitions(&kind, &named.mixins);
        // Source and target are known without being said.
        let mut given = request.attributes.clone();
        given.retain(|(name, _)| *name != attribute::SOURCE && *name != attribute::TARGET);
        given.push((attribute::SOURCE.clone(), RawValue::Quoted("/".to_owned())));
        given.push((attribute::TARGET.clone(), RawValue::Quoted(request.target.clone())));
        let mut attributes = self.new_values(&kind, &definitions, &given, mode)?;
        let said = said_target_kind(&attributes)?;
        let known = request.target_kinds.iter().find(|id| self.kind(id).is_some()).cloned();
        let target_kind = known.or(said);
        self.check_link_target(&kind, target_kind.as_ref())?;
        for name in [&attribute::SOURCE, &attribute::TARGET, &attribute::TARGET_KIND] {
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

    /// Refuses ends that a link of that kind cannot have, as far as their texts tell.
    pub(super) fn check_ends(
        &self,
        kind: &CategoryId,
        attributes: &BTreeMap<AttributeName, Value>,
    ) -> Result<(), Refusal> {
        let Some(LinkEnds { source, target: LinkTarget::Here(target) | LinkTarget::Elsewhere(target), .. }) =
            ends(attributes)
        else {
            return Ok(());
        };
        if local_path(source, "").is_err() || source.ends_with('/') {
            return Err(Refusal::ForeignSource(excerpt(source)));
        }
        self.check_target(kind, target)?;
        if source == target {
            return Err(Refusal::SelfLink(excerpt(source)));
        }
        self.check_link_target(kind, said_target_kind(attributes)?.as_ref())
    }

    /// A path of this server will do for every kind, something elsewhere only where any target will do (C-251).
    fn check_target(&self, kind: &CategoryId, target: &str) -> Result<(), Refusal> {
        let is_here = local_path(target, "").is_ok() && !target.ends_with('/');
        let is_free = self.allowed_by(kind, |kind| &kind.targets).is_none();
        let is_elsewhere = SCHEMES.iter().any(|scheme| target.starts_with(scheme) && target.len() > scheme.len());
        if is_here || (is_free && is_elsewhere) {
            Ok(())
        } else {
            Err(Refusal::ForeignTarget { kind: kind.clone(), target: excerpt(target) })
        }
    }

    /// Refuses a target whose kind the link's kind does not point at (C-255).
    ///
    /// # Errors
    /// [`Refusal::WrongTarget`]; never where the target's kind is unknown, for it may be on another server.
    pub fn check_link_target(&self, link: &CategoryId, target: Option<&CategoryId>) -> Result<(), Refusal> {
        match (target, self.allowed_by(link, |kind| &kind.targets)) {
            (Some(target), Some(allowed)) if !allowed.iter().any(|each| self.descends_from(target, each)) => {
                Err(Refusal::WrongTarget { link: link.clone(), target: target.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a source of a kind that the link's kind does not start from.
    ///
    /// # Errors
    /// [`Refusal::WrongSource`].
    pub fn check_link_source(&self, link: &CategoryId, source: &CategoryId) -> Result<(), Refusal> {
        match self.allowed_by(link, |kind| &kind.sources) {
            Some(allowed) if !allowed.iter().any(|each| self.descends_from(source, each)) => {
                Err(Refusal::WrongSource { link: link.clone(), source_kind: source.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The first list of a link's ancestry that is not empty.
    fn allowed_by<'m>(
        &'m self,
        link: &CategoryId,
        list: impl Fn(&'m crate::category::Kind) -> &'m Vec<CategoryId>,
    ) -> Option<&'m Vec<CategoryId>> {
        self.ancestry(link).map(list).find(|allowed| !allowed.is_empty())
    }

    fn link_kind_for(&self, target_kinds: &[CategoryId]) -> Option<CategoryId> {
        let points_there = |targets: &[CategoryId]| {
            target_kinds.iter().any(|kind| targets.iter().any(|target| self.descends_from(kind, target)))
        };
        self.kinds().find(|kind| points_there(&kind.targets)).map(|kind| kind.id.clone())
    }
}

/// The kind of the target as an attribute.
fn said_target_kind(attributes: &BTreeMap<AttributeName, Value>) -> Result<Option<CategoryId>, Refusal> {
    let Some(text) = attributes.get(&attribute::TARGET_KIND).and_then(Value::as_str) else { return Ok(None) };
    let refused = |_| BadValue {
        attribute: attribute::TARGET_KIND.to_string(),
        expected: "the type identifier of a kind".to_owned(),
        found: excerpt(text),
    };
    Ok(Some(text.parse().map_err(refused)?))
}
