//! What happened: an append-only log, sealed into a chain of hashes.
//!
//! An event is written in the transaction of what it tells ([`record`]) and gets its place in the log a little later,
//! with the next [`seal`]: one process at a time gives places, so that they have no gaps, and who has seen everything up
//! to a place misses nothing. [`verify`] finds out whether anything was changed, removed or exchanged since.
//!
//! The log is shown to people and kept as evidence, so that no secret may be in it.

mod chain;
mod seal;
mod verify;
mod withheld;

use std::sync::Mutex;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, dsl::sql, sql_types::BigInt};
pub use seal::seal;
use uuid::{ContextV7, Uuid};
pub use verify::{Fault, Verification, verify};

use super::{
    DbConnection, StoreError, Timestamp,
    entity::EntityId,
    member::ProjectId,
    reservation::Usage,
    row::parse_id,
    schema::{events, revisions},
};
use crate::request::Actor;

/// The longest body, in bytes of JSON.
pub const LONGEST_BODY: usize = 16 << 10;
/// The longest kind and the longest id of a request, in bytes.
const LONGEST_NAME: usize = 255;
/// The row of `revisions` that counts sealed events.
const TOPIC: &str = "events";
/// The field of a body that tells the change of usage.
const USAGE: &str = "usage";
/// The field of a body that tells who did it.
pub const ACTOR: &str = "actor";

/// Something that happened, to be remembered in the transaction in which it happens.
#[derive(Debug, Clone, Default)]
pub struct NewEvent {
    /// What: `entity.created`.
    pub kind: &'static str,
    /// Whose project it concerns.
    pub project: Option<ProjectId>,
    /// To which entity.
    pub entity: Option<EntityId>,
    /// On whose request.
    pub request_id: Option<String>,
    /// Who did it.
    pub actor: Option<Actor>,
    /// By how much the project's usage changes with it.
    pub usage: Usage,
    /// More, for people and programs.
    pub body: serde_json::Map<String, serde_json::Value>,
}

/// Something that happened, in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedEvent {
    /// Its place in the log, from 1 without gaps.
    pub position: i64,
    /// Its id.
    pub id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub kind: String,
    /// Whose project it concerns.
    pub project: Option<ProjectId>,
    /// To which entity.
    pub entity: Option<EntityId>,
    /// On whose request.
    pub request_id: Option<String>,
    /// More, with the change of usage as `usage` where there is one.
    pub body: serde_json::Value,
}

/// Writes the event down; it gets its place with the next [`seal`]. What its body holds under the name of a secret is
/// left out.
///
/// # Errors
/// [`StoreError::Refused`] if it is longer than [`LONGEST_BODY`], has a `usage` or an `actor` in its body, or changes the usage of no
/// project; the database failed.
pub fn record(connection: &mut DbConnection, event: &NewEvent) -> Result<(), StoreError> {
    let refused = |reason: &str| Err(StoreError::Refused(format!("event {}: {reason}; this is a defect", event.kind)));
    if event.body.contains_key(USAGE) || event.body.contains_key(ACTOR) {
        return refused("its body has a `usage` or an `actor`, which is for the event's own");
    }
    if event.usage != Usage::default() && event.project.is_none() {
        return refused("it changes the usage of no project");
    }
    if event.kind.len() > LONGEST_NAME || event.request_id.as_ref().is_some_and(|id| id.len() > LONGEST_NAME) {
        return refused("its kind or its request's id is longer than 255 bytes");
    }
    let at = Timestamp::now();
    let id = id_at(at).to_string();
    let mut body = event.body.clone();
    if event.usage != Usage::default() {
        body.insert(USAGE.into(), serde_json::json!(event.usage));
    }
    if let Some(actor) = &event.actor {
        body.insert(ACTOR.into(), serde_json::json!(actor));
    }
    let mut body = serde_json::Value::Object(body);
    withheld::withhold_secrets(&mut body, event.kind);
    let body = body.to_string();
    if body.len() > LONGEST_BODY {
        return refused(&format!("its body has {} bytes, and {LONGEST_BODY} are the most", body.len()));
    }
    let row = (
        events::id.eq(id),
        events::at.eq(at.0),
        events::kind.eq(event.kind),
        events::project_id.eq(event.project.map(|project| project.0.to_string())),
        events::entity_id.eq(event.entity.map(|entity| entity.to_string())),
        // PostgreSQL has no zeros in texts.
        events::request_id.eq(event.request_id.as_ref().map(|id| id.replace('\0', "\u{fffd}"))),
        events::body.eq(body),
    );
    on_either!(connection, either => diesel::insert_into(events::table).values(row).execute(either))?;
    Ok(())
}

/// An id later than all that this process has given before: events are sealed in the order of their ids.
fn id_at(at: Timestamp) -> Uuid {
    static CONTEXT: Mutex<Option<ContextV7>> = Mutex::new(None);
    let mut context = CONTEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let context = context.get_or_insert_with(|| ContextV7::new().with_additional_precision());
    let micros = u64::try_from(at.0).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1000;
    Uuid::new_v7(uuid::Timestamp::from_unix(&*context, micros / 1_000_000, nanos))
}

/// The columns of a [`SealedEvent`].
#[derive(Queryable)]
struct Row {
    id: String,
    at: i64,
    kind: String,
    project_id: Option<String>,
    entity_id: Option<String>,
    request_id: Option<String>,
    body: String,
    position: Option<i64>,
}

impl Row {
    const COLUMNS: (
        events::id,
        events::at,
        events::kind,
        events::project_id,
        events::entity_id,
        events::request_id,
        events::body,
        events::position,
    ) = (
        events::id,
        events::at,
        events::kind,
        events::project_id,
        events::entity_id,
        events::request_id,
        events::body,
        events::position,
    );

    fn read(self) -> Result<SealedEvent, StoreError> {
        let parse = |id: String| parse_id("events", &id);
        Ok(SealedEvent {
            position: self.position.unwrap_or(0),
            id: parse(self.id)?,
            at: Timestamp(self.at),
            kind: self.kind,
            project: self.project_id.map(parse).transpose()?.map(ProjectId),
            entity: self.entity_id.map(parse).transpose()?.map(EntityId),
            request_id: self.request_id,
            // One that somebody has damaged must not hide those after it.
            body: serde_json::from_str(&self.body).unwrap_or(serde_json::Value::String(self.body)),
        })
    }
}

/// Sealed events after a place, of one project or of all, in order, at most `most`.
///
/// # Errors
/// The database failed.
pub fn after(
    connection: &mut DbConnection,
    project: Option<ProjectId>,
    position: i64,
    most: i64,
) -> Result<Vec<SealedEvent>, StoreError> {
    let later = events::table
        .filter(events::position.gt(position))
        .order(events::position.asc())
        .limit(most)
        .select(Row::COLUMNS);
    let rows: Vec<Row> = match project {
        Some(project) => {
            let of_project = later.filter(events::project_id.eq(project.0.to_string()));
            on_either!(connection, either => of_project.load(either))?
        }
        None => on_either!(connection, either => later.load(either))?,
    };
    rows.into_iter().map(Row::read).collect()
}

/// The newest sealed events, of one project or of all, in order, at most `most`.
///
/// # Errors
/// The database failed.
pub fn newest(
    connection: &mut DbConnection,
    project: Option<ProjectId>,
    most: i64,
) -> Result<Vec<SealedEvent>, StoreError> {
    // Backwards, PostgreSQL would begin with those that have no place.
    let backwards = events::table
        .filter(events::position.is_not_null())
        .order(events::position.desc())
        .limit(most)
        .select(Row::COLUMNS);
    let rows: Vec<Row> = match project {
        Some(project) => {
            let of_project = backwards.filter(events::project_id.eq(project.0.to_string()));
            on_either!(connection, either => of_project.load(either))?
        }
        None => on_either!(connection, either => backwards.load(either))?,
    };
    rows.into_iter().rev().map(Row::read).collect()
}

/// The seal of the event at this place.
///
/// # Errors
/// The database failed.
pub fn seal_at(connection: &mut DbConnection, position: i64) -> Result<Option<String>, StoreError> {
    let query = events::table.filter(events::position.eq(position)).select(events::seal);
    let found: Option<Option<String>> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.flatten())
}

/// The last place that is taken; 0 in an empty log.
///
/// # Errors
/// The database failed.
pub fn last_position(connection: &mut DbConnection) -> Result<i64, StoreError> {
    let query = events::table
        .filter(events::position.is_not_null())
        .order(events::position.desc())
        .limit(1)
        .select(events::position);
    let found: Option<Option<i64>> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.flatten().unwrap_or(0))
}

/// How many events were sealed as [`seal`] has counted them; that many are in the log unless its end is missing.
fn sealed(connection: &mut DbConnection) -> Result<i64, StoreError> {
    let query = revisions::table.filter(revisions::topic.eq(TOPIC)).select(revisions::revision);
    let found: Option<i64> = on_either!(connection, either => query.get_result(either).optional())?;
    Ok(found.unwrap_or(0))
}

/// Sets the clock of this process right: it goes by PostgreSQL's, so that all replicas have one time whatever their
/// hosts' clocks say, and in any case goes on from the newest event.
pub(super) fn set_clock(connection: &mut DbConnection) -> Result<(), StoreError> {
    if let DbConnection::Postgres(connection) = connection {
        let clock = sql::<BigInt>("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)");
        Timestamp::go_by(Timestamp(diesel::select(clock).get_result(connection)?));
    }
    // Ids begin with their time.
    let newest = events::table.order(events::id.desc()).limit(1).select(events::at);
    let found: Option<i64> = on_either!(connection, either => newest.get_result(either).optional())?;
    if let Some(at) = found {
        Timestamp::not_before(Timestamp(at));
    }
    Ok(())
}

/// How many events have no place yet.
///
/// # Errors
/// The database failed.
pub fn unsealed(connection: &mut DbConnection) -> Result<i64, StoreError> {
    Ok(events::table.filter(events::position.is_null()).count().get_result(connection)?)
}
