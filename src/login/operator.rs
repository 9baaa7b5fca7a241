//! What an operator does by the command line: users, projects, limits.

use serde_json::json;
use thiserror::Error;

use super::{
    name::{self, BadName},
    told::{self, Told},
};
use crate::{
    request,
    store::{
        Db, StoreError, confirmation, login_link,
        member::{self, ProjectId, Standing, UserId},
        password,
        quota::{self, Limits, Whose},
        session, user,
    },
};

/// Why an operator's wish is not done.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// A name that nobody may have.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The database failed, or something stands in the way.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a user who signs in without a provider.
///
/// # Errors
/// The name cannot be one, or is taken; the database failed.
pub async fn create_local(db: &Db, name: &str) -> Result<UserId, OperatorError> {
    name::check("user name", name)?;
    let (name, actor) = (name.to_owned(), request::actor());
    let made = db.write(move |connection| {
        if user::find_by_name(connection, &name)?.is_some() {
            return Err(StoreError::Refused(format!("there is a user {name:?} already")));
        }
        let user = user::insert(connection, &name, Standing::Active)?;
        told::record(connection, Told::new("user.created", json!({ "of": name, "of_id": user.id.0 })), actor.as_ref())?;
        Ok(user.id)
    });
    Ok(made.await?)
}

/// Lets a user in, or shuts them out; then their sessions end and their links are void. Answers whether that changed
/// anything.
///
/// # Errors
/// The database failed.
pub async fn set_standing(db: &Db, id: UserId, standing: Standing) -> Result<bool, StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        let Some(user) = user::find(connection, id)? else { return Ok(false) };
        if !user::set_standing(connection, id, standing)? {
            return Ok(false);
        }
        let mut ended = 0;
        if standing == Standing::Disabled {
            ended = session::end_of_user(connection, id, None)?;
            login_link::revoke_of_user(connection, id)?;
            confirmation::end(connection, id)?;
        }
        let body = json!({
            "of": user.name, "of_id": id.0, "before": user.standing.as_str(), "standing": standing.as_str(),
            "sessions_ended": ended,
        });
        told::record(connection, Told::new("user.standing", body), actor.as_ref())?;
        Ok(true)
    })
    .await
}

/// The user's password from now on, as a hash; or none. Their sessions end.
///
/// # Errors
/// The database failed.
pub async fn set_password(db: &Db, id: UserId, hash: Option<String>) -> Result<(), StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        match &hash {
            Some(hash) => password::set(connection, id, hash)?,
            None => drop(password::remove(connection, id)?),
        }
        let ended = session::end_of_user(connection, id, None)?;
        let Some(user) = user::find(connection, id)? else { return Ok(()) };
        let body = json!({ "of": user.name, "of_id": id.0, "removed": hash.is_none(), "sessions_ended": ended });
        told::record(connection, Told::new("user.credential", body), actor.as_ref())
    })
    .await
}

/// Makes a project.
///
/// # Errors
/// The name cannot be one, or is taken; the database failed.
pub async fn create_project(db: &Db, name: &str) -> Result<ProjectId, OperatorError> {
    name::check_project(name)?;
    let (name, actor) = (name.to_owned(), request::actor());
    let made = db.write(move |connection| {
        if member::find_project(connection, &name)?.is_some() {
            return Err(StoreError::Refused(format!("there is a project {name:?} already")));
        }
        let project = member::ensure_project(connection, &name)?;
        told::record(connection, Told::of(project, "project.created", json!({ "name": name })), actor.as_ref())?;
        Ok(project)
    });
    Ok(made.await?)
}

/// Removes a project that has nothing any more, and whatever lets anybody into it.
///
/// # Errors
/// [`StoreError::Refused`] when it has something still; the database failed.
pub async fn remove_project(db: &Db, project: ProjectId) -> Result<(), StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        let name = member::project_name(connection, project)?.unwrap_or_default();
        let removed = member::remove_project(connection, project)?;
        let body = json!({ "name": name, "app_tokens": removed });
        // Nobody is a member any more who could see it there.
        told::record(connection, Told::new("project.removed", body), actor.as_ref())
    })
    .await
}

/// Sets limits; without any, forgets those that were set.
///
/// # Errors
/// The database failed.
pub async fn set_limits(db: &Db, project: ProjectId, whose: Whose, limits: Option<Limits>) -> Result<(), StoreError> {
    let actor = request::actor();
    db.write(move |connection| {
        match limits {
            Some(limits) => quota::set(connection, project, whose, limits)?,
            None => drop(quota::unset(connection, project, whose)?),
        }
        let of = match whose {
            Whose::Project => "the project".to_owned(),
            Whose::EachMember => "each member".to_owned(),
            Whose::Member(user) => user::find(connection, user)?.map(|user| user.name).unwrap_or_default(),
        };
        let body = json!({ "of": of, "limits": limits });
        told::record(connection, Told::of(project, "quota.changed", body), actor.as_ref())
    })
    .await
}
