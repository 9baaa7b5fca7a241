//! application/occi+json (GFD.226, kept readable for the strictest client: section 4.8), and the shape that rOCCI 4 reads.

mod category;
mod legacy;

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{EntityView, LinkView};
use crate::attribute::AttributeName;
use crate::identifier::CategoryId;
use crate::value::Value;
use crate::well_known::attribute;

pub(super) use category::model;
pub(super) use legacy::{entity as legacy_entity, link as legacy_link, model as legacy_model};

/// Serialises what cannot fail to: text keys, finite numbers, no foreign code.
fn bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec())
}

pub(super) fn entity(view: &EntityView<'_>, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and neither can serialising text keys and finite numbers.
    let _ = serde_json::to_writer(out, &EntityDocument::new(view));
}

pub(super) fn strings(urls: impl Iterator<Item = String>) -> Vec<u8> {
    bytes(&urls.collect::<Vec<_>>())
}

/// The text of an attribute that is one.
fn text<'a>(attributes: &'a BTreeMap<AttributeName, Value>, name: &AttributeName) -> Option<&'a str> {
    attributes.get(name).and_then(Value::as_str)
}

pub(super) fn error(status: u16, message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct ErrorDocument<'a> {
        code: u16,
        status: &'a str,
        message: &'a str,
        error: &'a str,
    }
    bytes(&ErrorDocument { code: status, status: reason(status), message, error: message })
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "bad_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        409 => "conflict",
        410 => "gone",
        412 => "precondition_failed",
        413 => "content_too_large",
        415 => "unsupported_media_type",
        429 => "too_many_requests",
        431 => "request_header_fields_too_large",
        501 => "not_implemented",
        503 => "service_unavailable",
        507 => "insufficient_storage",
        _ if status < 500 => "client_error",
        _ => "internal_server_error",
    }
}

#[derive(Serialize)]
struct EntityDocument<'a> {
    kind: &'a CategoryId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mixins: &'a [CategoryId],
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    actions: &'a [CategoryId],
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<LinkEnd<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<LinkEnd<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<EntityDocument<'a>>,
}

#[derive(Serialize)]
struct LinkEnd<'a> {
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

impl<'a> EntityDocument<'a> {
    fn new(view: &'a EntityView<'a>) -> Self {
        let text = |name: &AttributeName| text(view.attributes, name);
        let end = |name: &AttributeName, kind: &AttributeName| {
            view.is_link().then(|| text(name)).flatten().map(|location| {
                let kind = text(kind).map(str::to_owned);
                LinkEnd { location, kind }
            })
        };
        Self {
            kind: view.kind,
            mixins: view.mixins,
            attributes: Attributes { id: view.id, ends: None, others: view.attributes },
            actions: view.actions,
            id: view.id,
            title: text(&attribute::TITLE),
            summary: text(&attribute::SUMMARY),
            source: end(&attribute::SOURCE, &attribute::SOURCE_KIND),
            target: end(&attribute::TARGET, &attribute::TARGET_KIND),
            links: view.links.iter().map(|link| Self::of_link(view, link)).collect(),
        }
    }

    fn of_link(source: &'a EntityView<'a>, link: &'a LinkView<'a>) -> Self {
        Self {
            kind: link.kind,
            mixins: link.mixins,
            attributes: Attributes { id: link.id, ends: Some((source.location, link.target)), others: link.attributes },
            actions: &[],
            id: link.id,
            title: text(link.attributes, &attribute::TITLE),
            summary: None,
            source: Some(LinkEnd { location: source.location, kind: Some(source.kind.to_string()) }),
            target: Some(LinkEnd { location: link.target, kind: link.target_kind.map(ToString::to_string) }),
            links: Vec::new(),
        }
    }
}

/// Attributes with the core ones first; they repeat the id and a link's ends, as the strictest client wants.
struct Attributes<'a> {
    id: &'a str,
    ends: Option<(&'a str, &'a str)>,
    others: &'a BTreeMap<AttributeName, Value>,
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(&attribute::ID, self.id)?;
        if let Some((source, target)) = self.ends {
            map.serialize_entry(&attribute::SOURCE, source)?;
            map.serialize_entry(&attribute::TARGET, target)?;
        }
        let is_shown_already = |name: &AttributeName| {
            let is_end = *name == attribute::SOURCE || *name == attribute::TARGET;
            let is_kind = *name == attribute::SOURCE_KIND || *name == attribute::TARGET_KIND;
            *name == attribute::ID || is_kind || (is_end && self.ends.is_some())
        };
        for core in [true, false] {
            for (name, value) in self.others {
                if name.is_core() == core && !is_shown_already(name) {
                    map.serialize_entry(name, value)?;
                }
            }
        }
        map.end()
    }
}
