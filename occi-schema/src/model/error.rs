//! Why a model does not take a change.

use thiserror::Error;

use crate::attribute::AttributeName;
use crate::extensions::Extension;
use crate::identifier::CategoryId;

/// A category cannot be added to or removed from a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// Another category has the identifier.
    #[error("{0} is already defined: choose another scheme or term")]
    IdentifierTaken(CategoryId),
    /// Another category has the location.
    #[error("{id} cannot be at {location}: {holder} is already there; choose another location")]
    LocationTaken {
        /// The category to be added.
        id: CategoryId,
        /// The location.
        location: String,
        /// The category that has it.
        holder: CategoryId,
    },
    /// The location is not a plain path.
    #[error(
        "{id} cannot be at `{location}`: a location starts and ends with /, is not / itself or below /-/ or \
         /.well-known/, and has letters, digits, `-`, `_`, `.` and `~` between"
    )]
    BadLocation {
        /// The category to be added.
        id: CategoryId,
        /// The location.
        location: String,
    },
    /// The category refers to one that does not exist.
    #[error("{id} refers to {missing}, which is not defined: define that first")]
    Dangling {
        /// The category to be added.
        id: CategoryId,
        /// What it refers to.
        missing: CategoryId,
    },
    /// The category names an attribute twice.
    #[error("{id} defines the attribute {name} twice: keep one")]
    AttributeTwice {
        /// The category to be added.
        id: CategoryId,
        /// The attribute.
        name: AttributeName,
    },
    /// There is no such mixin.
    #[error("{0} is not a mixin of this server")]
    NoSuchMixin(CategoryId),
    /// Another mixin depends on the one to be removed.
    #[error("{id} cannot be removed: {dependent} depends on it; remove that first")]
    StillNeeded {
        /// The mixin to be removed.
        id: CategoryId,
        /// A mixin that depends on it.
        dependent: CategoryId,
    },
    /// An extension's file is broken, which is a defect of this crate.
    #[error("the extension {extension:?} cannot be read: {reason}")]
    BrokenExtension {
        /// The extension.
        extension: Extension,
        /// What is wrong.
        reason: String,
    },
}
