//! Requests as their clients wrote them: names are well formed, but nothing is looked up yet.

use crate::attribute::AttributeName;
use crate::category::Class;
use crate::identifier::CategoryId;
use crate::parse::local_path;
use crate::value::{RawValue, Value};
use crate::well_known::attribute;

/// A category that a client names, with whatever it says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryReference {
    /// Identity.
    pub id: CategoryId,
    /// Its class, if the client says it.
    pub class: Option<Class>,
    /// Display name.
    pub title: Option<String>,
    /// A kind's parent, or what a mixin depends on.
    pub related: Vec<CategoryId>,
    /// The kinds that a mixin applies to (JSON only).
    pub applies: Vec<CategoryId>,
    /// The path or URL of the collection.
    pub location: Option<String>,
    /// Attributes and their flags.
    pub attributes: Vec<(AttributeName, AttributeFlags)>,
    /// Values that attributes have unless something else is said (JSON only).
    pub defaults: Vec<(AttributeName, Value)>,
    /// Actions.
    pub actions: Vec<CategoryId>,
}

/// What the text rendering can say about an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttributeFlags {
    /// The server manages it.
    pub immutable: bool,
    /// The client must give it.
    pub required: bool,
}

impl CategoryReference {
    /// A reference that says nothing but the identity and perhaps the class.
    #[must_use]
    pub fn new(id: CategoryId, class: Option<Class>) -> Self {
        Self {
            id,
            class,
            title: None,
            related: Vec::new(),
            applies: Vec::new(),
            location: None,
            attributes: Vec::new(),
            defaults: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// The value that an attribute has unless something else is said.
    #[must_use]
    pub fn default(&self, name: &AttributeName) -> Option<&Value> {
        self.defaults.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// An entity as a client describes it. What JSON has as members (`id`, `title`, `summary`, `source`, `target`) is among
/// the attributes, as in the text renderings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EntityRequest {
    /// Kind and mixins, in the client's order.
    pub categories: Vec<CategoryReference>,
    /// Attributes, in the client's order; one may occur twice.
    pub attributes: Vec<(AttributeName, RawValue)>,
    /// Links to be made with the entity.
    pub links: Vec<LinkRequest>,
    /// Actions that the entity offers: only of interest in another server's answer.
    pub actions: Vec<CategoryId>,
}

impl EntityRequest {
    /// The first value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &AttributeName) -> Option<&RawValue> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The identifier that the client gives, which is at most a wish.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.attribute(&attribute::ID).and_then(RawValue::text)
    }

    /// The display name.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        self.attribute(&attribute::TITLE).and_then(RawValue::text)
    }

    /// The description.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        self.attribute(&attribute::SUMMARY).and_then(RawValue::text)
    }
}

impl EntityRequest {
    /// The same with paths in place of this server's own URLs, wherever it points at entities: both mean the same
    /// (C-250). What is elsewhere stays as it is.
    #[must_use]
    pub fn with_local_paths(mut self, base_url: &str) -> Self {
        for (name, value) in &mut self.attributes {
            if [&attribute::SOURCE, &attribute::TARGET].contains(&&*name)
                && let RawValue::Quoted(text) | RawValue::Bare(text) | RawValue::Typed(Value::String(text)) = value
            {
                shorten(text, base_url);
            }
        }
        for link in &mut self.links {
            shorten(&mut link.target, base_url);
            for (name, value) in &mut link.attributes {
                if *name == attribute::TARGET
                    && let RawValue::Quoted(text) | RawValue::Bare(text) | RawValue::Typed(Value::String(text)) = value
                {
                    shorten(text, base_url);
                }
            }
            link.location.iter_mut().for_each(|location| shorten(location, base_url));
        }
        self
    }

    /// The same without the links that the entity already has, by their ids. A replacement in JSON repeats them, since
    /// a reading shows them; only others would be a change. In text any link is refused (C-163).
    #[must_use]
    pub fn without_links(mut self, is_present: impl Fn(&str) -> bool) -> Self {
        self.links.retain(|link| !link.id().is_some_and(|id| is_present(&id)));
        self
    }
}

fn shorten(text: &mut String, base_url: &str) {
    if let Ok(path) = local_path(text, base_url)
        && path.len() < text.len()
    {
        *text = path.to_owned();
    }
}

/// A link that is given with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkRequest {
    /// What it points at: a URI reference.
    pub target: String,
    /// The kind (and mixins) of the target, as far as the client says.
    pub target_kinds: Vec<CategoryId>,
    /// The path the link should have (`self`).
    pub location: Option<String>,
    /// Kind and mixins of the link.
    pub categories: Vec<CategoryReference>,
    /// Attributes of the link.
    pub attributes: Vec<(AttributeName, RawValue)>,
}

impl LinkRequest {
    /// The link's identifier, if the client gives one.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.attributes.iter().find(|(name, _)| *name == attribute::ID).and_then(|(_, value)| value.text())
    }
}

/// The invocation of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionRequest {
    /// The action.
    pub action: CategoryReference,
    /// Its parameters.
    pub attributes: Vec<(AttributeName, RawValue)>,
}

/// What the members of a listing must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Categories, all of which a member carries.
    pub categories: Vec<CategoryReference>,
    /// Attributes, all of which a member has with exactly that value.
    pub attributes: Vec<(AttributeName, RawValue)>,
}

impl Filter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.attributes.is_empty()
    }
}

/// An entity that a client points at. See [`crate::parse::local_path`] for what a location means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityReference {
    /// By URL or path.
    Location(String),
    /// By `occi.core.id`.
    Id(String),
}
