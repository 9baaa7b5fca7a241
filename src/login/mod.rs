//! WHO asks.

pub mod account;
pub mod code;
pub mod confirmation;
mod credentials;
pub mod gate;
pub mod identity;
pub mod keystone;
pub mod local_admin;
pub mod local_path;
pub mod loopback;
pub mod mapping;
mod name;
pub mod password;
pub mod people;
pub mod provider;
mod rights;
pub mod sealed;
pub mod secret;
#[cfg(test)]
mod tests;
mod token;
mod told;
pub mod unguessable;

use uuid::Uuid;

pub use credentials::Credentials;
pub use people::Rules;
pub use rights::{Right, Rights, Role, Scope, UnknownName};
pub use token::{AppToken, issue};

use crate::store::{
    Db, StoreError,
    member::{ProjectId, UserId},
};

/// Who asks, and for which project.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "as above")]
pub struct Principal {
    /// The person or service.
    pub user: UserId,
    /// Their name, for the log.
    pub user_name: String,
    /// The tenant that the request acts in.
    pub project: ProjectId,
    /// What they may do there, by this way of asking.
    pub rights: Rights,
    /// What they have shown.
    pub by: Proof,
}

/// By what somebody has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code, reason = "as above")]
pub enum Proof {
    /// The app token of this id.
    Token(Uuid),
    /// A browser's session.
    Session,
    /// An access token of the provider of this name.
    Provider(String),
}

/// Finds out who presents these credentials. `None` for a token that is unknown, wrong, expired or revoked; which of
/// these is not told.
///
/// # Errors
/// The database failed.
pub async fn authenticate(db: &Db, credentials: &Credentials) -> Result<Option<Principal>, StoreError> {
    let Ok(token) = credentials.secret.parse::<AppToken>() else {
        return Ok(None);
    };
    let Some(live) = crate::store::token::find_live(db, token.id).await? else {
        return Ok(None);
    };
    // Over Basic the user name must be the token's own; other schemes name none.
    let named_right = credentials.user.as_ref().is_none_or(|name| *name == live.user_name);
    // Who has lost every right in the project is nobody there.
    if token.fits(&live.secret_hash) && named_right && !live.rights.is_empty() {
        Ok(Some(Principal {
            user: live.user,
            user_name: live.user_name.clone(),
            project: live.project,
            rights: live.rights,
            by: Proof::Token(token.id),
        }))
    } else {
        Ok(None)
    }
}
