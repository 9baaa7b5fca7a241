//! From a request in the client's words to what it means to a [`crate::Model`], or a reason to refuse it.

mod action;
mod attributes;
mod categories;
mod filter;
mod links;
mod new_entity;
mod refusal;
mod update;
mod user_mixin;

pub use action::ResolvedAction;
pub use filter::ResolvedFilter;
pub use links::{LinkEnds, LinkTarget, NewLink};
pub use new_entity::NewEntity;
pub use refusal::{Refusal, RefusalClass};
pub use update::{CurrentEntity, EntityUpdate};
pub use user_mixin::UserMixinDefinition;
