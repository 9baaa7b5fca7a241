//! Projects (the tenants) and users.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    row::parse_id,
    schema::{
        app_tokens, appliances, authorization_codes, entities, grants, idempotency_keys, invitations, projects, quotas,
        registrations, reservations, sessions, tombstones, user_mixins, users,
    },
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

/// Removes a project that has nothing any more, with its tokens, roles, limits and invitations; answers how many tokens
/// that were.
///
/// # Errors
/// [`StoreError::Refused`] when it has something still; the database failed.
pub fn remove_project(connection: &mut DbConnection, id: ProjectId) -> Result<usize, StoreError> {
    let id = id.0.to_string();
    let entities: i64 = entities::table.filter(entities::project_id.eq(&id)).count().get_result(connection)?;
    let appliances: i64 = appliances::table.filter(appliances::project_id.eq(&id)).count().get_result(connection)?;
    if entities + appliances > 0 {
        return Err(StoreError::Refused(format!(
            "the project has {entities} entities and {appliances} saved appliances; remove them first"
        )));
    }
    diesel::update(sessions::table.filter(sessions::project_id.eq(&id)))
        .set(sessions::project_id.eq(None::<String>))
        .execute(connection)?;
    diesel::update(registrations::table.filter(registrations::project_id.eq(&id)))
        .set(registrations::project_id.eq(None::<String>))
        .execute(connection)?;
    diesel::delete(authorization_codes::table.filter(authorization_codes::project_id.eq(&id))).execute(connection)?;
    diesel::delete(invitations::table.filter(invitations::project_id.eq(&id))).execute(connection)?;
    diesel::delete(quotas::table.filter(quotas::project_id.eq(&id))).execute(connection)?;
    diesel::delete(grants::table.filter(grants::project_id.eq(&id))).execute(connection)?;
    diesel::delete(user_mixins::table.filter(user_mixins::project_id.eq(&id))).execute(connection)?;
    diesel::delete(reservations::table.filter(reservations::project_id.eq(&id))).execute(connection)?;
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::project_id.eq(&id))).execute(connection)?;
    diesel::delete(tombstones::table.filter(tombstones::project_id.eq(&id))).execute(connection)?;
    let tokens = diesel::delete(app_tokens::table.filter(app_tokens::project_id.eq(&id))).execute(connection)?;
    diesel::delete(projects::table.filter(projects::id.eq(&id))).execute(connection)?;
    Ok(tokens)
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
