//! What rOCCI 4 writes otherwise (section 4.9): attributes nested at their dots, and links beside their resources.

use std::collections::BTreeMap;

use super::super::error::{ParseError, Position};
use super::document::EntityDocument;
use super::text_or::TextOr;
use crate::attribute::AttributeName;
use crate::identifier::excerpt;
use crate::value::Value;

/// Members of an attribute's description, written with or without a capital.
const DESCRIPTION: [&str; 8] =
    ["mutable", "required", "type", "pattern", "default", "description", "minimum", "maximum"];

/// Attributes by their full names. A name that has a dot already is the standard's form, whose value may be a map.
pub(super) fn flat_values(members: Vec<(AttributeName, Value)>) -> Result<Vec<(AttributeName, Value)>, ParseError> {
    let mut flat = Vec::with_capacity(members.len());
    for (name, value) in members {
        match value {
            Value::Map(inner) if !name.as_str().contains('.') => flatten_values(name.as_str(), inner, &mut flat)?,
            value => flat.push((name, value)),
        }
    }
    Ok(flat)
}

fn flatten_values(
    prefix: &str,
    members: BTreeMap<String, Value>,
    flat: &mut Vec<(AttributeName, Value)>,
) -> Result<(), ParseError> {
    for (term, value) in members {
        let path = format!("{prefix}.{term}");
        match value {
            Value::Map(inner) => flatten_values(&path, inner, flat)?,
            value => flat.push((name(&path)?, value)),
        }
    }
    Ok(())
}

/// Descriptions of attributes by their full names. What describes an attribute may lead on to others, too.
pub(super) fn flat_descriptions(
    members: Vec<(AttributeName, Value)>,
) -> Result<Vec<(AttributeName, Value)>, ParseError> {
    let mut flat = Vec::with_capacity(members.len());
    for (name, value) in members {
        flatten_descriptions(name.as_str(), value, &mut flat)?;
    }
    Ok(flat)
}

fn flatten_descriptions(path: &str, value: Value, flat: &mut Vec<(AttributeName, Value)>) -> Result<(), ParseError> {
    let Value::Map(members) = value else { return Ok(()) };
    let (inner, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
        members.into_iter().partition(|(_, member)| matches!(member, Value::Map(_)));
    if !own.is_empty() || inner.is_empty() {
        flat.push((name(path)?, Value::Map(own)));
    }
    for (term, value) in inner {
        flatten_descriptions(&format!("{path}.{term}"), value, flat)?;
    }
    Ok(())
}

/// A member of a description, in either case.
pub(super) fn described<'a>(members: &'a BTreeMap<String, Value>, wanted: &str) -> Option<&'a Value> {
    members
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted) && DESCRIPTION.contains(&wanted))
        .map(|(_, value)| value)
}

fn name(path: &str) -> Result<AttributeName, ParseError> {
    AttributeName::new(path)
        .map_err(|_| ParseError::new(Position::Request, "attribute names", format!("`{}`", excerpt(path))))
}

/// The one entity of a document, which is always a collection here: a resource with its links, or a link.
pub(super) fn entity(document: EntityDocument) -> Result<EntityDocument, ParseError> {
    if !document.is_collection() || (document.resources.is_none() && document.links.is_none()) {
        return Ok(document);
    }
    let mut document = owned_links(document)?;
    let mut resources = document.resources.take().unwrap_or_default();
    let mut links = document.links.take().unwrap_or_default();
    match (resources.len(), links.len()) {
        (1, 0) => Ok(resources.remove(0)),
        (0, 1) => links.remove(0).object("a link"),
        _ => Err(ParseError::new(Position::Request, "exactly one entity", "a collection")),
    }
}

/// Puts the links of a collection into the resources of the same collection that they start from.
pub(super) fn owned_links(mut document: EntityDocument) -> Result<EntityDocument, ParseError> {
    let mut resources = document.resources.take().unwrap_or_default();
    let mut others = Vec::new();
    for link in document.links.take().unwrap_or_default() {
        let mut link = link.object("a link")?;
        let owner = match &link.source {
            // Said nowhere else than by being alone with a resource.
            None if resources.len() == 1 => resources.first_mut(),
            Some(TextOr::Text(source)) => {
                let source = last_segment(source).to_owned();
                resources.iter_mut().find(|resource| id_of(resource).is_some_and(|id| id == source))
            }
            _ => None,
        };
        match owner {
            Some(resource) => {
                link.source = None;
                resource.links.get_or_insert_default().push(TextOr::Object(link));
            }
            None => others.push(TextOr::Object(link)),
        }
    }
    document.resources = (!resources.is_empty()).then_some(resources);
    document.links = (!others.is_empty()).then_some(others);
    Ok(document)
}

/// An identifier without what may stand before it in a location or a URN.
fn last_segment(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or_default()
}

fn id_of(resource: &EntityDocument) -> Option<&str> {
    resource.id.as_ref().and_then(Value::as_str).map(last_segment).filter(|id| !id.is_empty())
}
