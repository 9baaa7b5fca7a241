use occi_schema::Refusal;
use thiserror::Error;

use crate::{dispatch::QueueFull, store::StoreError};

/// Seconds after which a database in trouble may be well again.
const DATABASE_RETRY: u32 = 5;

/// Why a request is not carried out, sorted by what the client should do next.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The request as it is written cannot be carried out, now or later.
    #[error("{0}")]
    Invalid(String),
    /// The model does not allow it; which status that is depends on the mode.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something that the server keeps for itself (an immutable attribute, a mixin that does not apply), that who asks
    /// has no right to, or that is more than may be taken.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, or it belongs to somebody else, which is not told.
    #[error("there is no {0}")]
    NotFound(String),
    /// There was such a thing.
    #[error("{0} was deleted")]
    Gone(String),
    /// The entity is doing something else, or its state has no such way.
    #[error("{0}")]
    Conflict(String),
    /// Nowhere is room or a working backend at present.
    #[error("{reason}")]
    Unavailable {
        /// What is missing.
        reason: String,
        /// After how many seconds a new try is worth it.
        retry_after: u32,
    },
    /// A key was used for another request before.
    #[error("{0}")]
    DifferentRequest(String),
    /// So many entities are not done at once.
    #[error("more than {0} entities are meant; name fewer, or filter")]
    TooMany(usize),
    /// OCCI has it, this server does not.
    #[error("{0} is not implemented")]
    Unimplemented(&'static str),
    /// OCCI and this server have it, the entity's site does not.
    #[error("{0}")]
    Incapable(String),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// Something that must not happen.
    #[error("an internal error: {0}")]
    Internal(String),
}

impl From<StoreError> for BrokerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(reason) => Self::Conflict(reason),
            StoreError::OverQuota(reason) | StoreError::OverRights(reason) => Self::Forbidden(reason),
            StoreError::Different(_) => Self::DifferentRequest(error.to_string()),
            error if error.is_passing() => {
                tracing::error!(%error, "the database is in trouble");
                let reason = "the broker's database is in trouble; nothing was done".to_owned();
                Self::Unavailable { reason, retry_after: DATABASE_RETRY }
            }
            error => Self::Store(error),
        }
    }
}

impl From<QueueFull> for BrokerError {
    fn from(full: QueueFull) -> Self {
        Self::Unavailable { reason: full.to_string(), retry_after: full.retry_after }
    }
}
