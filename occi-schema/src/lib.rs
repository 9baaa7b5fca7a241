//! The OCCI model, its renderings and its standard extensions, without I/O.
//!
//! A request passes through here in three steps: [`parse`] turns bytes and header fields into a request in the client's
//! own words, `Model::resolve_*` turns that into what it means to the [`Model`] (or a [`Refusal`]), and [`render`]
//! turns an answer into bytes and header fields again. The standard's extensions are data, one file each, in
//! `extensions/`.
#![forbid(unsafe_code)]

mod attribute;
mod category;
mod coercion;
pub mod contextualization;
mod extensions;
mod identifier;
mod limits;
mod media_type;
mod model;
pub mod parse;
mod pattern;
pub mod render;
mod resolve;
mod value;
mod version;
pub mod well_known;

pub use attribute::{AttributeDefinition, AttributeName, Change, InvalidAttributeName, Presence, ValueType};
pub use category::{Action, Category, Class, Kind, Mixin, StateMachine, Transition};
pub use coercion::BadValue;
pub use extensions::Extension;
pub use identifier::{CategoryId, InvalidCategoryId};
pub use limits::Limits;
pub use media_type::{MediaType, NotAcceptable, Purpose, UnsupportedMediaType};
pub use model::{Mode, Model, ModelError};
pub use parse::{
    ActionRequest, AttributeFlags, CategoryReference, EntityReference, EntityRequest, Filter, LinkRequest, ParseError,
};
pub use pattern::Pattern;
pub use render::{EntityView, LinkView, Rendered};
pub use resolve::{
    CurrentEntity, EntityUpdate, LinkEnds, LinkTarget, NewEntity, NewLink, Refusal, RefusalClass, ResolvedAction,
    ResolvedFilter, UserMixinDefinition,
};
pub use value::{RawValue, Value};
pub use version::{OcciVersion, UnsupportedVersion, Versions};
