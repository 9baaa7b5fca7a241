//! The shape that rOCCI 4 reads (section 4.9): attributes nested at their dots, links beside their resources and as
//! locations within them, the ends of links as plain texts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::category::{CategoryDocument, DefinitionDocument, Definitions};
use super::{bytes, text};
use crate::category::Category;
use crate::identifier::CategoryId;
use crate::model::Model;
use crate::render::escape::uri;
use crate::render::{EntityView, LinkView};
use crate::value::Value;
use crate::well_known::attribute;

/// Members by the parts of their names. A name that goes on from another one (`occi.compute.state.message`) is left
/// out: one place cannot hold both a value and members. Only OCCI 1.2 has such names.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Nested<'a, T> {
    Leaf(T),
    Branch(BTreeMap<&'a str, Nested<'a, T>>),
}

impl<'a, T> Nested<'a, T> {
    fn new() -> Self {
        Self::Branch(BTreeMap::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Branch(members) if members.is_empty())
    }

    /// Puts a leaf at the end of its path, in place of whatever goes on from there.
    fn put(&mut self, name: &'a str, leaf: T) {
        let Self::Branch(members) = self else { return };
        match name.split_once('.') {
            Some((first, rest)) => members.entry(first).or_insert_with(Self::new).put(rest, leaf),
            None => {
                members.insert(name, Self::Leaf(leaf));
            }
        }
    }
}

#[derive(Serialize)]
struct EntityDocument<'a> {
    kind: &'a CategoryId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mixins: &'a [CategoryId],
    attributes: Nested<'a, Attribute<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    actions: &'a [CategoryId],
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Attribute<'a> {
    Core(&'a str),
    Own(&'a Value),
}

/// A resource, or a link that stands on its own.
pub(in crate::render) fn entity(view: &EntityView<'_>, out: &mut Vec<u8>) {
    let mut attributes = own(view.attributes.iter());
    attributes.put(attribute::ID.as_str(), Attribute::Core(view.id));
    let is_link = view.is_link();
    let end = |name| is_link.then(|| text(view.attributes, name)).flatten();
    let document = EntityDocument {
        kind: view.kind,
        mixins: view.mixins,
        attributes,
        actions: view.actions,
        id: view.id,
        title: text(view.attributes, &attribute::TITLE),
        summary: text(view.attributes, &attribute::SUMMARY),
        rel: end(&attribute::TARGET_KIND),
        source: end(&attribute::SOURCE),
        target: end(&attribute::TARGET),
        links: view.links.iter().map(|link| uri(link.location)).collect(),
    };
    out.extend_from_slice(&bytes(&document));
}

/// A link that is shown with its source.
pub(in crate::render) fn link(source: &EntityView<'_>, link: &LinkView<'_>, out: &mut Vec<u8>) {
    let mut attributes = own(link.attributes.iter());
    for (name, shown) in
        [(&attribute::ID, link.id), (&attribute::SOURCE, source.location), (&attribute::TARGET, link.target)]
    {
        attributes.put(name.as_str(), Attribute::Core(shown));
    }
    let document = EntityDocument {
        kind: link.kind,
        mixins: link.mixins,
        attributes,
        actions: &[],
        id: link.id,
        title: text(link.attributes, &attribute::TITLE),
        summary: None,
        rel: link.target_kind.map(CategoryId::as_str),
        source: Some(source.location),
        target: Some(link.target),
        links: Vec::new(),
    };
    out.extend_from_slice(&bytes(&document));
}

fn own<'a>(
    attributes: impl Iterator<Item = (&'a crate::attribute::AttributeName, &'a Value)>,
) -> Nested<'a, Attribute<'a>> {
    let mut nested = Nested::new();
    for (name, value) in attributes {
        if *name != attribute::SOURCE_KIND && *name != attribute::TARGET_KIND {
            nested.put(name.as_str(), Attribute::Own(value));
        }
    }
    nested
}

#[derive(Serialize)]
struct ModelDocument<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<LegacyCategory<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mixins: Vec<LegacyCategory<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<LegacyCategory<'a>>,
}

/// A category, whose attributes are nested and whose parent has a second name.
#[derive(Serialize)]
struct LegacyCategory<'a> {
    #[serde(flatten)]
    category: CategoryDocument<'a>,
    #[serde(skip_serializing_if = "Nested::is_empty")]
    attributes: Nested<'a, DefinitionDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<[&'a CategoryId; 1]>,
}

pub(in crate::render) fn model<'a>(model: &'a Model, categories: impl IntoIterator<Item = Category<'a>>) -> Vec<u8> {
    let mut document = ModelDocument { kinds: Vec::new(), mixins: Vec::new(), actions: Vec::new() };
    for category in categories {
        let list = match category {
            Category::Kind(_) => &mut document.kinds,
            Category::Mixin(_) => &mut document.mixins,
            Category::Action(_) => &mut document.actions,
        };
        let mut shown = CategoryDocument::new(model, category);
        let Definitions { list: definitions, mode } = shown.take_attributes();
        let mut attributes = Nested::new();
        for definition in definitions {
            attributes.put(definition.name.as_str(), DefinitionDocument::legacy(definition, mode));
        }
        let related = shown.parent.map(|parent| [parent]);
        list.push(LegacyCategory { category: shown, attributes, related });
    }
    bytes(&document)
}
