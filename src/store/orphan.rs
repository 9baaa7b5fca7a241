//! Orphans: what a backend has with a tag of ours and nobody owns. They are kept apart and listed; only a person decides
//! what becomes of them.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    row::{parse_id, parse_json},
    schema::{intents, orphans},
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
    if diesel::update(known).set((orphans::last_seen_at.eq(now), orphans::reason.eq(&found.reason))).execute(connection)? > 0
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

/// Forgets the orphans of a site and kind that are not among these names any more; answers them.
///
/// # Errors
/// The database failed.
pub fn forget_others(
    connection: &mut DbConnection,
    site: &str,
    kind: &str,
    seen: &BTreeSet<String>,
) -> Result<Vec<Orphan>, StoreError> {
    let known: Vec<Row> =
        orphans::table.filter(orphans::site.eq(site)).filter(orphans::kind.eq(kind)).load(connection)?;
    let mut gone = Vec::new();
    for row in known.into_iter().filter(|row| !seen.contains(&row.backend_id)) {
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

/// Which of these tags belong to an intent of ours.
///
/// # Errors
/// The database failed.
pub fn intended(connection: &mut DbConnection, tags: &[Uuid]) -> Result<BTreeSet<Uuid>, StoreError> {
    let mut known = BTreeSet::new();
    for chunk in tags.chunks(500) {
        let chunk: Vec<String> = chunk.iter().map(Uuid::to_string).collect();
        let rows: Vec<String> =
            intents::table.filter(intents::id.eq_any(chunk)).select(intents::id).load(connection)?;
        for row in rows {
            known.insert(parse_id("intents", &row)?);
        }
    }
    Ok(known)
}
