//! Orphans: what a backend has with a tag of ours and nobody owns. They are kept apart and listed; only a person decides
//! what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use occi_schema::CategoryId;
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    entity::EntityId,
    row::{parse_id, parse_json},
    schema::{entities, intents, orphans, sagas},
};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// At which site.
    pub site: String,
    /// What it is: `machine`, `volume`, `network`.
    pub kind: &'static str,
    /// The backend's name for it.
    pub backend_id: String,
    /// The tag that it carries.
    pub tag: Uuid,
    /// Why nobody owns it, for people.
    pub reason: String,
    /// What else the backend tells of it.
    pub facts: serde_json::Value,
}

/// What is kept apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// Its name here.
    pub id: Uuid,
    /// At which site.
    pub site: String,
    /// What it is: `machine`, `volume`, `network`.
    pub kind: String,
    /// The backend's name for it.
    pub backend_id: String,
    /// The tag that it carries.
    pub tag: Uuid,
    /// Why nobody owns it, for people.
    pub reason: String,
    /// What else the backend tells of it.
    pub facts: serde_json::Value,
    /// Since when it is known.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = orphans)]
struct Row {
    id: String,
    site: String,
    kind: String,
    backend_id: String,
    tag: String,
    reason: String,
    facts: String,
    first_seen_at: i64,
    last_seen_at: i64,
}

impl Row {
    fn orphan(self) -> Result<Orphan, StoreError> {
        Ok(Orphan {
            id: parse_id("orphans", &self.id)?,
            tag: parse_id("orphans", &self.tag)?,
            facts: parse_json("orphans", &self.id, &self.facts)?,
            site: self.site,
            kind: self.kind,
            backend_id: self.backend_id,
            reason: self.reason,
            first_seen_at: Timestamp(self.first_seen_at),
            last_seen_at: Timestamp(self.last_seen_at),
        })
    }
}

/// Keeps what was found apart; answers whether that is new.
///
/// # Errors
/// The database failed.
pub fn note(connection: &mut DbConnection, found: &Found) -> Result<bool, StoreError> {
    let now = Timestamp::now().0;
    let known = orphans::table
        .filter(orphans::site.eq(&found.site))
        .filter(orphans::kind.eq(found.kind))
        .filter(orphans::backend_id.eq(&found.backend_id));
    if diesel::update(known)
        .set((orphans::last_seen_at.eq(now), orphans::reason.eq(&found.reason)))
        .execute(connection)?
        > 0
    {
        return Ok(false);
    }
    let row = Row {
        id: Uuid::now_v7().to_string(),
        site: found.site.clone(),
        kind: found.kind.to_owned(),
        backend_id: found.backend_id.clone(),
        tag: found.tag.to_string(),
        reason: found.reason.clone(),
        facts: found.facts.to_string(),
        first_seen_at: now,
        last_seen_at: now,
    };
    let new = diesel::insert_into(orphans::table).values(row);
    on_either!(connection, either => new.execute(either))?;
    Ok(true)
}

/// Forgets the orphans of a site that are not among these (kind and name) and were not seen since then; answers them.
///
/// # Errors
/// The database failed.
pub fn forget_missed(
    connection: &mut DbConnection,
    site: &str,
    seen: &BTreeSet<(String, String)>,
    since: Timestamp,
) -> Result<Vec<Orphan>, StoreError> {
    let missed: Vec<Row> =
        orphans::table.filter(orphans::site.eq(site)).filter(orphans::last_seen_at.lt(since.0)).load(connection)?;
    let mut gone = Vec::new();
    for row in missed.into_iter().filter(|row| !seen.contains(&(row.kind.clone(), row.backend_id.clone()))) {
        diesel::delete(orphans::table.filter(orphans::id.eq(&row.id))).execute(connection)?;
        gone.push(row.orphan()?);
    }
    Ok(gone)
}

/// All orphans, the oldest first, at most so many.
///
/// # Errors
/// The database failed.
pub fn all(connection: &mut DbConnection, most: i64) -> Result<Vec<Orphan>, StoreError> {
    let rows: Vec<Row> = orphans::table.order(orphans::id.asc()).limit(most).load(connection)?;
    rows.into_iter().map(Row::orphan).collect()
}

/// The orphan of this id.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, id: Uuid) -> Result<Option<Orphan>, StoreError> {
    let row: Option<Row> = orphans::table.filter(orphans::id.eq(id.to_string())).get_result(connection).optional()?;
    row.map(Row::orphan).transpose()
}

/// Takes it off the list: somebody owns it now.
///
/// # Errors
/// The database failed.
pub fn remove(connection: &mut DbConnection, id: Uuid) -> Result<(), StoreError> {
    diesel::delete(orphans::table.filter(orphans::id.eq(id.to_string()))).execute(connection)?;
    Ok(())
}

/// Who asked for something with a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagOwner {
    /// The entity.
    pub entity: EntityId,
    /// What the entity has at its site.
    pub backend_id: Option<String>,
    /// Whether something is being done with it, its removal included.
    pub is_busy: bool,
}

/// The owners of these tags; a tag that nobody here asked for has none.
///
/// # Errors
/// The database failed.
pub fn owners(connection: &mut DbConnection, tags: &[Uuid]) -> Result<BTreeMap<Uuid, TagOwner>, StoreError> {
    let mut owners = BTreeMap::new();
    for chunk in tags.chunks(500) {
        let chunk: Vec<String> = chunk.iter().map(Uuid::to_string).collect();
        let rows: Vec<(String, String, Option<String>, Option<i64>)> = intents::table
            .inner_join(entities::table.on(entities::id.eq(intents::entity_id)))
            .filter(intents::id.eq_any(&chunk))
            .select((intents::id, entities::id, entities::backend_id, entities::removal_requested_at))
            .load(connection)?;
        let ids: Vec<&String> = rows.iter().map(|row| &row.1).collect();
        let busy: Vec<String> = sagas::table
            .filter(sagas::entity_id.eq_any(ids))
            .filter(sagas::state.eq_any(["running", "unwinding"]))
            .select(sagas::entity_id)
            .distinct()
            .load(connection)?;
        let busy: BTreeSet<String> = busy.into_iter().collect();
        for (tag, entity, backend_id, removal) in rows {
            let is_busy = removal.is_some() || busy.contains(&entity);
            let owner = TagOwner { entity: EntityId(parse_id("entities", &entity)?), backend_id, is_busy };
            owners.insert(parse_id("intents", &tag)?, owner);
        }
    }
    Ok(owners)
}

/// Which of these names, at this site, are those of somebody's things, and of what kind.
///
/// # Errors
/// The database failed.
pub fn owned(
    connection: &mut DbConnection,
    site: &str,
    ids: &[String],
) -> Result<Vec<(CategoryId, String)>, StoreError> {
    let mut owned = Vec::new();
    for chunk in ids.chunks(500) {
        let rows: Vec<(String, Option<String>)> = entities::table
            .filter(entities::site.eq(site))
            .filter(entities::backend_id.eq_any(chunk.iter().map(Some)))
            .select((entities::kind, entities::backend_id))
            .load(connection)?;
        for (kind, id) in rows {
            let kind = kind.parse().map_err(|error: occi_schema::InvalidCategoryId| StoreError::Unreadable {
                table: "entities",
                id: kind.clone(),
                reason: error.to_string(),
            })?;
            owned.extend(id.map(|id| (kind, id)));
        }
    }
    Ok(owned)
}
