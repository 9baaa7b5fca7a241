//! Kinds, mixins and actions (core, GFD.221 sections 5.3.3 to 5.3.5).

use serde::Deserialize;

use crate::attribute::{AttributeDefinition, AttributeName};
use crate::identifier::CategoryId;

/// Which of the three a category is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The type of an entity.
    Kind,
    /// A bundle of capabilities put on entities.
    Mixin,
    /// An operation that can be invoked.
    Action,
}

impl Class {
    /// The word in the renderings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Mixin => "mixin",
            Self::Action => "action",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Kind, Self::Mixin, Self::Action].into_iter().find(|class| class.as_str().eq_ignore_ascii_case(word))
    }
}

/// The type of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Identity.
    pub id: CategoryId,
    /// Display name, without commas (section 9.1 rule 3).
    pub title: Option<String>,
    /// The kind it inherits from; only `core#entity` has none.
    pub parent: Option<CategoryId>,
    /// Its own attributes; see [`crate::Model::attributes_of_kind`] for the inherited ones.
    pub attributes: Vec<AttributeDefinition>,
    /// Its own actions, in the order in which they are offered.
    pub actions: Vec<CategoryId>,
    /// The path of its collection, from `/` to `/`.
    pub location: Option<String>,
    /// Whether entities of this very kind can exist.
    pub instantiable: bool,
    /// For links: the kinds of resource it may start from; empty where any source will do.
    pub sources: Vec<CategoryId>,
    /// For links: the kinds of resource it may point at; empty where any target will do.
    pub targets: Vec<CategoryId>,
    /// The states of its entities.
    pub states: Option<StateMachine>,
}

/// A bundle of capabilities that can be put on entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixin {
    /// Identity.
    pub id: CategoryId,
    /// Display name, without commas (section 9.1 rule 3).
    pub title: Option<String>,
    /// The mixins it builds on; the text renderings show the first.
    pub depends: Vec<CategoryId>,
    /// The kinds it may be put on; empty where any will do.
    pub applies: Vec<CategoryId>,
    /// Attributes it adds, or gives defaults for.
    pub attributes: Vec<AttributeDefinition>,
    /// Actions it adds.
    pub actions: Vec<CategoryId>,
    /// The path of its collection, from `/` to `/`.
    pub location: String,
}

impl Mixin {
    /// A mixin without any capability, which is a tag.
    #[must_use]
    pub fn tag(id: CategoryId, location: impl Into<String>) -> Self {
        Self {
            id,
            title: None,
            depends: Vec::new(),
            applies: Vec::new(),
            attributes: Vec::new(),
            actions: Vec::new(),
            location: location.into(),
        }
    }

    /// A template of a family, such as `well_known::OS_TPL`, for entities of the kinds of that family.
    #[must_use]
    pub fn template(
        id: CategoryId,
        title: impl Into<String>,
        family: CategoryId,
        applies: CategoryId,
        location: impl Into<String>,
    ) -> Self {
        Self { title: Some(title.into()), depends: vec![family], applies: vec![applies], ..Self::tag(id, location) }
    }
}

/// An operation that can be invoked on entities whose kind or mixins offer it.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Identity.
    pub id: CategoryId,
    /// Display name, without commas.
    pub title: Option<String>,
    /// Its parameters.
    pub attributes: Vec<AttributeDefinition>,
}

/// The states of a kind's entities, as far as clients can move them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateMachine {
    /// The attribute that shows the state.
    pub attribute: AttributeName,
    /// The state of a new entity.
    pub initial: String,
    /// What actions do.
    pub transitions: Vec<Transition>,
}

/// One edge of a [`StateMachine`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The state before.
    pub from: String,
    /// The term of the action.
    pub action: String,
    /// The state after.
    pub to: String,
    /// The state after a failure, where the documents name one.
    pub on_failure: Option<String>,
}

impl StateMachine {
    /// The transition that an action makes from a state, if it is applicable there.
    #[must_use]
    pub fn transition(&self, state: &str, action_term: &str) -> Option<&Transition> {
        self.transitions.iter().find(|edge| edge.from == state && edge.action == action_term)
    }
}

/// Any category of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Category<'a> {
    /// A kind.
    Kind(&'a Kind),
    /// A mixin.
    Mixin(&'a Mixin),
    /// An action.
    Action(&'a Action),
}

impl<'a> Category<'a> {
    /// Identity.
    #[must_use]
    pub fn id(&self) -> &'a CategoryId {
        match self {
            Self::Kind(kind) => &kind.id,
            Self::Mixin(mixin) => &mixin.id,
            Self::Action(action) => &action.id,
        }
    }

    /// Which of the three it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Kind(_) => Class::Kind,
            Self::Mixin(_) => Class::Mixin,
            Self::Action(_) => Class::Action,
        }
    }
}
