//! The text renderings (GFD.229), in exactly the forms of section 9.1.

use super::escape::{Place, quoted, title, uri, value};
use super::{EntityView, LinkView};
use crate::attribute::{AttributeDefinition, AttributeName};
use crate::category::{Category, Class};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::value::Value;
use crate::well_known::{RESOURCE, attribute};

/// Separates the items of a comma list.
pub(super) fn separate(list: &mut String) {
    if !list.is_empty() {
        list.push_str(", ");
    }
}

/// Appends the full rendering of a category, its parameters in the one order that all clients read.
pub(super) fn category(out: &mut String, model: &Model, category: Category<'_>, place: Place) {
    described_category(out, model, category, place);
    let (attributes, actions): (Vec<&AttributeDefinition>, &[CategoryId]) = match category {
        Category::Kind(kind) => (model.attributes_of_kind(&kind.id), &kind.actions),
        Category::Mixin(mixin) => (mixin.attributes.iter().collect(), &mixin.actions),
        Category::Action(action) => (action.attributes.iter().collect(), &[]),
    };
    if !attributes.is_empty() {
        // Parameters of actions stand without flags: a test tool compares their bare names (C-291).
        let shown = |definition: &AttributeDefinition| match category.class() {
            Class::Action => definition.name.to_string(),
            Class::Kind | Class::Mixin => attribute_with_flags(definition, model.mode()),
        };
        let list: Vec<String> = attributes.into_iter().map(shown).collect();
        parameter(out, "attributes", &list.join(" "));
    }
    if !actions.is_empty() {
        parameter(out, "actions", &identifiers(actions));
    }
}

/// Appends a category up to its location: what it is, without what it has.
fn described_category(out: &mut String, model: &Model, category: Category<'_>, place: Place) {
    let (text_of_title, related, location) = match category {
        Category::Kind(kind) => (&kind.title, kind.parent.as_ref(), kind.location.as_deref()),
        Category::Mixin(mixin) => (&mixin.title, mixin.depends.first(), Some(mixin.location.as_str())),
        Category::Action(action) => (&action.title, None, None),
    };
    short_category(out, category.id(), category.class());
    match text_of_title {
        Some(text) if model.mode() == Mode::Strict => {
            out.push_str("; title=");
            quoted(out, text, place);
        }
        Some(text) => parameter(out, "title", &title(text, place)),
        None => {}
    }
    if let Some(related) = related {
        parameter(out, "rel", related.as_str());
    }
    if let Some(location) = location {
        parameter(out, "location", &uri(location));
    }
}

pub(super) fn parameter(out: &mut String, name: &str, value: &str) {
    for part in ["; ", name, "=\"", value, "\""] {
        out.push_str(part);
    }
}

fn attribute_with_flags(definition: &AttributeDefinition, mode: Mode) -> String {
    let flags = match (definition.is_required_in(mode), definition.is_mutable()) {
        (true, true) => "{required}",
        (true, false) => "{required immutable}",
        (false, false) => "{immutable}",
        (false, true) => "",
    };
    format!("{}{flags}", definition.name)
}

pub(super) fn identifiers<'a>(ids: impl IntoIterator<Item = &'a CategoryId>) -> String {
    let mut list = String::new();
    for id in ids {
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(id.as_str());
    }
    list
}

pub(super) fn short_category(out: &mut String, id: &CategoryId, class: Class) {
    out.push_str(id.term());
    parameter(out, "scheme", id.scheme());
    parameter(out, "class", class.as_str());
}

/// An entity as lines: kind and mixins, actions and links, attributes.
pub(super) fn entity_lines(view: &EntityView<'_>, model: Option<&Model>) -> String {
    let mut body = String::with_capacity(1024);
    for_each_item(view, model, Place::Line, |field, item| {
        for part in [field, ": ", item, "\n"] {
            body.push_str(part);
        }
    });
    body
}

/// An entity as header fields, each one comma list.
pub(super) fn entity_fields(view: &EntityView<'_>, model: Option<&Model>) -> Vec<(&'static str, String)> {
    let mut fields: Vec<(&'static str, String)> = Vec::with_capacity(3);
    for_each_item(view, model, Place::Field, |field, item| match fields.last_mut() {
        Some((name, list)) if *name == field => {
            separate(list);
            list.push_str(item);
        }
        _ => fields.push((field, item.to_owned())),
    });
    fields
}

fn for_each_item(view: &EntityView<'_>, model: Option<&Model>, place: Place, mut emit: impl FnMut(&'static str, &str)) {
    let named = |out: &mut String, id: &CategoryId, class: Class| match model {
        // jOCCI reads titles and locations here, and fails on an active machine without.
        Some(model) if model.category(id).is_some_and(|known| known.class() == class) => {
            if let Some(known) = model.category(id) {
                described_category(out, model, known, place);
            }
        }
        _ => short_category(out, id, class),
    };
    let mut item = String::with_capacity(256);
    let mut each = |field: &'static str, write: &dyn Fn(&mut String)| {
        item.clear();
        write(&mut item);
        emit(field, &item);
    };
    each("Category", &|out| named(out, view.kind, Class::Kind));
    for mixin in view.mixins {
        each("Category", &|out| named(out, mixin, Class::Mixin));
    }
    // Actions come first, `start` before the others: a test tool takes the first link for it (C-136).
    for action in view.actions {
        each("Link", &|out| {
            for part in ["<", &uri(view.location), "?action=", action.term(), ">"] {
                out.push_str(part);
            }
            parameter(out, "rel", action.as_str());
        });
    }
    for target in &view.links {
        each("Link", &|out| link(out, target, place));
    }
    each("X-OCCI-Attribute", &|out| assignment(out, &attribute::ID, |out| quoted(out, view.id, place)));
    for (name, shown) in in_order(view.attributes) {
        each("X-OCCI-Attribute", &|out| assignment(out, name, |out| value(out, shown, place)));
    }
}

pub(super) fn assignment(out: &mut String, name: &AttributeName, write_value: impl FnOnce(&mut String)) {
    out.push_str(name.as_str());
    out.push('=');
    write_value(out);
}

/// A link needs `self`, `category` and at least one attribute to be readable by all clients (section 3.8 rule 9).
fn link(out: &mut String, view: &LinkView<'_>, place: Place) {
    for part in ["<", &uri(view.target), ">"] {
        out.push_str(part);
    }
    parameter(out, "rel", view.target_kind.unwrap_or(&RESOURCE).as_str());
    parameter(out, "self", &uri(view.location));
    parameter(out, "category", &identifiers(std::iter::once(view.kind).chain(view.mixins)));
    out.push_str("; ");
    assignment(out, &attribute::ID, |out| quoted(out, view.id, place));
    // Both ends too, which older clients look for here (rOCCI 5, the Infrastructure Manager).
    for (name, shown) in in_order(view.attributes) {
        out.push_str("; ");
        assignment(out, name, |out| value(out, shown, place));
    }
}

/// Core attributes first; without the id, which has its own place, and what OCCI 1.1 does not know.
fn in_order(
    attributes: &std::collections::BTreeMap<AttributeName, Value>,
) -> impl Iterator<Item = (&AttributeName, &Value)> {
    let hidden = [&attribute::ID, &attribute::SOURCE_KIND, &attribute::TARGET_KIND];
    let core = attributes.iter().filter(|(name, _)| name.is_core());
    let rest = attributes.iter().filter(|(name, _)| !name.is_core());
    core.chain(rest).filter(move |(name, _)| !hidden.contains(name))
}
