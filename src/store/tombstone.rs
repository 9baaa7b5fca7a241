//! What was there and is not any more, so that a client which asks again hears "gone" and not "never heard of".

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{DbConnection, StoreError, Timestamp, entity::EntityId, member::ProjectId, schema::tombstones};

/// For how long it is told.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Remembers that the entity was there, and forgets those of long ago.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, project: ProjectId, id: EntityId) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let oldest = now.0.saturating_sub(i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX));
    diesel::delete(tombstones::table.filter(tombstones::removed_at.lt(oldest))).execute(connection)?;
    diesel::insert_into(tombstones::table)
        .values((
            tombstones::id.eq(id.to_string()),
            tombstones::project_id.eq(project.0.to_string()),
            tombstones::removed_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whether the project had an entity of this id a while ago.
///
/// # Errors
/// The database failed.
pub fn exists(connection: &mut DbConnection, project: ProjectId, id: EntityId) -> Result<bool, StoreError> {
    let found: Option<String> = tombstones::table
        .filter(tombstones::id.eq(id.to_string()))
        .filter(tombstones::project_id.eq(project.0.to_string()))
        .select(tombstones::id)
        .get_result(connection)
        .optional()?;
    Ok(found.is_some())
}
