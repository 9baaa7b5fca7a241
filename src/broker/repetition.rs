//! Requests that may be sent again: a client that has heard no answer repeats its request under the same
//! `Idempotency-Key`, and gets the first one's answer.

use sha2::{Digest, Sha256};

use super::{Broker, BrokerError};
use crate::{
    login::Principal,
    store::{
        DbConnection, StoreError,
        idempotency::{self, IdempotencyKey, Remembered},
        member::ProjectId,
    },
};

/// A request's key, and what makes it the same request.
#[derive(Debug, Clone)]
pub struct Repeatable {
    key: IdempotencyKey,
    fingerprint: String,
}

impl Repeatable {
    /// The request of this key that consists of these parts.
    ///
    /// # Errors
    /// The key cannot be one.
    pub fn new<'a>(key: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, BrokerError> {
        let key = key.parse().map_err(|error| BrokerError::Invalid(format!("{error}")))?;
        let mut hash = Sha256::new();
        for part in parts {
            // With lengths, so that no part can pass for a piece of another.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key, fingerprint })
    }
}

/// What is known of a request at the moment of its acceptance.
pub(super) enum Acceptance {
    /// It was accepted now.
    Now,
    /// It was accepted before, and answered so.
    Before(String),
}

/// Takes the key, first of all in the transaction that accepts the request.
pub(super) fn take(
    connection: &mut DbConnection,
    project: ProjectId,
    request: Option<&Repeatable>,
    answer: &str,
) -> Result<Acceptance, StoreError> {
    let Some(Repeatable { key, fingerprint }) = request else { return Ok(Acceptance::Now) };
    match idempotency::take(connection, project, key.as_str(), fingerprint, answer)? {
        Remembered::New => Ok(Acceptance::Now),
        Remembered::Answered(answer) => Ok(Acceptance::Before(answer)),
        Remembered::Different => Err(StoreError::Different(key.to_string())),
    }
}

impl Broker {
    /// What an earlier request of the same key was answered.
    ///
    /// # Errors
    /// The earlier request was another one.
    pub(super) async fn answered(
        &self,
        principal: &Principal,
        request: Option<&Repeatable>,
    ) -> Result<Option<String>, BrokerError> {
        let Some(Repeatable { key, fingerprint }) = request.cloned() else { return Ok(None) };
        let project = principal.project;
        let known = self
            .inner
            .db
            .read_brief(move |connection| {
                let known = idempotency::look(connection, project, key.as_str(), &fingerprint)?;
                Ok((known, key))
            })
            .await?;
        match known {
            (Remembered::New, _) => Ok(None),
            (Remembered::Answered(answer), _) => Ok(Some(answer)),
            (Remembered::Different, key) => Err(StoreError::Different(key.to_string()).into()),
        }
    }
}
