//! How a saga goes on, in the hands of whoever holds it.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{Line, PRIORITY_INTERNAL, Saga, SagaState, UNFINISHED, log};
#[cfg(test)]
use crate::store::schema::saga_log;
use crate::store::{DbConnection, StoreError, Timestamp, entity::EntityId, schema::sagas};

/// How many ended sagas of an entity are kept.
const KEPT: i64 = 20;

/// Where a saga gets to.
#[derive(Debug, Clone)]
pub struct Position {
    /// Its state.
    pub state: SagaState,
    /// The step to be done or undone next.
    pub step: usize,
    /// What failed, if something did.
    pub error: Option<String>,
    /// Whether the site is asked to make something there.
    pub asks: bool,
}

/// Refuses to go on unless the saga is still held, and keeps others from taking it until the transaction ends. To be
/// called first in every transaction of a step.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn check_fence(connection: &mut DbConnection, id: Uuid, fence: i64) -> Result<(), StoreError> {
    let held = sagas::table.filter(sagas::id.eq(id.to_string())).filter(sagas::fence.eq(fence));
    // An update instead of a query, so that PostgreSQL locks the row against a simultaneous claim.
    let touch = diesel::update(held).set(sagas::updated_at.eq(Timestamp::now().0));
    let rows = on_either!(connection, either => touch.execute(either))?;
    expect_held(id, rows)
}

/// Moves to another step, or to another state. As [`check_fence`], it may be what a transaction of a step does first.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn advance(connection: &mut DbConnection, saga: &Saga, to: &Position) -> Result<(), StoreError> {
    let finished = matches!(to.state, SagaState::Done | SagaState::Undone);
    let now = Timestamp::now().0;
    let held = sagas::table.filter(sagas::id.eq(saga.id.to_string())).filter(sagas::fence.eq(saga.fence));
    let priority = if to.state == SagaState::Unwinding { PRIORITY_INTERNAL } else { saga.priority };
    let owner = if finished { Some(None::<String>) } else { None };
    let change = diesel::update(held).set((
        sagas::state.eq(to.state.as_str()),
        sagas::step.eq(i32::try_from(to.step).unwrap_or(i32::MAX)),
        sagas::attempts.eq(0),
        sagas::error.eq(&to.error),
        sagas::priority.eq(priority),
        owner.map(|nobody| sagas::owner.eq(nobody)),
        to.asks.then(|| sagas::asked_at.eq(now)),
        sagas::updated_at.eq(now),
    ));
    let rows = on_either!(connection, either => change.execute(either))?;
    expect_held(saga.id, rows)?;
    if finished {
        unblock(connection, saga.id)?;
    }
    Ok(())
}

/// Lets those go on that waited for the end of this saga.
fn unblock(connection: &mut DbConnection, id: Uuid) -> Result<(), StoreError> {
    let blocked = sagas::table.filter(sagas::blocked_by.eq(id.to_string()));
    let change =
        diesel::update(blocked).set((sagas::blocked_by.eq(None::<String>), sagas::run_at.eq(Timestamp::now().0)));
    on_either!(connection, either => change.execute(either))?;
    Ok(())
}

/// Forgets all but the latest ended sagas of an entity: a machine that is started and stopped every day for years would
/// collect thousands.
///
/// # Errors
/// The database failed.
pub fn forget_old(connection: &mut DbConnection, entity: EntityId) -> Result<(), StoreError> {
    let ended = sagas::table
        .filter(sagas::entity_id.eq(entity.to_string()))
        .filter(sagas::state.eq_any(["done", "undone"]))
        .order(sagas::id.desc())
        .offset(KEPT)
        .limit(KEPT)
        .select(sagas::id);
    let old: Vec<String> = on_either!(connection, either => ended.load(either))?;
    if !old.is_empty() {
        diesel::delete(sagas::table.filter(sagas::id.eq_any(old))).execute(connection)?;
    }
    Ok(())
}

/// Remembers that the site is asked to make something now, once more.
///
/// # Errors
/// The database failed.
pub fn mark_asked(connection: &mut DbConnection, id: Uuid) -> Result<(), StoreError> {
    let asked =
        diesel::update(sagas::table.filter(sagas::id.eq(id.to_string()))).set(sagas::asked_at.eq(Timestamp::now().0));
    on_either!(connection, either => asked.execute(either))?;
    Ok(())
}

/// Gives the saga back and lets the present step be tried again later.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn postpone(connection: &mut DbConnection, saga: &Saga, later: Duration, error: &str) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let held = sagas::table.filter(sagas::id.eq(saga.id.to_string())).filter(sagas::fence.eq(saga.fence));
    let rows = diesel::update(held)
        .set((
            sagas::attempts.eq(sagas::attempts + 1),
            sagas::run_at.eq(now.plus(later).0),
            sagas::owner.eq(None::<String>),
            sagas::error.eq(error),
            sagas::updated_at.eq(now.0),
        ))
        .execute(connection)?;
    expect_held(saga.id, rows)
}

/// Keeps the saga from ending until the transaction ends: before another one is written down that waits for its end.
/// Otherwise the end might not see who waits for it.
///
/// # Errors
/// It has just ended, and the transaction has to be tried again ([`crate::store::Db::write`] does); the database failed.
pub fn lock(connection: &mut DbConnection, id: Uuid) -> Result<(), StoreError> {
    if let DbConnection::Postgres(connection) = connection {
        let row = sagas::table.filter(sagas::id.eq(id.to_string())).select(sagas::id).for_update();
        let _: Vec<String> = row.load(connection)?;
    }
    Ok(())
}

/// Whether somebody wants the saga undone.
///
/// # Errors
/// The database failed.
pub fn is_cancelled(connection: &mut DbConnection, id: Uuid) -> Result<bool, StoreError> {
    let asked = sagas::table.filter(sagas::id.eq(id.to_string())).select(sagas::cancel_requested_at);
    let asked: Option<Option<i64>> = on_either!(connection, either => asked.get_result(either)).optional()?;
    Ok(asked.flatten().is_some())
}

/// Asks for the saga to be undone; its owner hears of it soon.
///
/// # Errors
/// The database failed.
pub fn request_cancel(connection: &mut DbConnection, id: Uuid) -> Result<(), StoreError> {
    let now = Timestamp::now().0;
    diesel::update(sagas::table.filter(sagas::id.eq(id.to_string())).filter(sagas::cancel_requested_at.is_null()))
        .set((sagas::cancel_requested_at.eq(now), sagas::run_at.eq(now)))
        .execute(connection)?;
    Ok(())
}

/// Ends a saga that was never begun, so that nothing of it can be anywhere; answers whether it was such a one.
///
/// # Errors
/// The database failed.
pub fn drop_if_waiting(connection: &mut DbConnection, id: Uuid, reason: &str) -> Result<bool, StoreError> {
    let waiting = sagas::table
        .filter(sagas::id.eq(id.to_string()))
        .filter(sagas::begun_at.is_null())
        .filter(sagas::state.eq_any(UNFINISHED));
    let rows = diesel::update(waiting)
        .set((
            sagas::state.eq(SagaState::Undone.as_str()),
            sagas::error.eq(reason),
            sagas::updated_at.eq(Timestamp::now().0),
        ))
        .execute(connection)?;
    if rows == 0 {
        return Ok(false);
    }
    log(connection, id, [Line { step: "", event: "dropped", detail: Some(reason) }])?;
    unblock(connection, id)?;
    Ok(true)
}

/// What the logs of the entity's sagas say, in order: step and event.
#[cfg(test)]
pub fn events(connection: &mut DbConnection, entity: EntityId) -> Result<Vec<(String, String)>, StoreError> {
    Ok(saga_log::table
        .inner_join(sagas::table)
        .filter(sagas::entity_id.eq(entity.to_string()))
        .order((saga_log::saga_id.asc(), saga_log::sequence.asc()))
        .select((saga_log::step, saga_log::event))
        .load(connection)?)
}

fn expect_held(id: Uuid, rows: usize) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Fenced(id)) }
}
