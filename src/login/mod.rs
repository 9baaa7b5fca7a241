//! WHO asks. App tokens for now; OpenID Connect, sessions and roles follow.

mod credentials;
pub mod identity;
pub mod local_path;
// What the doors will use; the expectations fall when they do.
#[cfg_attr(not(test), expect(dead_code, unused_imports))]
pub mod provider;
#[cfg_attr(not(test), expect(dead_code))]
pub mod secret;
mod token;

pub use credentials::Credentials;
pub use token::{AppToken, issue};

use crate::store::{Db, StoreError, member::ProjectId};

/// Who asks, and for which project.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The person or service, for the log.
    pub user_name: String,
    /// The tenant that the request acts in.
    pub project: ProjectId,
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
    if token.fits(&live.secret_hash) && named_right {
        Ok(Some(Principal { user_name: live.user_name.clone(), project: live.project }))
    } else {
        Ok(None)
    }
}
