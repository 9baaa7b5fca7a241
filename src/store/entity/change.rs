//! What changes about an entity.

use std::collections::BTreeMap;

use diesel::{
    AsChangeset, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    dsl::exists,
    sql_types::{BigInt, Text},
};
use occi_schema::{AttributeName, CategoryId, Value};

use super::{
    super::{
        DbConnection, StoreError, Timestamp,
        member::ProjectId,
        row::{parse_id, to_json},
        schema::{entities, entity_mixins},
    },
    EntityId, EntityState, Facts, index, unreadable,
};

/// What is written over a row; what is `None` stays as it is.
#[derive(AsChangeset, Default)]
#[diesel(table_name = entities)]
struct Change<'a> {
    mixins: Option<String>,
    attributes: Option<String>,
    state: Option<&'a str>,
    state_message: Option<Option<&'a str>>,
    specification: Option<String>,
    backend_id: Option<Option<&'a str>>,
    facts: Option<String>,
    removal_requested_at: Option<i64>,
}

/// Every write raises the version, by which readers notice that somebody was there before them.
fn update(connection: &mut DbConnection, id: EntityId, change: &Change<'_>) -> Result<(), StoreError> {
    let change = diesel::update(entities::table.filter(entities::id.eq(id.to_string()))).set((
        change,
        entities::version.eq(entities::version + 1),
        entities::updated_at.eq(Timestamp::now().0),
    ));
    on_either!(connection, either => change.execute(either))?;
    Ok(())
}

/// Records where the entity stands.
///
/// # Errors
/// The database failed.
pub fn set_state(
    connection: &mut DbConnection,
    id: EntityId,
    state: EntityState,
    message: Option<&str>,
) -> Result<(), StoreError> {
    let change = Change { state: Some(state.as_str()), state_message: Some(message), ..Change::default() };
    update(connection, id, &change)
}

/// Whose the entity is, and where it stands.
///
/// # Errors
/// The database failed.
pub fn owner_and_state(
    connection: &mut DbConnection,
    id: EntityId,
) -> Result<Option<(ProjectId, EntityState)>, StoreError> {
    let query = entities::table.filter(entities::id.eq(id.to_string())).select((entities::project_id, entities::state));
    let row: Option<(String, String)> = on_either!(connection, either => query.get_result(either)).optional()?;
    row.map(|(project, state)| {
        let state = state.parse().map_err(|reason| unreadable(&id.to_string(), reason))?;
        Ok((ProjectId(parse_id("entities", &project)?), state))
    })
    .transpose()
}

/// Records progress without a change of state.
///
/// # Errors
/// The database failed.
pub fn set_message(connection: &mut DbConnection, id: EntityId, message: Option<&str>) -> Result<(), StoreError> {
    update(connection, id, &Change { state_message: Some(message), ..Change::default() })
}

/// Records what the entity carries and says of itself; the ends of a link stay.
///
/// # Errors
/// The database failed.
pub fn set_description(
    connection: &mut DbConnection,
    id: EntityId,
    mixins: &[CategoryId],
    attributes: &BTreeMap<AttributeName, Value>,
) -> Result<(), StoreError> {
    let key = id.to_string();
    let change = Change {
        mixins: Some(to_json("entities", &key, &mixins)?),
        attributes: Some(to_json("entities", &key, attributes)?),
        ..Change::default()
    };
    update(connection, id, &change)?;
    index::replace(connection, &key, mixins, attributes)
}

/// Records what the entity's site is asked for.
///
/// # Errors
/// The database failed.
pub fn set_specification(
    connection: &mut DbConnection,
    id: EntityId,
    specification: &serde_json::Value,
) -> Result<(), StoreError> {
    let change = Change { specification: Some(specification.to_string()), ..Change::default() };
    update(connection, id, &change)
}

/// Takes a mixin off every entity of the project that carries it, those that are being removed too. Answers how many
/// carried it. Attributes stay: mixins that come and go have none.
///
/// # Errors
/// The database failed.
pub fn take_mixin_off(
    connection: &mut DbConnection,
    project: ProjectId,
    mixin: &CategoryId,
) -> Result<usize, StoreError> {
    const CARRIERS: &str = "project_id = $3 AND id IN (SELECT entity_id FROM entity_mixins WHERE mixin = $2)";
    let (project, now) = (project.0.to_string(), Timestamp::now().0);
    // The remaining mixins as a document, which each database writes in its own way. SQLite numbers parameters in the
    // order in which they occur first.
    let rest = match connection {
        DbConnection::Postgres(_) => "SELECT coalesce(json_agg(m.mixin ORDER BY m.position)::text, '[]')",
        DbConnection::Sqlite(_) => "SELECT json_group_array(m.mixin ORDER BY m.position)",
    };
    let statement = format!(
        "UPDATE entities SET version = version + 1, updated_at = $1, \
         mixins = ({rest} FROM entity_mixins AS m WHERE m.entity_id = entities.id AND m.mixin <> $2) WHERE {CARRIERS}"
    );
    let update =
        diesel::sql_query(statement).bind::<BigInt, _>(now).bind::<Text, _>(mixin.as_str()).bind::<Text, _>(&project);
    let carried = match connection {
        DbConnection::Postgres(connection) => update.execute(connection)?,
        DbConnection::Sqlite(connection) => update.execute(connection)?,
    };
    let carrier =
        entities::table.filter(entities::id.eq(entity_mixins::entity_id)).filter(entities::project_id.eq(project));
    diesel::delete(entity_mixins::table.filter(entity_mixins::mixin.eq(mixin.as_str())).filter(exists(carrier)))
        .execute(connection)?;
    Ok(carried)
}

/// Records what the backend calls the entity's object, if there is one.
///
/// # Errors
/// The database failed.
pub fn set_backend_id(connection: &mut DbConnection, id: EntityId, backend_id: Option<&str>) -> Result<(), StoreError> {
    update(connection, id, &Change { backend_id: Some(backend_id), ..Change::default() })
}

/// Records what the backend told.
///
/// # Errors
/// The database failed.
pub fn set_facts(connection: &mut DbConnection, id: EntityId, facts: &Facts) -> Result<(), StoreError> {
    let facts = to_json("entities", &id.to_string(), facts)?;
    update(connection, id, &Change { facts: Some(facts), ..Change::default() })
}

/// Hides the entity from its owner from now on; its row goes when nothing of it is left at its site.
///
/// # Errors
/// The database failed.
pub fn request_removal(connection: &mut DbConnection, id: EntityId) -> Result<(), StoreError> {
    update(connection, id, &Change { removal_requested_at: Some(Timestamp::now().0), ..Change::default() })
}
