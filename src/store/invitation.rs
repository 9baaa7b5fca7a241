//! Invitations into projects: whoever has the secret of one may become a member.

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

use super::{
    DbConnection, StoreError, Timestamp,
    member::{ProjectId, UserId},
    row::parse_id,
    schema::{invitations, projects},
};
use crate::login::Role;

/// Most invitations of one list.
const MOST_LISTED: i64 = 1000;

/// An invitation to be remembered.
#[derive(Clone)]
pub struct NewInvitation {
    /// What it is revoked by.
    pub id: Uuid,
    /// SHA-256 of its secret, in hexadecimal digits.
    pub secret_hash: String,
    /// Into which project.
    pub project: ProjectId,
    /// As what.
    pub role: Role,
    /// For whom it is, in words.
    pub note: String,
    /// Who invites; the command line has no user.
    pub created_by: Option<UserId>,
    /// From when on it is void.
    pub expires_at: Timestamp,
    /// How many may accept it.
    pub uses: i32,
}

/// An invitation that can be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What it is revoked by.
    pub id: Uuid,
    /// Into which project.
    pub project: ProjectId,
    /// As what.
    pub role: Role,
    /// For whom it is, in words.
    pub note: String,
    /// Who invites.
    pub created_by: Option<UserId>,
    /// From when on it is void.
    pub expires_at: Timestamp,
}

/// Remembers an invitation. Those that have been void for a while are forgotten.
///
/// # Errors
/// The database failed.
pub fn insert(connection: &mut DbConnection, new: &NewInvitation) -> Result<(), StoreError> {
    let void = invitations::table.filter(invitations::expires_at.le(Timestamp::now().0));
    on_either!(connection, either => diesel::delete(void).execute(either))?;
    let row = (
        invitations::id.eq(new.id.to_string()),
        invitations::secret_hash.eq(&new.secret_hash),
        invitations::project_id.eq(new.project.0.to_string()),
        invitations::role.eq(new.role.as_str()),
        invitations::note.eq(&new.note),
        invitations::created_by.eq(new.created_by.map(|user| user.0.to_string())),
        invitations::created_at.eq(Timestamp::now().0),
        invitations::expires_at.eq(new.expires_at.0),
        invitations::uses_left.eq(new.uses),
    );
    on_either!(connection, either => diesel::insert_into(invitations::table).values(row).execute(either))?;
    Ok(())
}

/// The invitation of this secret's hash, if it can be accepted now.
///
/// # Errors
/// The database failed.
pub fn find(connection: &mut DbConnection, secret_hash: &str) -> Result<Option<Invitation>, StoreError> {
    type Columns = (String, String, String, String, Option<String>, i64);
    let query = invitations::table
        .filter(invitations::secret_hash.eq(secret_hash))
        .filter(invitations::revoked_at.is_null())
        .filter(invitations::uses_left.gt(0))
        .filter(invitations::expires_at.gt(Timestamp::now().0))
        .select((
            invitations::id,
            invitations::project_id,
            invitations::role,
            invitations::note,
            invitations::created_by,
            invitations::expires_at,
        ));
    let found: Option<Columns> = on_either!(connection, either => query.get_result(either).optional())?;
    let Some((id, project, role, note, created_by, expires_at)) = found else { return Ok(None) };
    let role = role.parse::<Role>().map_err(|error| StoreError::Unreadable {
        table: "invitations",
        id: id.clone(),
        reason: error.to_string(),
    })?;
    let parse = |id: &str| parse_id("invitations", id);
    Ok(Some(Invitation {
        id: parse(&id)?,
        project: ProjectId(parse(&project)?),
        role,
        note,
        created_by: created_by.map(|user| parse(&user)).transpose()?.map(UserId),
        expires_at: Timestamp(expires_at),
    }))
}

/// Lets one accept it, and answers whether there was room for one.
///
/// # Errors
/// The database failed.
pub fn use_one(connection: &mut DbConnection, id: Uuid) -> Result<bool, StoreError> {
    let this = invitations::table
        .filter(invitations::id.eq(id.to_string()))
        .filter(invitations::revoked_at.is_null().and(invitations::uses_left.gt(0)));
    let less = invitations::uses_left.eq(invitations::uses_left - 1);
    Ok(on_either!(connection, either => diesel::update(this).set(less).execute(either))? == 1)
}

/// The project that an invitation leads into, void or not.
///
/// # Errors
/// The database failed.
pub fn project_of(connection: &mut DbConnection, id: Uuid) -> Result<Option<ProjectId>, StoreError> {
    let query = invitations::table.filter(invitations::id.eq(id.to_string())).select(invitations::project_id);
    let found: Option<String> = on_either!(connection, either => query.get_result(either).optional())?;
    found.map(|project| parse_id("invitations", &project).map(ProjectId)).transpose()
}

/// Makes it void, and answers whether there was one that was not.
///
/// # Errors
/// The database failed.
pub fn revoke(connection: &mut DbConnection, id: Uuid) -> Result<bool, StoreError> {
    let this = invitations::table.filter(invitations::id.eq(id.to_string())).filter(invitations::revoked_at.is_null());
    let now = invitations::revoked_at.eq(Timestamp::now().0);
    Ok(on_either!(connection, either => diesel::update(this).set(now).execute(either))? == 1)
}

/// An invitation as those who decide see it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedInvitation {
    /// What it is revoked by.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// As what.
    pub role: String,
    /// For whom it is, in words.
    pub note: String,
    /// From when on it is void.
    pub expires_at: String,
    /// How many may accept it still.
    pub uses_left: i32,
}

/// The invitations that can be accepted now, of one project or of all, the newest last.
///
/// # Errors
/// The database failed.
pub fn list(connection: &mut DbConnection, project: Option<ProjectId>) -> Result<Vec<ListedInvitation>, StoreError> {
    type Columns = (String, String, String, String, i64, i32);
    let query = invitations::table
        .inner_join(projects::table.on(projects::id.eq(invitations::project_id)))
        .filter(invitations::revoked_at.is_null())
        .filter(invitations::uses_left.gt(0))
        .filter(invitations::expires_at.gt(Timestamp::now().0))
        .order(invitations::id.asc())
        .limit(MOST_LISTED)
        .select((
            invitations::id,
            projects::name,
            invitations::role,
            invitations::note,
            invitations::expires_at,
            invitations::uses_left,
        ));
    let rows: Vec<Columns> = match project {
        Some(project) => {
            let of_project = query.filter(invitations::project_id.eq(project.0.to_string()));
            on_either!(connection, either => of_project.load(either))?
        }
        None => on_either!(connection, either => query.load(either))?,
    };
    let read = |(id, project, role, note, expires_at, uses_left): Columns| ListedInvitation {
        id,
        project,
        role,
        note,
        expires_at: Timestamp(expires_at).to_string(),
        uses_left,
    };
    Ok(rows.into_iter().map(read).collect())
}
