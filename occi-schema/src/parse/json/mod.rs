//! application/occi+json (GFD.226), and the shape that older drafts had (section 4.9).

mod category;
mod document;
mod legacy;
mod text_or;

use serde::Deserialize;

use super::error::{ParseError, Position};
use super::location::is_reference;
use super::request::{ActionRequest, CategoryReference, EntityReference, EntityRequest};
use crate::category::Class;
use crate::identifier::{CategoryId, excerpt};
use crate::limits::Limits;
use document::{Attributes, EntityDocument};
use text_or::TextOr;

/// Objects of a query interface for each that another request may hold: every attribute is described by one.
const OBJECTS_OF_A_MODEL: usize = 16;

/// Which shapes of JSON are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// GFD.226 alone.
    Standard,
    /// What rOCCI 4 sends, too.
    Legacy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionDocument {
    action: CategoryId,
    #[serde(default)]
    attributes: Attributes,
}

pub(super) fn entity(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<EntityRequest, ParseError> {
    let mut document: EntityDocument = read(body, limits)?;
    if dialect == Dialect::Legacy {
        document = legacy::entity(document)?;
    }
    match document.resources.take() {
        None => document.into_request(dialect, limits),
        Some(mut resources) => match (resources.pop(), resources.len(), document.is_collection()) {
            (Some(only), 0, true) => only.into_request(dialect, limits),
            _ => Err(ParseError::new(Position::Request, "exactly one entity", "a collection")),
        },
    }
}

pub(super) fn entities(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<Vec<EntityRequest>, ParseError> {
    let mut document: EntityDocument = read(body, limits)?;
    if document.resources.is_none() && !(document.links.is_some() && document.is_collection()) {
        return document.into_request(dialect, limits).map(|request| vec![request]);
    }
    if !document.is_collection() {
        return Err(ParseError::new(Position::Request, "an entity or a collection", "a mixture of both"));
    }
    if dialect == Dialect::Legacy {
        document = legacy::owned_links(document)?;
    }
    let resources = document.resources.take().unwrap_or_default();
    let links = document.links.take().unwrap_or_default();
    if resources.len() + links.len() > limits.entities {
        return Err(ParseError::too_many(Position::Request, "entities", limits.entities));
    }
    let links = links.into_iter().map(|link| link.object("a link"));
    let all = resources.into_iter().map(Ok).chain(links);
    all.map(|each| each?.into_request(dialect, limits)).collect()
}

pub(super) fn action(body: &[u8], limits: &Limits) -> Result<ActionRequest, ParseError> {
    let document: ActionDocument = read(body, limits)?;
    Ok(ActionRequest {
        action: CategoryReference::new(document.action, Some(Class::Action)),
        attributes: document.attributes.into_raw(Dialect::Standard, limits)?,
    })
}

/// The mixins of a request to the query interface.
pub(super) fn mixins(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<Vec<CategoryReference>, ParseError> {
    check(body, limits, limits.lines)?;
    category::references(body, dialect, limits)
}

/// A whole query interface.
pub(super) fn model(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<Vec<CategoryReference>, ParseError> {
    check(body, limits, limits.lines.saturating_mul(OBJECTS_OF_A_MODEL))?;
    category::references(body, dialect, limits)
}

/// References to entities in any of the forms of A-10.
pub(super) fn locations(body: &[u8], limits: &Limits) -> Result<Vec<EntityReference>, ParseError> {
    check(body, limits, limits.lines)?;
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let found: Vec<EntityReference> = if is_list {
        let texts: Vec<String> = serde_json::from_slice(body)?;
        texts.into_iter().map(EntityReference::Location).collect()
    } else {
        let document: EntityDocument = serde_json::from_slice(body)?;
        let resources = document.resources.unwrap_or_default().into_iter().map(TextOr::Object);
        let members = resources.chain(document.links.unwrap_or_default());
        let references = members.map(|member| match member {
            TextOr::Text(location) => Ok(EntityReference::Location(location)),
            TextOr::Object(document) => document.into_reference(),
        });
        references.collect::<Result<_, _>>()?
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

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], limits: &Limits) -> Result<T, ParseError> {
    check(body, limits, limits.lines)?;
    Ok(serde_json::from_slice(body)?)
}

/// Refuses what is too long, too deep or too much before anything is built from it: an object of two bytes would
/// become hundreds.
fn check(body: &[u8], limits: &Limits, most_objects: usize) -> Result<(), ParseError> {
    if body.len() > limits.body_bytes {
        return Err(ParseError::too_many(Position::Request, "bytes", limits.body_bytes));
    }
    let (mut depth, mut objects) = (0_usize, 0_usize);
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // To the end of the string.
            b'"' => while bytes.find(|byte| matches!(byte, b'"' | b'\\')) == Some(&b'\\') && bytes.next().is_some() {},
            b'{' | b'[' => {
                depth += 1;
                objects += usize::from(*byte == b'{');
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth > limits.json_depth {
            return Err(ParseError::too_many(Position::Request, "levels of nesting", limits.json_depth));
        }
        if objects > most_objects {
            return Err(ParseError::too_many(Position::Request, "objects", most_objects));
        }
    }
    Ok(())
}
