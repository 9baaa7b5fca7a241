//! Entities: what tenants own.

use std::{collections::BTreeMap, fmt, str::FromStr};

use backend::{Console, Endpoint, MachineId};
use diesel::{AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use occi_schema::{AttributeName, CategoryId, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::ProjectId,
    row::{parse_id, parse_json, to_json},
    schema::entities,
    tombstone,
};

/// An entity's id, the last segment of its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityId(pub Uuid);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `occi.compute.state` (GFD.224 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityState {
    /// Not running, or not yet.
    Inactive,
    /// Running.
    Active,
    /// Frozen with its memory kept.
    Suspended,
    /// Needs somebody to look at it.
    Error,
}

impl EntityState {
    const ALL: [Self; 4] = [Self::Inactive, Self::Active, Self::Suspended, Self::Error];

    /// As OCCI writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Error => "error",
        }
    }
}

impl FromStr for EntityState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("{text:?} is no state"))
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
    pub machine: Option<MachineId>,
    /// What the backend told.
    pub facts: Facts,
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
    machine: Option<String>,
    facts: String,
    removal_requested_at: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
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
            machine: self.machine.map(|machine| machine.parse().map_err(|error| unreadable(id, error))).transpose()?,
            facts: parse_json("entities", id, &self.facts)?,
            state_message: self.state_message,
            version: self.version,
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Remembers a new entity.
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
        machine: entity.machine.clone().map(String::from),
        facts: to_json("entities", &id, &entity.facts)?,
        removal_requested_at: None,
        version: entity.version,
        created_at: entity.updated_at.0,
        updated_at: entity.updated_at.0,
        id,
    };
    diesel::insert_into(entities::table).values(row).execute(connection)?;
    Ok(())
}

/// The project's entity of this id. Another project's, and one that is being removed, does not exist.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, project: ProjectId, id: EntityId) -> Result<Option<Entity>, StoreError> {
    entities::table
        .filter(entities::id.eq(id.to_string()))
        .filter(entities::project_id.eq(project.0.to_string()))
        .filter(entities::removal_requested_at.is_null())
        .first::<Row>(connection)
        .optional()?
        .map(Row::entity)
        .transpose()
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
        .first(connection)
        .optional()?;
    Ok(removing.is_some() || tombstone::exists(connection, project, id)?)
}

/// The entity of this id, whosever it is and even while it is being removed: for dispatch.
///
/// # Errors
/// The database failed.
pub fn find_for_dispatch(connection: &mut DbConnection, id: EntityId) -> Result<Option<Entity>, StoreError> {
    entities::table
        .filter(entities::id.eq(id.to_string()))
        .first::<Row>(connection)
        .optional()?
        .map(Row::entity)
        .transpose()
}

/// The project's entities in the order of their creation, at most `limit`, after the given one.
///
/// # Errors
/// The database failed.
pub fn list(
    connection: &mut DbConnection,
    project: ProjectId,
    after: Option<EntityId>,
    limit: i64,
) -> Result<Vec<Entity>, StoreError> {
    entities::table
        .filter(entities::project_id.eq(project.0.to_string()))
        .filter(entities::removal_requested_at.is_null())
        .filter(entities::id.gt(after.map(|id| id.to_string()).unwrap_or_default()))
        .order(entities::id.asc())
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::entity)
        .collect()
}

/// The entities of a site that have a machine and are not being removed, at most `limit`, after the given one.
///
/// # Errors
/// The database failed.
pub fn with_machine_at(
    connection: &mut DbConnection,
    site: &str,
    after: Option<EntityId>,
    limit: i64,
) -> Result<Vec<Entity>, StoreError> {
    entities::table
        .filter(entities::site.eq(site))
        .filter(entities::machine.is_not_null())
        .filter(entities::removal_requested_at.is_null())
        .filter(entities::id.gt(after.map(|id| id.to_string()).unwrap_or_default()))
        .order(entities::id.asc())
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(Row::entity)
        .collect()
}

/// What is written over a row; what is `None` stays as it is.
#[derive(AsChangeset, Default)]
#[diesel(table_name = entities)]
struct Change<'a> {
    mixins: Option<String>,
    attributes: Option<String>,
    state: Option<&'a str>,
    state_message: Option<Option<&'a str>>,
    machine: Option<Option<&'a str>>,
    facts: Option<String>,
    removal_requested_at: Option<i64>,
}

/// Every write raises the version, by which readers notice that somebody was there before them.
fn update(connection: &mut DbConnection, id: EntityId, change: &Change<'_>) -> Result<(), StoreError> {
    diesel::update(entities::table.filter(entities::id.eq(id.to_string())))
        .set((change, entities::version.eq(entities::version + 1), entities::updated_at.eq(Timestamp::now().0)))
        .execute(connection)?;
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

/// Records progress without a change of state.
///
/// # Errors
/// The database failed.
pub fn set_message(connection: &mut DbConnection, id: EntityId, message: Option<&str>) -> Result<(), StoreError> {
    update(connection, id, &Change { state_message: Some(message), ..Change::default() })
}

/// Records what the entity carries and says of itself.
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
    let mixins = Some(to_json("entities", &key, &mixins)?);
    let attributes = Some(to_json("entities", &key, attributes)?);
    update(connection, id, &Change { mixins, attributes, ..Change::default() })
}

/// Records which machine belongs to the entity, if any.
///
/// # Errors
/// The database failed.
pub fn set_machine(connection: &mut DbConnection, id: EntityId, machine: Option<&MachineId>) -> Result<(), StoreError> {
    update(connection, id, &Change { machine: Some(machine.map(MachineId::as_str)), ..Change::default() })
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

/// Forgets the entity, its intents and its sagas; that it was there is told for a while.
///
/// # Errors
/// The database failed.
pub fn remove(connection: &mut DbConnection, id: EntityId) -> Result<(), StoreError> {
    let owner: Option<String> = entities::table
        .filter(entities::id.eq(id.to_string()))
        .select(entities::project_id)
        .first(connection)
        .optional()?;
    if let Some(owner) = owner {
        tombstone::insert(connection, ProjectId(parse_id("entities", &owner)?), id)?;
    }
    diesel::delete(entities::table.filter(entities::id.eq(id.to_string()))).execute(connection)?;
    Ok(())
}
