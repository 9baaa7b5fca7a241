use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What can go wrong between the broker and a backend, sorted by what the broker should do next.
#[derive(Debug, Clone, Error, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendError {
    /// No answer. The effect may or may not have happened: look by tag before trying again.
    #[error("the backend cannot be reached: {0}")]
    Unreachable(String),
    /// The backend does not let us in, whatever is asked of it. Nothing has happened.
    #[error("the backend does not accept our credentials: {0}; renew them in the site's configuration")]
    Unauthorized(String),
    /// The backend refuses this request and will refuse it again.
    #[error("the backend refuses: {0}")]
    Refused(String),
    /// The backend has no room at present.
    #[error("the backend has no room: {0}")]
    Capacity(String),
    /// The backend cannot do this at all.
    #[error("the backend cannot {0}")]
    Unsupported(String),
    /// The backend does not know the object.
    #[error("the backend does not know {0}")]
    NotFound(String),
    /// The object's state forbids the request.
    #[error("not in this state: {0}")]
    Conflict(String),
    /// The backend tried and failed.
    #[error("the backend failed: {0}")]
    Failed(String),
}

impl BackendError {
    /// Whether the fault lies between us and the backend, and not in what was asked: the same call may succeed later,
    /// when the backend is reached again or somebody has renewed the credentials.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unauthorized(_))
    }
}

/// A name that is empty, too long, or has characters that no backend should see.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{what} must be 1 to {most} characters of {allowed}")]
pub struct InvalidName {
    /// What was named.
    pub what: &'static str,
    /// The bound, in characters.
    pub most: usize,
    /// The alphabet, in words.
    pub allowed: &'static str,
}
