//! Sagas: logged sequences of steps. Every write of an owner carries the fence that it was given with the lease, so
//! that an owner who was paused past its lease cannot write any more.

use std::{str::FromStr, time::Duration};

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    entity::EntityId,
    row::{parse_id, parse_json},
    schema::{saga_log, sagas},
};

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SagaState {
    /// Its next step is to be done.
    Running,
    /// A step failed for good or the saga was cancelled: steps are being undone, the last one first.
    Unwinding,
    /// All steps are done.
    Done,
    /// All steps are undone.
    Undone,
}

impl SagaState {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Unwinding => "unwinding",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

impl FromStr for SagaState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Running, Self::Unwinding, Self::Done, Self::Undone]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no saga state"))
    }
}

/// A saga to be remembered.
#[derive(Debug, Clone)]
pub struct NewSaga {
    /// Its id.
    pub id: Uuid,
    /// Which definition it follows.
    pub name: &'static str,
    /// Whose it is.
    pub entity: EntityId,
    /// The saga that must end before this one begins.
    pub blocked_by: Option<Uuid>,
    /// What its steps need to know.
    pub parameters: serde_json::Value,
}

/// A remembered saga.
#[derive(Debug, Clone)]
pub struct Saga {
    /// Its id.
    pub id: Uuid,
    /// Which definition it follows.
    pub name: String,
    /// Whose it is.
    pub entity: EntityId,
    /// Where it stands.
    pub state: SagaState,
    /// The step to be done (running) or undone (unwinding) next.
    pub step: usize,
    /// What its steps need to know.
    pub parameters: serde_json::Value,
    /// How often the present step has failed in a way that may pass.
    pub attempts: u32,
    /// The owner's right to write.
    pub fence: i64,
    /// Whether somebody wants it undone.
    pub cancelled: bool,
    /// What failed last.
    pub error: Option<String>,
    /// Since when it exists.
    pub created_at: Timestamp,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = sagas)]
struct Row {
    id: String,
    name: String,
    entity_id: String,
    blocked_by: Option<String>,
    state: String,
    step: i32,
    parameters: String,
    attempts: i32,
    run_at: i64,
    owner: Option<String>,
    fence: i64,
    cancel_requested_at: Option<i64>,
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
    site: String,
    operation: String,
    priority: i32,
    expires_at: Option<i64>,
    begun_at: Option<i64>,
    asked_at: Option<i64>,
    request_id: Option<String>,
}

impl Row {
    fn saga(self) -> Result<Saga, StoreError> {
        let unreadable = |reason: String| StoreError::Unreadable { table: "sagas", id: self.id.clone(), reason };
        Ok(Saga {
            id: parse_id("sagas", &self.id)?,
            entity: EntityId(parse_id("sagas", &self.entity_id)?),
            state: self.state.parse().map_err(unreadable)?,
            step: usize::try_from(self.step).map_err(|error| unreadable(error.to_string()))?,
            parameters: parse_json("sagas", &self.id, &self.parameters)?,
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            fence: self.fence,
            cancelled: self.cancel_requested_at.is_some(),
            created_at: Timestamp(self.created_at),
            name: self.name,
            error: self.error,
        })
    }
}

const UNFINISHED: [&str; 2] = ["running", "unwinding"];

/// Writes a saga down, due at once.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, saga: &NewSaga) -> Result<(), StoreError> {
    let now = Timestamp::now().0;
    let row = Row {
        id: saga.id.to_string(),
        name: saga.name.to_owned(),
        entity_id: saga.entity.to_string(),
        blocked_by: saga.blocked_by.map(|id| id.to_string()),
        state: SagaState::Running.as_str().to_owned(),
        step: 0,
        parameters: saga.parameters.to_string(),
        attempts: 0,
        run_at: now,
        owner: None,
        fence: 0,
        cancel_requested_at: None,
        error: None,
        created_at: now,
        updated_at: now,
        site: String::new(),
        operation: "change".into(),
        priority: 0,
        expires_at: None,
        begun_at: None,
        asked_at: None,
        request_id: None,
    };
    let new = diesel::insert_into(sagas::table).values(row);
    on_either!(connection, either => new.execute(either))?;
    Ok(())
}

/// Takes up to `limit` due sagas that nobody holds, and the right to write for each.
///
/// # Errors
/// The database failed.
pub fn claim(
    connection: &mut DbConnection,
    owner: &str,
    _lease: Duration,
    limit: i64,
) -> Result<Vec<Saga>, StoreError> {
    let now = Timestamp::now();
    let due: Vec<Row> = sagas::table
        .filter(sagas::state.eq_any(UNFINISHED))
        .filter(sagas::run_at.le(now.0))
        .filter(sagas::blocked_by.is_null())
        .filter(sagas::owner.is_null())
        .order((sagas::run_at.asc(), sagas::id.asc()))
        .limit(limit)
        .load(connection)?;
    let mut claimed = Vec::with_capacity(due.len());
    for mut row in due {
        row.fence += 1;
        diesel::update(sagas::table.filter(sagas::id.eq(&row.id)))
            .set((sagas::owner.eq(owner), sagas::fence.eq(row.fence), sagas::updated_at.eq(now.0)))
            .execute(connection)?;
        claimed.push(row.saga()?);
    }
    Ok(claimed)
}

/// Keeps the lease for longer, and says whether somebody wants the saga undone.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn renew(connection: &mut DbConnection, id: Uuid, fence: i64, _lease: Duration) -> Result<bool, StoreError> {
    let now = Timestamp::now();
    let held = sagas::table.filter(sagas::id.eq(id.to_string())).filter(sagas::fence.eq(fence));
    let rows = diesel::update(held).set(sagas::updated_at.eq(now.0)).execute(connection)?;
    expect_held(id, rows)?;
    let cancelled: Option<i64> =
        sagas::table.filter(sagas::id.eq(id.to_string())).select(sagas::cancel_requested_at).get_result(connection)?;
    Ok(cancelled.is_some())
}

/// Refuses to go on unless the lease is still held. To be called first in every transaction of a step.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn check_fence(connection: &mut DbConnection, id: Uuid, fence: i64) -> Result<(), StoreError> {
    let held = sagas::table.filter(sagas::id.eq(id.to_string())).filter(sagas::fence.eq(fence));
    // An update instead of a query, so that PostgreSQL locks the row against a simultaneous claim.
    let rows = diesel::update(held).set(sagas::updated_at.eq(Timestamp::now().0)).execute(connection)?;
    expect_held(id, rows)
}

/// Moves to another step, or to another state.
///
/// # Errors
/// [`StoreError::Fenced`] when another owner has taken over.
pub fn advance(
    connection: &mut DbConnection,
    saga: &Saga,
    state: SagaState,
    step: usize,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let finished = matches!(state, SagaState::Done | SagaState::Undone);
    let now = Timestamp::now().0;
    let held = sagas::table.filter(sagas::id.eq(saga.id.to_string())).filter(sagas::fence.eq(saga.fence));
    let rows = diesel::update(held)
        .set((
            sagas::state.eq(state.as_str()),
            sagas::step.eq(i32::try_from(step).unwrap_or(i32::MAX)),
            sagas::attempts.eq(0),
            sagas::error.eq(error),
            sagas::updated_at.eq(now),
        ))
        .execute(connection)?;
    expect_held(saga.id, rows)?;
    if finished {
        diesel::update(sagas::table.filter(sagas::blocked_by.eq(saga.id.to_string())))
            .set((sagas::blocked_by.eq(None::<String>), sagas::run_at.eq(now)))
            .execute(connection)?;
    }
    Ok(())
}

/// Gives the lease back and lets the present step be tried again later.
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

/// Gives back every lease: the caller knows that no owner is alive, or is the owner and ends.
///
/// # Errors
/// The database failed.
pub fn release(connection: &mut DbConnection, owner: Option<&str>) -> Result<(), StoreError> {
    let change = sagas::owner.eq(None::<String>);
    let unfinished = sagas::table.filter(sagas::state.eq_any(UNFINISHED));
    match owner {
        Some(owner) => diesel::update(unfinished.filter(sagas::owner.eq(owner))).set(change).execute(connection)?,
        None => diesel::update(unfinished).set(change).execute(connection)?,
    };
    Ok(())
}

/// The entity's unfinished sagas, the oldest first.
///
/// # Errors
/// The database failed.
pub fn unfinished_of(connection: &mut DbConnection, entity: EntityId) -> Result<Vec<Saga>, StoreError> {
    sagas::table
        .filter(sagas::entity_id.eq(entity.to_string()))
        .filter(sagas::state.eq_any(UNFINISHED))
        .order((sagas::created_at.asc(), sagas::id.asc()))
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::saga)
        .collect()
}

/// All unfinished sagas, the oldest first, at most `limit`: for operators.
///
/// # Errors
/// The database failed.
pub fn unfinished(connection: &mut DbConnection, limit: i64) -> Result<Vec<Saga>, StoreError> {
    sagas::table
        .filter(sagas::state.eq_any(UNFINISHED))
        .order((sagas::created_at.asc(), sagas::id.asc()))
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::saga)
        .collect()
}

/// Asks for the saga to be undone; its owner hears of it with the next heartbeat.
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

/// Writes one line of the saga's log.
///
/// # Errors
/// The database failed.
pub fn log(
    connection: &mut DbConnection,
    id: Uuid,
    step: &str,
    event: &str,
    detail: Option<&str>,
) -> Result<(), StoreError> {
    let last: Option<i64> = saga_log::table
        .filter(saga_log::saga_id.eq(id.to_string()))
        .select(diesel::dsl::max(saga_log::sequence))
        .get_result(connection)?;
    diesel::insert_into(saga_log::table)
        .values((
            saga_log::saga_id.eq(id.to_string()),
            saga_log::sequence.eq(last.unwrap_or(0) + 1),
            saga_log::step.eq(step),
            saga_log::event.eq(event),
            saga_log::detail.eq(detail),
            saga_log::at.eq(Timestamp::now().0),
        ))
        .execute(connection)?;
    Ok(())
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
