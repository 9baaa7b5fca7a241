//! Resources and links.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::error::{ParseError, Position};
use super::super::location::is_reference;
use super::super::request::{CategoryReference, EntityReference, EntityRequest, LinkRequest};
use super::super::text::ACTION_QUERY;
use super::text_or::TextOr;
use super::{Dialect, legacy};
use crate::attribute::AttributeName;
use crate::category::Class;
use crate::identifier::{CategoryId, excerpt};
use crate::limits::Limits;
use crate::value::{RawValue, Value};
use crate::well_known::attribute;

/// A resource, a link, or a collection of both: their members do not clash.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntityDocument {
    pub kind: Option<CategoryId>,
    #[serde(default)]
    pub mixins: Vec<CategoryId>,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default)]
    pub actions: Vec<CategoryId>,
    pub id: Option<Value>,
    pub title: Option<Value>,
    pub summary: Option<Value>,
    /// A bare string is the form of older drafts, which both dialects read.
    pub source: Option<TextOr<LinkEnd>>,
    pub target: Option<TextOr<LinkEnd>>,
    /// The kind of a link's target in older drafts.
    pub rel: Option<CategoryId>,
    pub location: Option<Value>,
    pub links: Option<Vec<TextOr<EntityDocument>>>,
    pub resources: Option<Vec<EntityDocument>>,
}

/// Source or target of a link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkEnd {
    location: String,
    kind: Option<CategoryId>,
}

/// Attributes in the order of the document; a name may occur twice.
#[derive(Debug, Default)]
pub(super) struct Attributes(pub Vec<(AttributeName, Value)>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Attributes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Attributes, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Attributes(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl EntityDocument {
    /// Whether there is nothing but the lists of a collection.
    pub(super) fn is_collection(&self) -> bool {
        self.kind.is_none()
            && self.mixins.is_empty()
            && self.attributes.0.is_empty()
            && self.actions.is_empty()
            && self.source.is_none()
            && self.target.is_none()
            && self.rel.is_none()
            && [&self.id, &self.title, &self.summary, &self.location].iter().all(|member| member.is_none())
    }

    pub(super) fn into_reference(self) -> Result<EntityReference, ParseError> {
        match (self.location, self.id) {
            (Some(Value::String(location)), _) => Ok(EntityReference::Location(location)),
            (None, Some(Value::String(id))) => Ok(EntityReference::Id(id)),
            _ => Err(ParseError::new(Position::Request, "an entity with a location or id", "neither")),
        }
    }

    pub(super) fn into_request(self, dialect: Dialect, limits: &Limits) -> Result<EntityRequest, ParseError> {
        if self.resources.is_some() {
            return Err(ParseError::new(Position::Request, "an entity", "a collection within one"));
        }
        self.check_rel(dialect)?;
        let mut links = self.links.unwrap_or_default();
        if links.len() > limits.links {
            return Err(ParseError::too_many(Position::Request, "links", limits.links));
        }
        if dialect == Dialect::Legacy {
            // Locations of links that exist: they come and go at their own locations.
            links.retain(|link| matches!(link, TextOr::Object(_)));
        }
        let links = links.into_iter().map(|link| link.object("a link")?.into_link(dialect, limits));
        let mut request = EntityRequest {
            categories: references(self.kind, self.mixins, limits)?,
            attributes: self.attributes.into_raw(dialect, limits)?,
            links: links.collect::<Result<_, _>>()?,
            actions: self.actions,
        };
        if request.actions.len() > limits.categories {
            return Err(ParseError::too_many(Position::Request, "actions", limits.categories));
        }
        let members = [(&attribute::ID, self.id), (&attribute::TITLE, self.title), (&attribute::SUMMARY, self.summary)];
        for (name, value) in members {
            push_member(&mut request.attributes, name, value, limits)?;
        }
        for (name, kind_name, end, rel) in [
            (&attribute::SOURCE, &attribute::SOURCE_KIND, self.source, None),
            (&attribute::TARGET, &attribute::TARGET_KIND, self.target, self.rel),
        ] {
            let Some(end) = end else { continue };
            let (location, kind) = into_parts(end)?;
            push_member(&mut request.attributes, name, Some(Value::String(location)), limits)?;
            let kind = kind.or(rel).map(|kind| Value::String(kind.to_string()));
            push_member(&mut request.attributes, kind_name, kind, limits)?;
        }
        Ok(request)
    }

    fn into_link(self, dialect: Dialect, limits: &Limits) -> Result<LinkRequest, ParseError> {
        self.check_rel(dialect)?;
        let Some(target) = self.target else {
            return Err(ParseError::new(Position::Request, "a target in every link", "none"));
        };
        if self.links.is_some() || self.resources.is_some() {
            return Err(ParseError::new(Position::Request, "a link", "a collection within one"));
        }
        let (target, target_kind) = into_parts(target)?;
        if target.contains(ACTION_QUERY) {
            // The text renderings would show it as something to be invoked.
            return Err(ParseError::new(Position::Request, "a link to a resource", "one to an action"));
        }
        let mut attributes = self.attributes.into_raw(dialect, limits)?;
        for (name, value) in [(&attribute::ID, self.id), (&attribute::TITLE, self.title)] {
            push_member(&mut attributes, name, value, limits)?;
        }
        let location = match self.location {
            Some(Value::String(text)) if is_reference(&text) => Some(text),
            None => None,
            Some(_) => return Err(ParseError::new(Position::Request, "a URL or path as location", "something else")),
        };
        Ok(LinkRequest {
            target,
            target_kinds: target_kind.or(self.rel).into_iter().collect(),
            location,
            categories: references(self.kind, self.mixins, limits)?,
            attributes,
        })
    }

    fn check_rel(&self, dialect: Dialect) -> Result<(), ParseError> {
        if self.rel.is_some() && dialect == Dialect::Standard {
            return Err(ParseError::new(Position::Request, "the target's kind as target.kind", "rel"));
        }
        Ok(())
    }
}

/// The location of a link's end, and its kind if the client says it.
fn into_parts(end: TextOr<LinkEnd>) -> Result<(String, Option<CategoryId>), ParseError> {
    let (location, kind) = match end {
        TextOr::Text(location) => (location, None),
        TextOr::Object(end) => (end.location, end.kind),
    };
    if is_reference(&location) {
        Ok((location, kind))
    } else {
        Err(ParseError::new(Position::Request, "a URL or path", format!("`{}`", excerpt(&location))))
    }
}

impl Attributes {
    pub(super) fn into_raw(
        self,
        dialect: Dialect,
        limits: &Limits,
    ) -> Result<Vec<(AttributeName, RawValue)>, ParseError> {
        let members = match dialect {
            Dialect::Standard => self.0,
            Dialect::Legacy => legacy::flat_values(self.0)?,
        };
        if members.len() > limits.attributes {
            return Err(ParseError::too_many(Position::Request, "attributes", limits.attributes));
        }
        // Room for the members that stand beside them.
        let mut raw = Vec::with_capacity(members.len() + 4);
        for (name, value) in members {
            push(&mut raw, name, value, limits)?;
        }
        Ok(raw)
    }
}

fn push_member(
    attributes: &mut Vec<(AttributeName, RawValue)>,
    name: &AttributeName,
    value: Option<Value>,
    limits: &Limits,
) -> Result<(), ParseError> {
    value.map_or(Ok(()), |value| push(attributes, name.clone(), value, limits))
}

fn push(
    attributes: &mut Vec<(AttributeName, RawValue)>,
    name: AttributeName,
    value: Value,
    limits: &Limits,
) -> Result<(), ParseError> {
    if value.as_str().is_some_and(|text| text.len() > limits.value_bytes) {
        return Err(ParseError::too_many(Position::Request, &format!("bytes in {name}"), limits.value_bytes));
    }
    attributes.push((name, RawValue::Typed(value)));
    Ok(())
}

fn references(
    kind: Option<CategoryId>,
    mixins: Vec<CategoryId>,
    limits: &Limits,
) -> Result<Vec<CategoryReference>, ParseError> {
    if mixins.len() >= limits.categories {
        return Err(ParseError::too_many(Position::Request, "categories", limits.categories));
    }
    let kind = kind.map(|id| CategoryReference::new(id, Some(Class::Kind)));
    let mixins = mixins.into_iter().map(|id| CategoryReference::new(id, Some(Class::Mixin)));
    Ok(kind.into_iter().chain(mixins).collect())
}
