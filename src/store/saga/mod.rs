//! Sagas: logged sequences of steps. Every write of an owner carries the fence that it was given with the claim, so
//! that an owner who was paused for too long cannot write any more.
//!
//! A saga waits (never begun), is held (an owner works on it), pauses (begun, to be tried again at `run_at`), or has
//! ended. Only waiting ones can be dropped without a trace at their site.

mod claim;
mod log;
mod progress;

use std::{collections::BTreeMap, str::FromStr};

pub use claim::{Claim, active, claim, due, expired, release, started_since, waiting};
use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl};
pub use log::{Line, log};
#[cfg(test)]
pub use progress::events;
pub use progress::{
    Position, advance, check_fence, drop_if_waiting, forget_old, is_cancelled, lock, mark_asked, postpone,
    request_cancel,
};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    entity::EntityId,
    row::{parse_id, parse_json},
    schema::sagas,
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
    /// Where it works.
    pub site: String,
    /// Under which rules it waits for its turn.
    pub operation: &'static str,
    /// Who goes first: [`PRIORITY_USER`] or [`PRIORITY_INTERNAL`].
    pub priority: i32,
    /// When it is not worth beginning any more.
    pub expires_at: Option<Timestamp>,
    /// On whose request.
    pub request_id: Option<String>,
    /// The brokers that the request has come through.
    pub trail: Option<String>,
}

/// A tenant asks.
pub const PRIORITY_USER: i32 = 0;
/// A tenant has asked, and it has begun: what is half done goes before what is not begun.
pub const PRIORITY_BEGUN: i32 = 1;
/// The system itself asks, or something is being undone.
pub const PRIORITY_INTERNAL: i32 = 2;

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
    /// Where it works.
    pub site: String,
    /// Under which rules it waits.
    pub operation: String,
    /// Who goes first.
    pub priority: i32,
    /// When it was begun first.
    pub begun_at: Option<Timestamp>,
    /// When it is to go on, at the earliest.
    pub run_at: Timestamp,
    /// When its site was last asked to make something, before it was claimed this time: it may have been made although
    /// nobody heard so.
    pub asked_at: Option<Timestamp>,
    /// On whose request.
    pub request_id: Option<String>,
    /// The brokers that the request has come through.
    pub trail: Option<String>,
    /// Whether an owner works on it.
    pub held: bool,
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
    trail: Option<String>,
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
            begun_at: self.begun_at.map(Timestamp),
            run_at: Timestamp(self.run_at),
            asked_at: self.asked_at.map(Timestamp),
            held: self.owner.is_some(),
            site: self.site,
            operation: self.operation,
            priority: self.priority,
            request_id: self.request_id,
            trail: self.trail,
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
        site: saga.site.clone(),
        operation: saga.operation.to_owned(),
        priority: saga.priority,
        expires_at: saga.expires_at.map(|at| at.0),
        begun_at: None,
        asked_at: None,
        request_id: saga.request_id.clone(),
        trail: saga.trail.clone(),
    };
    let new = diesel::insert_into(sagas::table).values(row);
    on_either!(connection, either => new.execute(either))?;
    Ok(())
}

/// The entity's unfinished sagas, the oldest first.
///
/// # Errors
/// The database failed.
pub fn unfinished_of(connection: &mut DbConnection, entity: EntityId) -> Result<Vec<Saga>, StoreError> {
    let query = sagas::table
        .filter(sagas::entity_id.eq(entity.to_string()))
        .filter(sagas::state.eq_any(UNFINISHED))
        .order((sagas::created_at.asc(), sagas::id.asc()));
    let rows: Vec<Row> = on_either!(connection, either => query.load(either))?;
    rows.into_iter().map(Row::saga).collect()
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

/// How many sagas are in which state, under which operation: for people.
///
/// # Errors
/// The database failed.
pub fn census(connection: &mut DbConnection) -> Result<BTreeMap<(String, String), i64>, StoreError> {
    let rows: Vec<(String, String, i64)> = sagas::table
        .filter(sagas::state.eq_any(UNFINISHED))
        .group_by((sagas::state, sagas::operation))
        .select((sagas::state, sagas::operation, diesel::dsl::count_star()))
        .load(connection)?;
    Ok(rows.into_iter().map(|(state, operation, count)| ((state, operation), count)).collect())
}

/// How many sagas wait at the same site under the same rules and go before this one.
///
/// # Errors
/// The database failed.
pub fn before_in_queue(connection: &mut DbConnection, saga: &Saga) -> Result<i64, StoreError> {
    Ok(sagas::table
        .filter(sagas::state.eq_any(UNFINISHED))
        .filter(sagas::begun_at.is_null())
        .filter(sagas::site.eq(&saga.site))
        .filter(sagas::operation.eq(&saga.operation))
        .filter(sagas::priority.ge(saga.priority))
        .filter(sagas::id.lt(saga.id.to_string()))
        .count()
        .get_result(connection)?)
}
