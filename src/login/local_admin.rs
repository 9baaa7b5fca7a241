//! The local administrator, who gets in by a link that is printed on the terminal.

use std::time::Duration;

use super::{Role, unguessable::Unguessable};
use crate::store::{
    Db, DbConnection, StoreError, Timestamp,
    grant::{self, Grant, Origin, Place},
    login_link,
    member::{self, UserId},
    password,
};

/// The user's name.
pub const NAME: &str = "admin";
/// The project that they begin with.
const PROJECT: &str = "default";
const REASON: &str = "the local administrator of this installation";

/// Whether somebody has a password, and so can sign in without a link.
///
/// # Errors
/// The database failed.
pub async fn is_not_needed(db: &Db) -> Result<bool, StoreError> {
    db.read(password::any).await
}

/// A new link for the local administrator, who is made if need be. Older links of theirs are void.
///
/// # Errors
/// No random bytes; the database failed.
pub async fn link(db: &Db, holds: Duration) -> anyhow::Result<Unguessable> {
    let link = Unguessable::generate()?;
    let hash = link.hash();
    db.write(move |connection| {
        let admin = ensure(connection)?;
        login_link::revoke_of_user(connection, admin)?;
        login_link::insert(connection, &hash, admin, Timestamp::now().plus(holds))
    })
    .await?;
    Ok(link)
}

/// A new link for a user, beside those that there are.
///
/// # Errors
/// No random bytes; the database failed.
pub async fn link_for(db: &Db, user: UserId, holds: Duration) -> anyhow::Result<Unguessable> {
    let link = Unguessable::generate()?;
    let hash = link.hash();
    let end = Timestamp::now().plus(holds);
    db.write(move |connection| login_link::insert(connection, &hash, user, end)).await?;
    Ok(link)
}

/// The administrator, with their roles.
///
/// # Errors
/// The database failed.
pub fn ensure(connection: &mut DbConnection) -> Result<UserId, StoreError> {
    let admin = member::ensure_user(connection, NAME)?;
    let project = member::ensure_project(connection, PROJECT)?;
    let held = grant::of_user(connection, admin)?;
    for (role, place) in [(Role::FederationAdmin, Place::Federation), (Role::Manager, Place::Project(project))] {
        if !held.iter().any(|grant| grant.role == role && grant.place == place) {
            let reason = REASON.to_owned();
            grant::put(connection, admin, &Grant { role, place, origin: Origin::Operator, reason, expires_at: None })?;
        }
    }
    Ok(admin)
}
