//! application/occi+json (GFD.226, kept readable for the strictest client: section 4.8).

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{EntityView, LinkView};
use crate::attribute::{AttributeDefinition, AttributeName};
use crate::category::{Action, Category, Kind, Mixin};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::value::Value;
use crate::well_known::attribute;

/// Serialises what cannot fail to: text keys, finite numbers, no foreign code.
fn bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec())
}

pub(super) fn entity(view: &EntityView<'_>) -> Vec<u8> {
    bytes(&EntityDocument::new(view))
}

pub(super) fn strings(urls: impl Iterator<Item = String>) -> Vec<u8> {
    bytes(&urls.collect::<Vec<_>>())
}

pub(super) fn collection<'a>(views: impl IntoIterator<Item = EntityView<'a>>) -> Vec<u8> {
    let (links, resources): (Vec<_>, Vec<_>) = views.into_iter().partition(EntityView::is_link);
    let mut writer = super::ListingWriter::new(crate::media_type::MediaType::Json);
    let mut body = Vec::new();
    for view in resources.iter().chain(&links) {
        writer.entity(view, "", &mut body);
    }
    writer.finish(&mut body);
    body
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
        let text = |name: &AttributeName| view.attributes.get(name).and_then(Value::as_str);
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
            title: link.attributes.get(&attribute::TITLE).and_then(Value::as_str),
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

#[derive(Serialize)]
struct ModelDocument<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<CategoryDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mixins: Vec<CategoryDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<CategoryDocument<'a>>,
}

#[derive(Serialize)]
struct CategoryDocument<'a> {
    term: &'a str,
    scheme: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a CategoryId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    depends: &'a [CategoryId],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    applies: &'a [CategoryId],
    #[serde(skip_serializing_if = "Definitions::is_empty")]
    attributes: Definitions<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    actions: &'a [CategoryId],
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
}

pub(super) fn model<'a>(model: &'a Model, categories: impl IntoIterator<Item = Category<'a>>) -> Vec<u8> {
    let mut document = ModelDocument { kinds: Vec::new(), mixins: Vec::new(), actions: Vec::new() };
    for category in categories {
        match category {
            Category::Kind(kind) => document.kinds.push(CategoryDocument::of_kind(model, kind)),
            Category::Mixin(mixin) => document.mixins.push(CategoryDocument::of_mixin(model, mixin)),
            Category::Action(action) => document.actions.push(CategoryDocument::of_action(model, action)),
        }
    }
    bytes(&document)
}

impl<'a> CategoryDocument<'a> {
    fn new(id: &'a CategoryId, title: Option<&'a str>, attributes: Definitions<'a>) -> Self {
        Self {
            term: id.term(),
            scheme: id.scheme(),
            title,
            parent: None,
            depends: &[],
            applies: &[],
            attributes,
            actions: &[],
            location: None,
        }
    }

    fn of_kind(model: &'a Model, kind: &'a Kind) -> Self {
        let attributes = Definitions { list: model.attributes_of_kind(&kind.id), mode: model.mode() };
        Self {
            parent: kind.parent.as_ref(),
            actions: &kind.actions,
            location: kind.location.as_deref(),
            ..Self::new(&kind.id, kind.title.as_deref(), attributes)
        }
    }

    fn of_mixin(model: &Model, mixin: &'a Mixin) -> Self {
        let attributes = Definitions { list: mixin.attributes.iter().collect(), mode: model.mode() };
        Self {
            depends: &mixin.depends,
            applies: &mixin.applies,
            actions: &mixin.actions,
            location: Some(&mixin.location),
            ..Self::new(&mixin.id, mixin.title.as_deref(), attributes)
        }
    }

    fn of_action(model: &Model, action: &'a Action) -> Self {
        let attributes = Definitions { list: action.attributes.iter().collect(), mode: model.mode() };
        Self::new(&action.id, action.title.as_deref(), attributes)
    }
}

struct Definitions<'a> {
    list: Vec<&'a AttributeDefinition>,
    mode: Mode,
}

impl Definitions<'_> {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Serialize for Definitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.list.iter().map(|each| (&each.name, DefinitionDocument::new(each, self.mode))))
    }
}

#[derive(Serialize)]
struct DefinitionDocument<'a> {
    mutable: bool,
    required: bool,
    #[serde(rename = "type")]
    value_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<PatternDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// The JSON Schema of a text (GFD.226 section 3.5.1). Strict mode only: the strictest client refuses it.
#[derive(Serialize)]
struct PatternDocument<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "type")]
    value_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'static str>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    words: Option<&'a [String]>,
}

impl<'a> DefinitionDocument<'a> {
    fn new(definition: &'a AttributeDefinition, mode: Mode) -> Self {
        let words = match &definition.value_type {
            crate::attribute::ValueType::Enum(words) => Some(words.as_slice()),
            _ => None,
        };
        let expression = definition.pattern().map(crate::pattern::Pattern::expression);
        let is_shown = mode == Mode::Strict && (words.is_some() || expression.is_some());
        let pattern = is_shown.then_some(PatternDocument {
            schema: "http://json-schema.org/draft-04/schema#",
            value_type: "string",
            pattern: expression,
            words,
        });
        let description = match (&definition.description, &definition.unit) {
            (Some(text), Some(unit)) => Some(format!("{text} Unit: {unit}.")),
            (None, Some(unit)) => Some(format!("Unit: {unit}.")),
            (text, None) => text.clone(),
        };
        Self {
            mutable: definition.is_mutable(),
            required: definition.is_required(),
            value_type: definition.value_type.json_name(),
            pattern,
            default: definition.default.as_ref(),
            description,
        }
    }
}
