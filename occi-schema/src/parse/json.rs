//! application/occi+json (GFD.226).

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::{ParseError, Position};
use super::request::{ActionRequest, AttributeFlags, CategoryReference, EntityReference, EntityRequest, LinkRequest};
use super::text::is_reference;
use crate::attribute::AttributeName;
use crate::category::Class;
use crate::identifier::{CategoryId, excerpt};
use crate::limits::Limits;
use crate::value::{RawValue, Value, is_forbidden};
use crate::well_known::attribute;

/// A resource, a link, or a collection of both: their members do not clash.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityDocument {
    kind: Option<CategoryId>,
    #[serde(default)]
    mixins: Vec<CategoryId>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    actions: Vec<CategoryId>,
    id: Option<Value>,
    title: Option<Value>,
    summary: Option<Value>,
    source: Option<LinkEnd>,
    target: Option<LinkEnd>,
    location: Option<Value>,
    links: Option<Vec<EntityDocument>>,
    resources: Option<Vec<EntityDocument>>,
}

/// Source or target of a link; a bare string is the form of older drafts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum LinkEnd {
    Location(String),
    Full(FullLinkEnd),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullLinkEnd {
    location: String,
    kind: Option<CategoryId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionDocument {
    action: CategoryId,
    #[serde(default)]
    attributes: Attributes,
}

/// The query interface, or a single mixin.
#[derive(Debug, Deserialize)]
struct ModelDocument {
    #[serde(default)]
    kinds: Vec<CategoryEntry>,
    #[serde(default)]
    mixins: Vec<CategoryEntry>,
    #[serde(default)]
    actions: Vec<CategoryEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CategoryEntry {
    Id(CategoryId),
    Full(Box<CategoryDocument>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryDocument {
    term: String,
    scheme: String,
    title: Option<String>,
    parent: Option<CategoryId>,
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

/// Attributes in the order of the document; a name may occur twice.
#[derive(Debug, Default)]
struct Attributes(Vec<(AttributeName, Value)>);

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

pub(super) fn entity(body: &[u8], limits: &Limits) -> Result<EntityRequest, ParseError> {
    let mut document: EntityDocument = read(body, limits)?;
    match document.resources.take() {
        None => document.into_request(limits),
        Some(mut resources) => match (resources.pop(), resources.len(), document.is_collection()) {
            (Some(only), 0, true) => only.into_request(limits),
            _ => Err(ParseError::new(Position::Request, "exactly one entity", "a collection")),
        },
    }
}

pub(super) fn entities(body: &[u8], limits: &Limits) -> Result<Vec<EntityRequest>, ParseError> {
    let mut document: EntityDocument = read(body, limits)?;
    if document.resources.is_none() && !(document.links.is_some() && document.is_collection()) {
        return document.into_request(limits).map(|request| vec![request]);
    }
    if !document.is_collection() {
        return Err(ParseError::new(Position::Request, "an entity or a collection", "a mixture of both"));
    }
    let resources = document.resources.take().unwrap_or_default();
    let links = document.links.take().unwrap_or_default();
    if resources.len() + links.len() > limits.entities {
        return Err(ParseError::too_many(Position::Request, "entities", limits.entities));
    }
    resources.into_iter().chain(links).map(|each| each.into_request(limits)).collect()
}

pub(super) fn action(body: &[u8], limits: &Limits) -> Result<ActionRequest, ParseError> {
    let document: ActionDocument = read(body, limits)?;
    Ok(ActionRequest {
        action: CategoryReference::new(document.action, Some(Class::Action)),
        attributes: document.attributes.into_raw(limits)?,
    })
}

pub(super) fn categories(body: &[u8], limits: &Limits) -> Result<Vec<CategoryReference>, ParseError> {
    check(body, limits)?;
    // A bare mixin has a term; the collections of a model have none.
    let names_a_term = serde_json::from_slice::<TermProbe>(body).is_ok_and(|probe| probe.term.is_some());
    if names_a_term {
        return Ok(vec![serde_json::from_slice::<CategoryDocument>(body)?.into_reference(Class::Mixin, limits)?]);
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
                CategoryEntry::Id(id) => CategoryReference::new(id, Some(class)),
                CategoryEntry::Full(document) => document.into_reference(class, limits)?,
            });
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct TermProbe {
    term: Option<String>,
}

/// References to entities in any of the forms of A-10.
pub(super) fn locations(body: &[u8], limits: &Limits) -> Result<Vec<EntityReference>, ParseError> {
    check(body, limits)?;
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let found: Vec<EntityReference> = if is_list {
        let texts: Vec<String> = serde_json::from_slice(body)?;
        texts.into_iter().map(EntityReference::Location).collect()
    } else {
        let document: EntityDocument = serde_json::from_slice(body)?;
        let members = [document.resources.unwrap_or_default(), document.links.unwrap_or_default()];
        members.into_iter().flatten().map(EntityDocument::into_reference).collect::<Result<_, _>>()?
    };
    if found.len() > limits.locations {
        return Err(ParseError::too_many(Position::Request, "locations", limits.locations));
    }
    for reference in &found {
        if let EntityReference::Location(text) | EntityReference::Id(text) = reference
            && !is_reference(text)
        {
            return Err(ParseError::new(Position::Request, "a URL or path", format!("`{}`", excerpt(text))));
        }
    }
    Ok(found)
}

impl EntityDocument {
    /// Whether there is nothing but the lists of a collection.
    fn is_collection(&self) -> bool {
        self.kind.is_none()
            && self.mixins.is_empty()
            && self.attributes.0.is_empty()
            && self.actions.is_empty()
            && self.source.is_none()
            && self.target.is_none()
            && [&self.id, &self.title, &self.summary, &self.location].iter().all(|member| member.is_none())
    }

    fn into_reference(self) -> Result<EntityReference, ParseError> {
        match (self.location, self.id) {
            (Some(Value::String(location)), _) => Ok(EntityReference::Location(location)),
            (None, Some(Value::String(id))) => Ok(EntityReference::Id(id)),
            _ => Err(ParseError::new(Position::Request, "an entity with a location or id", "neither")),
        }
    }

    fn into_request(self, limits: &Limits) -> Result<EntityRequest, ParseError> {
        if self.resources.is_some() {
            return Err(ParseError::new(Position::Request, "an entity", "a collection within one"));
        }
        let links = self.links.unwrap_or_default();
        if links.len() > limits.links {
            return Err(ParseError::too_many(Position::Request, "links", limits.links));
        }
        let mut request = EntityRequest {
            categories: references(self.kind, self.mixins, limits)?,
            attributes: self.attributes.into_raw(limits)?,
            links: links.into_iter().map(|link| link.into_link(limits)).collect::<Result<_, _>>()?,
            actions: self.actions,
        };
        if request.actions.len() > limits.categories {
            return Err(ParseError::too_many(Position::Request, "actions", limits.categories));
        }
        let members = [(&attribute::ID, self.id), (&attribute::TITLE, self.title), (&attribute::SUMMARY, self.summary)];
        for (name, value) in members {
            push_member(&mut request.attributes, name, value, limits)?;
        }
        for (name, kind_name, end) in [
            (&attribute::SOURCE, &attribute::SOURCE_KIND, self.source),
            (&attribute::TARGET, &attribute::TARGET_KIND, self.target),
        ] {
            let Some(end) = end else { continue };
            let (location, kind) = end.into_parts()?;
            push_member(&mut request.attributes, name, Some(Value::String(location)), limits)?;
            let kind = kind.map(|kind| Value::String(kind.to_string()));
            push_member(&mut request.attributes, kind_name, kind, limits)?;
        }
        Ok(request)
    }

    fn into_link(self, limits: &Limits) -> Result<LinkRequest, ParseError> {
        let Some(target) = self.target else {
            return Err(ParseError::new(Position::Request, "a target in every link", "none"));
        };
        if self.links.is_some() || self.resources.is_some() {
            return Err(ParseError::new(Position::Request, "a link", "a collection within one"));
        }
        let (target, target_kind) = target.into_parts()?;
        let mut attributes = self.attributes.into_raw(limits)?;
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
            target_kinds: target_kind.into_iter().collect(),
            location,
            categories: references(self.kind, self.mixins, limits)?,
            attributes,
        })
    }
}

impl LinkEnd {
    fn into_parts(self) -> Result<(String, Option<CategoryId>), ParseError> {
        let (location, kind) = match self {
            Self::Location(location) => (location, None),
            Self::Full(end) => (end.location, end.kind),
        };
        if is_reference(&location) {
            Ok((location, kind))
        } else {
            Err(ParseError::new(Position::Request, "a URL or path", format!("`{}`", excerpt(&location))))
        }
    }
}

impl CategoryDocument {
    fn into_reference(self, class: Class, limits: &Limits) -> Result<CategoryReference, ParseError> {
        let id = CategoryId::new(&self.scheme, &self.term)
            .map_err(|error| ParseError::new(Position::Request, "a category", error.to_string()))?;
        if let Some(location) = self.location.as_deref().filter(|location| !is_reference(location)) {
            return Err(ParseError::new(Position::Request, "a URL or path", format!("`{}`", excerpt(location))));
        }
        if self.attributes.0.len() > limits.attributes {
            return Err(ParseError::too_many(Position::Request, "attributes", limits.attributes));
        }
        if self.depends.len().max(self.applies.len()).max(self.actions.len()) > limits.categories {
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
            related: self.parent.into_iter().chain(self.depends).collect(),
            applies: self.applies,
            location: self.location,
            attributes: self.attributes.0.into_iter().map(|(name, value)| (name, flags(&value))).collect(),
            actions: self.actions,
        })
    }
}

fn flags(description: &Value) -> AttributeFlags {
    let Value::Map(members) = description else { return AttributeFlags::default() };
    let truth = |name: &str| members.get(name).and_then(Value::as_boolean);
    AttributeFlags { immutable: truth("mutable") == Some(false), required: truth("required") == Some(true) }
}

impl Attributes {
    fn into_raw(self, limits: &Limits) -> Result<Vec<(AttributeName, RawValue)>, ParseError> {
        if self.0.len() > limits.attributes {
            return Err(ParseError::too_many(Position::Request, "attributes", limits.attributes));
        }
        let mut raw = Vec::with_capacity(self.0.len());
        for (name, value) in self.0 {
            push_member(&mut raw, &name, Some(value), limits)?;
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
    let Some(value) = value else { return Ok(()) };
    if value.as_str().is_some_and(|text| text.len() > limits.value_bytes) {
        return Err(ParseError::too_many(Position::Request, &format!("bytes in {name}"), limits.value_bytes));
    }
    attributes.push((name.clone(), RawValue::Typed(value)));
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

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], limits: &Limits) -> Result<T, ParseError> {
    check(body, limits)?;
    Ok(serde_json::from_slice(body)?)
}

/// Refuses what is too long or too deep before anything is built from it.
fn check(body: &[u8], limits: &Limits) -> Result<(), ParseError> {
    if body.len() > limits.body_bytes {
        return Err(ParseError::too_many(Position::Request, "bytes", limits.body_bytes));
    }
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits.json_depth {
            return Err(ParseError::too_many(Position::Request, "levels of nesting", limits.json_depth));
        }
    }
    Ok(())
}
