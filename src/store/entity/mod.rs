//! Entities: what tenants own, resources and links.

mod change;
mod index;
mod link;
#[cfg(test)]
mod plan;
mod selection;
mod state;

use std::{collections::BTreeMap, fmt};

use backend::{Console, Endpoint};
pub use change::{
    owner_and_state, request_removal, set_backend_id, set_description, set_facts, set_message, set_specification,
    set_state, take_mixin_off,
};
use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
#[cfg(test)]
pub use index::entry as index_entry;
#[cfg(test)]
pub use link::has_links;
pub use link::{LinkTarget, links_for_dispatch, links_from, links_to};
use occi_schema::{AttributeName, CategoryId, Value};
#[cfg(test)]
pub use selection::count;
pub use selection::{AnyCategory, EntityClass, Selection, kinds_of, select, select_page, select_places};
use serde::{Deserialize, Serialize};
pub use state::EntityState;
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::ProjectId,
    row::{parse_id, parse_json, to_json},
    schema::entities,
    tombstone,
};

/// How many ids one query names.
const CHUNK: usize = 500;

/// An entity's id, the last segment of its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityId(pub Uuid);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the backend last told about a machine, as far as its owner may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Ways in.
    pub endpoints: Vec<Endpoint>,
    /// The screen, on the backend's host.
    pub console: Option<Console>,
    /// Whether the guest itself has been heard.
    pub guest_answers: Option<bool>,
}

/// One remembered entity.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// Its owner.
    pub project: ProjectId,
    /// Its kind, for life.
    pub kind: CategoryId,
    /// Its mixins, in the order of their association.
    pub mixins: Vec<CategoryId>,
    /// What the client or a template set.
    pub attributes: BTreeMap<AttributeName, Value>,
    /// Where it stands.
    pub state: EntityState,
    /// More about the state, for people.
    pub state_message: Option<String>,
    /// Where it was placed.
    pub site: String,
    /// Why there, and why not elsewhere.
    pub placement: serde_json::Value,
    /// What its site is asked for; the shape belongs to the kind.
    pub specification: serde_json::Value,
    /// The backend's name for it, once there is one.
    pub backend_id: Option<String>,
    /// What the backend told.
    pub facts: Facts,
    /// Where a link begins; a resource has none.
    pub source: Option<EntityId>,
    /// Where a link leads to; a resource has none.
    pub target: Option<LinkTarget>,
    /// How often it was written.
    pub version: i64,
    /// When it was written last.
    pub updated_at: Timestamp,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = entities)]
struct Row {
    id: String,
    project_id: String,
    kind: String,
    mixins: String,
    attributes: String,
    state: String,
    state_message: Option<String>,
    site: String,
    placement: String,
    specification: String,
    backend_id: Option<String>,
    facts: String,
    removal_requested_at: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    source: Option<String>,
    target: Option<String>,
}

fn unreadable(id: &str, reason: impl fmt::Display) -> StoreError {
    StoreError::Unreadable { table: "entities", id: id.to_owned(), reason: reason.to_string() }
}

impl Row {
    fn entity(self) -> Result<Entity, StoreError> {
        let id = &self.id;
        Ok(Entity {
            id: EntityId(parse_id("entities", id)?),
            project: ProjectId(parse_id("entities", &self.project_id)?),
            kind: self.kind.parse().map_err(|error| unreadable(id, error))?,
            mixins: parse_json("entities", id, &self.mixins)?,
            attributes: parse_json("entities", id, &self.attributes)?,
            state: self.state.parse().map_err(|error| unreadable(id, error))?,
            site: self.site,
            placement: parse_json("entities", id, &self.placement)?,
            specification: parse_json("entities", id, &self.specification)?,
            backend_id: self.backend_id,
            facts: parse_json("entities", id, &self.facts)?,
            source: self.source.map(|source| parse_id("entities", &source).map(EntityId)).transpose()?,
            target: self.target.map(LinkTarget::from_stored),
            state_message: self.state_message,
            version: self.version,
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Remembers a new entity. The source of a link must be known already.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, entity: &Entity) -> Result<(), StoreError> {
    let id = entity.id.to_string();
    let row = Row {
        project_id: entity.project.0.to_string(),
        kind: entity.kind.to_string(),
        mixins: to_json("entities", &id, &entity.mixins)?,
        attributes: to_json("entities", &id, &entity.attributes)?,
        state: entity.state.as_str().to_owned(),
        state_message: entity.state_message.clone(),
        site: entity.site.clone(),
        placement: entity.placement.to_string(),
        specification: entity.specification.to_string(),
        backend_id: entity.backend_id.clone(),
        facts: to_json("entities", &id, &entity.facts)?,
        removal_requested_at: None,
        version: entity.version,
        created_at: entity.updated_at.0,
        updated_at: entity.updated_at.0,
        source: entity.source.map(|source| source.to_string()),
        target: entity.target.as_ref().map(LinkTarget::stored),
        id,
    };
    let new = diesel::insert_into(entities::table).values(&row);
    on_either!(connection, either => new.execute(either))?;
    index::insert(connection, &row.id, &entity.mixins, &entity.attributes)
}

/// The project's entity of this id. Another project's, and one that is being removed, does not exist.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, project: ProjectId, id: EntityId) -> Result<Option<Entity>, StoreError> {
    let query = entities::table
        .filter(entities::id.eq(id.to_string()))
        .filter(entities::project_id.eq(project.0.to_string()))
        .filter(entities::removal_requested_at.is_null());
    let row: Option<Row> = on_either!(connection, either => query.get_result(either)).optional()?;
    row.map(Row::entity).transpose()
}

/// Whether the project had an entity of this id that it does not see any more.
///
/// # Errors
/// The database failed.
pub fn is_gone(connection: &mut DbConnection, project: ProjectId, id: EntityId) -> Result<bool, StoreError> {
    let removing: Option<String> = entities::table
        .filter(entities::id.eq(id.to_string()))
        .filter(entities::project_id.eq(project.0.to_string()))
        .filter(entities::removal_requested_at.is_not_null())
        .select(entities::id)
        .get_result(connection)
        .optional()?;
    Ok(removing.is_some() || tombstone::exists(connection, project, id)?)
}

/// The entity of this id, whosever it is and even while it is being removed: for dispatch.
///
/// # Errors
/// The database failed.
pub fn find_for_dispatch(connection: &mut DbConnection, id: EntityId) -> Result<Option<Entity>, StoreError> {
    let query = entities::table.filter(entities::id.eq(id.to_string()));
    let row: Option<Row> = on_either!(connection, either => query.get_result(either)).optional()?;
    row.map(Row::entity).transpose()
}

/// Keeps others from writing the entity until the transaction ends: before it is read and written in one that only
/// locks ([`crate::store::Db::write_locking`]).
///
/// # Errors
/// The database failed.
pub fn lock(connection: &mut DbConnection, id: EntityId) -> Result<(), StoreError> {
    if let DbConnection::Postgres(connection) = connection {
        let row = entities::table.filter(entities::id.eq(id.to_string())).select(entities::id).for_update();
        let _: Vec<String> = row.load(connection)?;
    }
    Ok(())
}

/// The project's entities of these ids, in the order of their creation; those that do not exist are left out.
///
/// # Errors
/// The database failed.
pub fn find_many(
    connection: &mut DbConnection,
    project: ProjectId,
    ids: &[EntityId],
) -> Result<Vec<Entity>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<Row> = entities::table
            .filter(entities::id.eq_any(chunk.iter().map(EntityId::to_string).collect::<Vec<_>>()))
            .filter(entities::project_id.eq(project.0.to_string()))
            .filter(entities::removal_requested_at.is_null())
            .load(connection)?;
        found.extend(rows);
    }
    let mut found: Vec<Entity> = found.into_iter().map(Row::entity).collect::<Result<_, _>>()?;
    found.sort_by_key(|entity| entity.id);
    found.dedup_by_key(|entity| entity.id);
    Ok(found)
}

/// The entities of a site that the backend has an object for and are not being removed, at most `limit`, after the given one.
///
/// # Errors
/// The database failed.
pub fn with_backend_id_at(
    connection: &mut DbConnection,
    site: &str,
    after: Option<EntityId>,
    limit: i64,
) -> Result<Vec<Entity>, StoreError> {
    entities::table
        .filter(entities::site.eq(site))
        .filter(entities::backend_id.is_not_null())
        .filter(entities::removal_requested_at.is_null())
        .filter(entities::id.gt(after.map(|id| id.to_string()).unwrap_or_default()))
        .order(entities::id.asc())
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::entity)
        .collect()
}

/// Forgets the entity, its intents and its sagas; that it was there is told for a while.
///
/// # Errors
/// A link begins at it, and would begin nowhere; the database failed.
pub fn remove(connection: &mut DbConnection, id: EntityId) -> Result<(), StoreError> {
    let owner: Option<String> = entities::table
        .filter(entities::id.eq(id.to_string()))
        .select(entities::project_id)
        .get_result(connection)
        .optional()?;
    if let Some(owner) = owner {
        tombstone::insert(connection, ProjectId(parse_id("entities", &owner)?), id)?;
    }
    diesel::delete(entities::table.filter(entities::id.eq(id.to_string()))).execute(connection)?;
    Ok(())
}
