//! Requests as a client writes them: creations, partial updates and invocations of actions.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::escape::{Place, quoted, uri, value};
use super::{Rendered, text};
use crate::attribute::AttributeName;
use crate::category::Class;
use crate::identifier::CategoryId;
use crate::media_type::MediaType;
use crate::value::Value;
use crate::well_known::attribute;

/// Attributes by their names.
pub type Attributes = BTreeMap<AttributeName, Value>;

/// What a client wants to be there, or, without a kind, what it wants to be otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The kind of what is to be made; none in a partial update (GFD.223 section 10.3).
    pub kind: Option<&'a CategoryId>,
    /// Its mixins.
    pub mixins: &'a [CategoryId],
    /// Its attributes. With `occi.core.source` and `occi.core.target` it is a link.
    pub attributes: &'a Attributes,
    /// Links that are made with it.
    pub links: &'a [LinkWish],
}

/// A link that is made with its source.
#[derive(Debug, Clone)]
pub struct LinkWish {
    /// Its kind.
    pub kind: CategoryId,
    /// Its mixins.
    pub mixins: Vec<CategoryId>,
    /// The path of what it points at.
    pub target: String,
    /// The kind of what it points at.
    pub target_kind: CategoryId,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A creation or a partial update. `text/uri-list` cannot describe anything: it is written as text/plain, and the JSON
/// of older drafts as the standard's.
#[must_use]
pub fn wish(media: MediaType, wish: &Wish<'_>) -> Rendered {
    match media {
        MediaType::Json | MediaType::LegacyJson => json(&WishDocument(wish)),
        MediaType::TextPlain | MediaType::UriList | MediaType::TextOcci => {
            let place = place_of(media);
            let mut items = categories(wish.kind.map(|kind| (kind, Class::Kind)), wish.mixins);
            for link in wish.links {
                items.push(("Link", link_item(link, place)));
            }
            items.extend(assignments(wish.attributes, place));
            in_text(media, items)
        }
    }
}

/// The invocation of an action (GFD.223 section 11.4, GFD.229 section 5.4).
#[must_use]
pub fn invocation(media: MediaType, action: &CategoryId, parameters: &Attributes) -> Rendered {
    #[derive(Serialize)]
    struct Invocation<'a> {
        action: &'a CategoryId,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        attributes: &'a Attributes,
    }
    match media {
        MediaType::Json | MediaType::LegacyJson => json(&Invocation { action, attributes: parameters }),
        MediaType::TextPlain | MediaType::UriList | MediaType::TextOcci => {
            let mut items = categories(Some((action, Class::Action)), &[]);
            items.extend(assignments(parameters, place_of(media)));
            in_text(media, items)
        }
    }
}

/// What the members of a listing must have, as header fields: that is how filters travel in every rendering.
#[must_use]
pub fn filter(categories_wanted: &[CategoryId], attributes: &Attributes) -> Vec<(&'static str, String)> {
    let mut items = categories(None, categories_wanted);
    items.extend(assignments(attributes, Place::Field));
    as_fields(items)
}

fn place_of(media: MediaType) -> Place {
    if media == MediaType::TextOcci { Place::Field } else { Place::Line }
}

fn json(document: &impl Serialize) -> Rendered {
    // Text keys and finite numbers always serialise.
    Rendered::new(MediaType::Json, serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec()))
}

fn in_text(media: MediaType, items: Vec<(&'static str, String)>) -> Rendered {
    if media == MediaType::TextOcci {
        return Rendered { headers: as_fields(items), ..Rendered::new(media, "") };
    }
    let body: String = items.into_iter().map(|(field, item)| format!("{field}: {item}\n")).collect();
    Rendered::new(MediaType::TextPlain, body)
}

/// Each field once, its items as a comma list.
fn as_fields(items: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let mut fields: Vec<(&'static str, String)> = Vec::new();
    for (field, item) in items {
        match fields.iter_mut().find(|(known, _)| *known == field) {
            Some((_, list)) => {
                text::separate(list);
                list.push_str(&item);
            }
            None => fields.push((field, item)),
        }
    }
    fields
}

fn categories(first: Option<(&CategoryId, Class)>, mixins: &[CategoryId]) -> Vec<(&'static str, String)> {
    let mixins = mixins.iter().map(|mixin| (mixin, Class::Mixin));
    let item = |(id, class): (&CategoryId, Class)| {
        let mut item = String::new();
        text::short_category(&mut item, id, class);
        ("Category", item)
    };
    first.into_iter().chain(mixins).map(item).collect()
}

fn assignments(attributes: &Attributes, place: Place) -> impl Iterator<Item = (&'static str, String)> {
    attributes.iter().map(move |(name, shown)| ("X-OCCI-Attribute", assignment(name, shown, place)))
}

fn assignment(name: &AttributeName, shown: &Value, place: Place) -> String {
    let mut item = String::new();
    text::assignment(&mut item, name, |out| value(out, shown, place));
    item
}

fn link_item(link: &LinkWish, place: Place) -> String {
    let mut item = format!("<{}>", uri(&link.target));
    text::parameter(&mut item, "rel", link.target_kind.as_str());
    text::parameter(&mut item, "category", &text::identifiers(std::iter::once(&link.kind).chain(&link.mixins)));
    for (name, shown) in &link.attributes {
        item.push_str("; ");
        match shown {
            // A bare word would end at a comma.
            Value::String(text) => text::assignment(&mut item, name, |out| quoted(out, text, place)),
            shown => item.push_str(&assignment(name, shown, place)),
        }
    }
    item
}

/// What JSON has as members of its own.
const MEMBERS: [&AttributeName; 5] =
    [&attribute::TITLE, &attribute::SUMMARY, &attribute::SOURCE, &attribute::TARGET, &attribute::TARGET_KIND];

/// The attributes that are no members.
struct Others<'a>(&'a Attributes);

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(name, _)| !MEMBERS.contains(name)))
    }
}

impl Others<'_> {
    fn is_empty(&self) -> bool {
        self.0.keys().all(|name| MEMBERS.contains(&name))
    }
}

#[derive(Serialize)]
struct End<'a> {
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a CategoryId>,
}

struct WishDocument<'a>(&'a Wish<'a>);

impl Serialize for WishDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Wish { kind, mixins, attributes, links } = self.0;
        let mut map = serializer.serialize_map(None)?;
        if let Some(kind) = kind {
            map.serialize_entry("kind", kind)?;
        }
        if !mixins.is_empty() {
            map.serialize_entry("mixins", mixins)?;
        }
        members(&mut map, attributes)?;
        for (member, name) in [("source", &attribute::SOURCE), ("target", &attribute::TARGET)] {
            if let Some(location) = attributes.get(name).and_then(Value::as_str) {
                map.serialize_entry(member, &End { location, kind: None })?;
            }
        }
        if !links.is_empty() {
            let links: Vec<LinkDocument<'_>> = links.iter().map(LinkDocument).collect();
            map.serialize_entry("links", &links)?;
        }
        map.end()
    }
}

struct LinkDocument<'a>(&'a LinkWish);

impl Serialize for LinkDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LinkWish { kind, mixins, target, target_kind, attributes } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind)?;
        if !mixins.is_empty() {
            map.serialize_entry("mixins", mixins)?;
        }
        members(&mut map, attributes)?;
        map.serialize_entry("target", &End { location: target, kind: Some(target_kind) })?;
        map.end()
    }
}

fn members<M: SerializeMap>(map: &mut M, attributes: &Attributes) -> Result<(), M::Error> {
    for (member, name) in [("title", &attribute::TITLE), ("summary", &attribute::SUMMARY)] {
        if let Some(value) = attributes.get(name) {
            map.serialize_entry(member, value)?;
        }
    }
    let others = Others(attributes);
    if others.is_empty() { Ok(()) } else { map.serialize_entry("attributes", &others) }
}
