//! Why a request is refused, and with which status (section 9).

use thiserror::Error;

use crate::attribute::AttributeName;
use crate::category::Class;
use crate::coercion::BadValue;
use crate::identifier::CategoryId;
use crate::model::{Mode, ModelError};

/// A well-formed request does not fit the model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nothing of that identity is defined.
    #[error("{0} is not offered here: see the query interface at /-/")]
    UnknownCategory(CategoryId),
    /// The client is wrong about the class of a category.
    #[error("{id} is not a {said} but a {actual}: correct its class", said = .said.as_str(), actual = .actual.as_str())]
    WrongClass {
        /// The category.
        id: CategoryId,
        /// What the client says it is.
        said: Class,
        /// What it is.
        actual: Class,
    },
    /// The client does not say the class of a category, which GFD.229 section 4.1 demands (strict mode; A-42).
    #[error("{0} stands without its class: add class=\"kind\", \"mixin\" or \"action\"")]
    NoClass(CategoryId),
    /// An action stands where kinds and mixins belong.
    #[error("{0} is an action: invoke it with ?action= instead")]
    ActionAsCategory(CategoryId),
    /// No kind is named.
    #[error("the request names no kind: name exactly one")]
    NoKind,
    /// Two kinds are named.
    #[error("the request names two kinds, {0} and {1}: name exactly one")]
    TwoKinds(CategoryId, CategoryId),
    /// The kind is not that of the collection.
    #[error("this is the collection of {expected}: create {found} at its own location")]
    WrongKind {
        /// The kind of the collection.
        expected: CategoryId,
        /// The kind that was named.
        found: CategoryId,
    },
    /// The kind cannot be instantiated.
    #[error("{0} is abstract: name a kind that inherits from it")]
    AbstractKind(CategoryId),
    /// An entity keeps its kind for life.
    #[error("the entity is a {current} and cannot become a {requested}: create a new one")]
    KindChange {
        /// Its kind.
        current: CategoryId,
        /// The kind that was named.
        requested: CategoryId,
    },
    /// The mixin does not apply to the kind.
    #[error("{mixin} cannot be put on a {kind}: leave it out")]
    MixinNotApplicable {
        /// The mixin.
        mixin: CategoryId,
        /// The kind.
        kind: CategoryId,
    },
    /// Two templates of one family are named.
    #[error("{first} and {second} are both of {family}: name one of them")]
    TwoTemplates {
        /// The family.
        family: CategoryId,
        /// One of them.
        first: CategoryId,
        /// The other.
        second: CategoryId,
    },
    /// The operating system of an entity cannot be replaced.
    #[error("the entity runs {current}, which cannot be replaced by {requested}: create a new one")]
    FixedTemplate {
        /// Its template.
        current: CategoryId,
        /// The template that was named.
        requested: CategoryId,
    },
    /// No category of the request defines the attribute.
    #[error("{attribute} is not an attribute of {owner} or of the named mixins: leave it out or name its mixin")]
    UnknownAttribute {
        /// The attribute or parameter.
        attribute: AttributeName,
        /// The kind or action.
        owner: CategoryId,
    },
    /// A filter names an attribute that nothing defines.
    #[error("{0} is not an attribute of anything here: see the query interface at /-/")]
    UnknownFilterAttribute(AttributeName),
    /// An attribute is given twice with different values.
    #[error("{0} is given twice with different values: give it once")]
    AttributeTwice(AttributeName),
    /// Two attributes that mean the same have different values.
    #[error("{first} and {second} mean the same but have different values: give one of them")]
    SameMeaning {
        /// One of them.
        first: AttributeName,
        /// The other.
        second: AttributeName,
    },
    /// A required attribute has no value.
    #[error("{attribute} is missing: {category} requires it")]
    MissingAttribute {
        /// The attribute or parameter.
        attribute: AttributeName,
        /// The category that requires it.
        category: CategoryId,
    },
    /// A client tries to write what it may not.
    #[error("{0} cannot be changed by clients: leave it out")]
    ImmutableAttribute(AttributeName),
    /// A template governs the attribute, and nothing else would change.
    #[error("{attribute} is set by {template}: choose another template to change it")]
    GovernedByTemplate {
        /// The attribute.
        attribute: AttributeName,
        /// The template.
        template: CategoryId,
    },
    /// A value does not fit.
    #[error(transparent)]
    BadValue(#[from] BadValue),
    /// A link is given where none may be (a replacement, or within a link).
    #[error("links cannot be given here: create the link at its own location")]
    LinkNotAllowed,
    /// A link starts at something that is no path of this server (ABUSE A32).
    #[error("a link cannot start at `{0}`: give the path of a resource of this server as occi.core.source")]
    ForeignSource(String),
    /// A link of that kind points at something else than a path of this server, or any link at no plain path or URL.
    #[error("a {kind} cannot point at `{target}`: give the path of a resource of this server")]
    ForeignTarget {
        /// The link's kind.
        kind: CategoryId,
        /// The start of the target.
        target: String,
    },
    /// A link points at its own source.
    #[error("a link cannot point back at its own source {0}: name another target")]
    SelfLink(String),
    /// The kind of a link cannot be told.
    #[error("no kind of link points at `{0}`: name the link's kind as category and the target's kind as rel")]
    UnclearLink(String),
    /// The category of a link is no kind of link.
    #[error("{0} is no kind of link: name one that inherits from core#link")]
    NotALink(CategoryId),
    /// The link's kind does not point at such targets.
    #[error("a {link} cannot point at a {target}")]
    WrongTarget {
        /// The link's kind.
        link: CategoryId,
        /// The target's kind.
        target: CategoryId,
    },
    /// The action in the URL is not the one in the body.
    #[error("the URL asks for the action `{query}`, the body for {body}: make them agree")]
    ActionMismatch {
        /// The term in the URL.
        query: String,
        /// The action in the body.
        body: CategoryId,
    },
    /// The category is no action.
    #[error("{0} is not an action: name one that the entity offers")]
    NotAnAction(CategoryId),
    /// The action is not one of the entity's.
    #[error("a {kind} with these mixins has no action {action}")]
    ActionNotOffered {
        /// The action.
        action: CategoryId,
        /// The entity's kind.
        kind: CategoryId,
    },
    /// A link starts at a resource of the wrong kind.
    #[error("a {link} cannot start at a {source_kind}")]
    WrongSource {
        /// The link's kind.
        link: CategoryId,
        /// The source's kind.
        source_kind: CategoryId,
    },
    /// A user mixin has attributes or actions, which GFD.185 section 3.4.1 does not support (strict mode; A-50).
    #[error("{0} has attributes or actions: users can define mixins without, as tags")]
    MoreThanATag(CategoryId),
    /// Only mixins can be defined by users.
    #[error("{0} is a {class}: users can define mixins only", class = .1.as_str())]
    NotAMixin(CategoryId, Class),
    /// A user mixin has no location.
    #[error("{0} has no location: add one, such as location=\"/my_stuff/\"")]
    NoLocation(CategoryId),
    /// A user mixin is in a scheme of the standard.
    #[error("{0} is in a scheme that is reserved for the standard: use a scheme of your own")]
    ReservedScheme(CategoryId),
    /// A user mixin would be a template, which only the provider can back with something.
    #[error("{mixin} cannot depend on {family}: templates are made by the provider")]
    UserTemplate {
        /// The mixin.
        mixin: CategoryId,
        /// The family or template it would depend on.
        family: CategoryId,
    },
    /// A user mixin clashes with what is defined, or has a malformed location.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The kind of status that a [`Refusal`] becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// 400.
    BadRequest,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409.
    Conflict,
}

impl RefusalClass {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
        }
    }
}

impl Refusal {
    /// The class for deployed clients (section 9.1 rule 10).
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::MixinNotApplicable { .. }
            | Self::ImmutableAttribute(_)
            | Self::ReservedScheme(_)
            | Self::UserTemplate { .. } => RefusalClass::Forbidden,
            Self::FixedTemplate { .. } | Self::SameMeaning { .. } | Self::GovernedByTemplate { .. } => {
                RefusalClass::Conflict
            }
            Self::Model(ModelError::NoSuchMixin(_)) => RefusalClass::NotFound,
            Self::Model(
                ModelError::IdentifierTaken(_) | ModelError::LocationTaken { .. } | ModelError::StillNeeded { .. },
            ) => RefusalClass::Conflict,
            _ => RefusalClass::BadRequest,
        }
    }

    /// The class in a mode. Strict servers answer 404 for unknown names and actions, as GFD.185 section 3.6.8 says
    /// and 400 for a mixin that does not apply, as GFD.221 section 5.3.4 says.
    #[must_use]
    pub fn class_in(&self, mode: Mode) -> RefusalClass {
        match self {
            _ if mode == Mode::Interop => self.class(),
            Self::UnknownCategory(_)
            | Self::UnknownAttribute { .. }
            | Self::UnknownFilterAttribute(_)
            | Self::ActionNotOffered { .. } => RefusalClass::NotFound,
            Self::MixinNotApplicable { .. } => RefusalClass::BadRequest,
            _ => self.class(),
        }
    }
}
