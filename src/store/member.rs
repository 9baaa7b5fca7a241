//! Projects (the tenants) and users.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    row::parse_id,
    schema::{projects, users},
};

/// A tenant: a class, a research group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub Uuid);

/// A person or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(pub Uuid);

/// Whether a user gets in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "what changes it is being built")]
pub enum Standing {
    /// Gets in.
    Active,
    /// Has asked to be let in, and waits for an answer.
    Pending,
    /// Was shut out.
    Disabled,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Active, Self::Pending, Self::Disabled];

    /// Its name, in the database as for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Disabled => "disabled",
        }
    }
}

/// The standing of a row of `users`.
pub(super) fn parse_standing(id: &str, text: &str) -> Result<Standing, StoreError> {
    let found = Standing::ALL.into_iter().find(|standing| standing.as_str() == text);
    found.ok_or_else(|| StoreError::Unreadable {
        table: "users",
        id: id.to_owned(),
        reason: format!("the standing {text:?} is unknown"),
    })
}

/// The project of this name, made if there is none.
///
/// # Errors
/// The database failed.
pub fn ensure_project(connection: &mut DbConnection, name: &str) -> Result<ProjectId, StoreError> {
    if let Some(found) = find_project(connection, name)? {
        return Ok(found);
    }
    let id = Uuid::now_v7();
    diesel::insert_into(projects::table)
        .values((projects::id.eq(id.to_string()), projects::name.eq(name), projects::created_at.eq(Timestamp::now().0)))
        .execute(connection)?;
    Ok(ProjectId(id))
}

/// The project of this name.
///
/// # Errors
/// The database failed.
pub fn find_project(connection: &mut DbConnection, name: &str) -> Result<Option<ProjectId>, StoreError> {
    let found: Option<String> =
        projects::table.filter(projects::name.eq(name)).select(projects::id).get_result(connection).optional()?;
    found.map(|id| parse_id("projects", &id).map(ProjectId)).transpose()
}

/// What the project is called.
///
/// # Errors
/// The database failed.
pub fn project_name(connection: &mut DbConnection, id: ProjectId) -> Result<Option<String>, StoreError> {
    let query = projects::table.filter(projects::id.eq(id.0.to_string())).select(projects::name);
    Ok(on_either!(connection, either => query.get_result(either).optional())?)
}

/// The names of all projects.
///
/// # Errors
/// The database failed.
pub fn project_names(connection: &mut DbConnection) -> Result<BTreeMap<ProjectId, String>, StoreError> {
    let rows: Vec<(String, String)> = projects::table.select((projects::id, projects::name)).load(connection)?;
    rows.into_iter().map(|(id, name)| Ok((ProjectId(parse_id("projects", &id)?), name))).collect()
}

/// The user of this name, made if there is none.
///
/// # Errors
/// The database failed.
pub fn ensure_user(connection: &mut DbConnection, name: &str) -> Result<UserId, StoreError> {
    let found: Option<String> =
        users::table.filter(users::name.eq(name)).select(users::id).get_result(connection).optional()?;
    if let Some(id) = found {
        return parse_id("users", &id).map(UserId);
    }
    let id = Uuid::now_v7();
    diesel::insert_into(users::table)
        .values((users::id.eq(id.to_string()), users::name.eq(name), users::created_at.eq(Timestamp::now().0)))
        .execute(connection)?;
    Ok(UserId(id))
}
