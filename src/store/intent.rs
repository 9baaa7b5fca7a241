//! Intents: the row that is written before a backend is called. Its id travels to the backend as the machine's tag.

use backend::IntentTag;
use diesel::{ExpressionMethods, RunQueryDsl};
use uuid::Uuid;

use super::{DbConnection, StoreError, Timestamp, entity::EntityId, schema::intents};

/// Writes the intent down, before anything is asked of the site.
///
/// # Errors
/// The database failed.
pub fn insert(
    connection: &mut DbConnection,
    tag: IntentTag,
    entity: EntityId,
    saga: Uuid,
    site: &str,
) -> Result<(), StoreError> {
    let new = diesel::insert_into(intents::table).values((
        intents::id.eq(tag.to_string()),
        intents::entity_id.eq(entity.to_string()),
        intents::saga_id.eq(saga.to_string()),
        intents::site.eq(site),
        intents::created_at.eq(Timestamp::now().0),
    ));
    on_either!(connection, either => new.execute(either))?;
    Ok(())
}

/// Records what became of the intent: what the backend calls it, or nothing.
///
/// # Errors
/// The database failed.
pub fn settle(connection: &mut DbConnection, tag: IntentTag, backend_id: Option<&str>) -> Result<(), StoreError> {
    let settled = diesel::update(diesel::QueryDsl::filter(intents::table, intents::id.eq(tag.to_string())))
        .set((intents::machine.eq(backend_id), intents::settled_at.eq(Timestamp::now().0)));
    on_either!(connection, either => settled.execute(either))?;
    Ok(())
}
