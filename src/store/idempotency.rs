//! Answers to requests that may be sent again under the same key.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use thiserror::Error;

use super::{DbConnection, StoreError, Timestamp, member::ProjectId, schema::idempotency_keys};

/// For how long a key is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a key is tried that is there and is not.
const TRIES: usize = 3;
/// The longest key, in characters.
const LONGEST: usize = 255;
/// One in so many takes removes what is too old.
const REMOVES: u64 = 64;
/// So many rows at once, so that no request pays for a day's.
const REMOVED_AT_ONCE: i64 = 256;

/// What a client calls a request of its, to be recognised when it is sent again: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "an Idempotency-Key has 1 to 255 printable ASCII characters, such as a UUID; send the request with another one"
)]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.trim().is_empty() || text.len() > LONGEST || !printable {
            return Err(InvalidIdempotencyKey);
        }
        Ok(Self(text.to_owned()))
    }
}

impl IdempotencyKey {
    /// As the client has written it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
    connection: &mut DbConnection,
    project: ProjectId,
    key: &str,
    fingerprint: &str,
    answer: &str,
) -> Result<Remembered, StoreError> {
    let now = Timestamp::now();
    for _ in 0..TRIES {
        if put(connection, project, key, fingerprint, answer, now)? {
            remove_some(connection, now)?;
            return Ok(Remembered::New);
        }
        if let Some(known) = find(connection, project, key, fingerprint, now)? {
            return Ok(known);
        }
        // Somebody removes it at this moment.
    }
    Err(StoreError::NotCommitted(format!("the Idempotency-Key {key} is taken and removed all the time")))
}

/// Writes the row, unless there is one that still counts.
fn put(
    connection: &mut DbConnection,
    project: ProjectId,
    key: &str,
    fingerprint: &str,
    answer: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let values = (
        idempotency_keys::fingerprint.eq(fingerprint),
        idempotency_keys::answer.eq(answer),
        idempotency_keys::created_at.eq(now.0),
    );
    let insert = diesel::insert_into(idempotency_keys::table)
        .values((idempotency_keys::project_id.eq(project.0.to_string()), idempotency_keys::key.eq(key), values))
        .on_conflict((idempotency_keys::project_id, idempotency_keys::key))
        .do_nothing();
    // Waits for another one that has inserted the same and is not through. If that goes through, PostgreSQL lets a
    // serialisable transaction fail as one to be tried again, for it began before; then it sees the answer.
    if on_either!(connection, either => insert.execute(either))? == 1 {
        return Ok(true);
    }
    let expired = idempotency_keys::table
        .filter(idempotency_keys::project_id.eq(project.0.to_string()))
        .filter(idempotency_keys::key.eq(key))
        .filter(idempotency_keys::created_at.lt(now.minus(REMEMBERED).0));
    Ok(on_either!(connection, either => diesel::update(expired).set(values).execute(either))? == 1)
}

/// What is known of the key, without taking it.
///
/// # Errors
/// The database failed.
pub fn look(
    connection: &mut DbConnection,
    project: ProjectId,
    key: &str,
    fingerprint: &str,
) -> Result<Remembered, StoreError> {
    Ok(find(connection, project, key, fingerprint, Timestamp::now())?.unwrap_or(Remembered::New))
}

fn find(
    connection: &mut DbConnection,
    project: ProjectId,
    key: &str,
    fingerprint: &str,
    now: Timestamp,
) -> Result<Option<Remembered>, StoreError> {
    let query = idempotency_keys::table
        .filter(idempotency_keys::project_id.eq(project.0.to_string()))
        .filter(idempotency_keys::key.eq(key))
        .filter(idempotency_keys::created_at.ge(now.minus(REMEMBERED).0))
        .select((idempotency_keys::fingerprint, idempotency_keys::answer));
    let found: Option<(String, String)> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.map(|(of, answer)| if of == fingerprint { Remembered::Answered(answer) } else { Remembered::Different }))
}

/// Now and then, removes a number of keys that are too old.
fn remove_some(connection: &mut DbConnection, now: Timestamp) -> Result<(), StoreError> {
    static TAKES: AtomicU64 = AtomicU64::new(0);
    if !TAKES.fetch_add(1, Ordering::Relaxed).is_multiple_of(REMOVES) {
        return Ok(());
    }
    remove_expired(connection, now).map(|_| ())
}

/// Removes keys that are too old, not many more than 256, and answers how many.
pub(super) fn remove_expired(connection: &mut DbConnection, now: Timestamp) -> Result<usize, StoreError> {
    let oldest = now.minus(REMEMBERED).0;
    let bound = idempotency_keys::table
        .filter(idempotency_keys::created_at.lt(oldest))
        .order(idempotency_keys::created_at.asc())
        .offset(REMOVED_AT_ONCE - 1)
        .limit(1)
        .select(idempotency_keys::created_at);
    let bound: Option<i64> = on_either!(connection, either => bound.get_result(either).optional())?;
    let expired = idempotency_keys::table.filter(idempotency_keys::created_at.le(bound.unwrap_or(oldest - 1)));
    Ok(on_either!(connection, either => diesel::delete(expired).execute(either))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_printable() {
        for good in ["x", "0191f3c2-7c1f-7e0a-8000-000000000000", "a b", &"k".repeat(255)] {
            assert_eq!(good.parse::<IdempotencyKey>().unwrap().as_str(), good);
        }
        for bad in ["", " ", "a\nb", "a\tb", "é", "\u{7f}", &"k".repeat(256)] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(InvalidIdempotencyKey), "{bad:?}");
        }
    }
}
