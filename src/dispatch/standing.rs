//! Where an entity stands in its queue or saga, in words that a person understands.

use super::queue::in_words;
use crate::store::{
    DbConnection, StoreError, Timestamp,
    entity::EntityId,
    saga::{self, Saga, SagaState},
};

/// More than the entity itself says of what is being done with it; nothing if nothing is.
///
/// # Errors
/// The database failed.
pub fn standing(connection: &mut DbConnection, entity: EntityId) -> Result<Option<String>, StoreError> {
    let unfinished = saga::unfinished_of(connection, entity)?;
    let Some(saga) = unfinished.first() else { return Ok(None) };
    if saga.begun_at.is_none() {
        return waiting(connection, saga).map(Some);
    }
    Ok(paused(saga))
}

fn waiting(connection: &mut DbConnection, saga: &Saga) -> Result<String, StoreError> {
    let before = saga::before_in_queue(connection, saga)?;
    let since = std::time::Duration::from_secs_f64(Timestamp::now().seconds_since(saga.created_at).max(0.0));
    let waited = in_words(since);
    Ok(match before {
        0 => format!("waiting for its turn at site {} since {waited}, as the next", saga.site),
        1 => format!("waiting for its turn at site {} since {waited}, after one other", saga.site),
        more => format!("waiting for its turn at site {} since {waited}, after {more} others", saga.site),
    })
}

fn paused(saga: &Saga) -> Option<String> {
    let seconds = saga.run_at.seconds_since(Timestamp::now());
    let reason = saga.error.as_ref()?;
    if saga.held || saga.attempts == 0 || seconds < 1.0 {
        return None;
    }
    let (times, seconds) = (saga.attempts, seconds.ceil());
    Some(match saga.state {
        SagaState::Unwinding => format!("being undone: {reason}; tried {times} times, again in {seconds} s"),
        _ => format!("{reason}; tried {times} times, again in {seconds} s"),
    })
}
