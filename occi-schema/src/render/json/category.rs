//! Kinds, mixins and actions.

use serde::{Serialize, Serializer};

use super::bytes;
use crate::attribute::AttributeDefinition;
use crate::category::{Action, Category, Kind, Mixin};
use crate::identifier::CategoryId;
use crate::model::{Mode, Model};
use crate::value::Value;

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
pub(super) struct CategoryDocument<'a> {
    term: &'a str,
    scheme: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'a CategoryId>,
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

pub(in crate::render) fn model<'a>(model: &'a Model, categories: impl IntoIterator<Item = Category<'a>>) -> Vec<u8> {
    let mut document = ModelDocument { kinds: Vec::new(), mixins: Vec::new(), actions: Vec::new() };
    for category in categories {
        let list = match category {
            Category::Kind(_) => &mut document.kinds,
            Category::Mixin(_) => &mut document.mixins,
            Category::Action(_) => &mut document.actions,
        };
        list.push(CategoryDocument::new(model, category));
    }
    bytes(&document)
}

impl<'a> CategoryDocument<'a> {
    pub(super) fn new(model: &'a Model, category: Category<'a>) -> Self {
        match category {
            Category::Kind(kind) => Self::of_kind(model, kind),
            Category::Mixin(mixin) => Self::of_mixin(model, mixin),
            Category::Action(action) => Self::of_action(model, action),
        }
    }

    /// The attributes, to be shown otherwise.
    pub(super) fn take_attributes(&mut self) -> Definitions<'a> {
        let mode = self.attributes.mode;
        std::mem::replace(&mut self.attributes, Definitions { list: Vec::new(), mode })
    }

    fn named(id: &'a CategoryId, title: Option<&'a str>, attributes: Definitions<'a>) -> Self {
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
            ..Self::named(&kind.id, kind.title.as_deref(), attributes)
        }
    }

    fn of_mixin(model: &Model, mixin: &'a Mixin) -> Self {
        let attributes = Definitions { list: mixin.attributes.iter().collect(), mode: model.mode() };
        Self {
            depends: &mixin.depends,
            applies: &mixin.applies,
            actions: &mixin.actions,
            location: Some(&mixin.location),
            ..Self::named(&mixin.id, mixin.title.as_deref(), attributes)
        }
    }

    fn of_action(model: &Model, action: &'a Action) -> Self {
        let attributes = Definitions { list: action.attributes.iter().collect(), mode: model.mode() };
        Self::named(&action.id, action.title.as_deref(), attributes)
    }
}

/// What a category says about its attributes.
pub(super) struct Definitions<'a> {
    pub list: Vec<&'a AttributeDefinition>,
    pub mode: Mode,
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
pub(super) struct DefinitionDocument<'a> {
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
    pub(super) fn new(definition: &'a AttributeDefinition, mode: Mode) -> Self {
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
            required: definition.is_required_in(mode),
            value_type: definition.value_type.json_name(),
            pattern,
            default: definition.default.as_ref(),
            description,
        }
    }

    /// The same for rOCCI 4, which knows no other types than these three (section 4.9).
    pub(super) fn legacy(definition: &'a AttributeDefinition, mode: Mode) -> Self {
        let document = Self::new(definition, mode);
        let is_known = ["string", "number", "boolean"].contains(&document.value_type);
        Self { value_type: if is_known { document.value_type } else { "string" }, ..document }
    }
}
