//! What happened: an append-only log, sealed into a chain of hashes.

use uuid::Uuid;

use super::{DbConnection, StoreError, Timestamp, entity::EntityId, member::ProjectId, reservation::Usage};

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
    /// By how much the project's usage changes with it.
    pub usage: Usage,
    /// More, for people and programs.
    pub body: serde_json::Map<String, serde_json::Value>,
}

/// Something that happened, in its place.
#[derive(Debug, Clone)]
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

/// Writes the event down; it gets its place with the next [`seal`].
///
/// # Errors
/// The database failed.
pub fn record(_connection: &mut DbConnection, _event: &NewEvent) -> Result<(), StoreError> {
    Ok(())
}

/// Gives up to `most` unsealed events their places, and answers how many that were. One process seals at a time.
///
/// # Errors
/// The database failed.
pub fn seal(_connection: &mut DbConnection, _most: i64) -> Result<usize, StoreError> {
    Ok(0)
}

/// Sealed events after a place, of one project or of all, in order, at most `most`.
///
/// # Errors
/// The database failed.
pub fn after(
    _connection: &mut DbConnection,
    _project: Option<ProjectId>,
    _position: i64,
    _most: i64,
) -> Result<Vec<SealedEvent>, StoreError> {
    Ok(Vec::new())
}

/// The last place that is taken; 0 in an empty log.
///
/// # Errors
/// The database failed.
pub fn last_position(_connection: &mut DbConnection) -> Result<i64, StoreError> {
    Ok(0)
}
