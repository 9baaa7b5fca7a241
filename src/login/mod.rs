//! WHO asks.

pub mod account;
pub mod code;
pub mod confirmation;
mod credentials;
pub mod device;
pub mod failure;
pub mod gate;
pub mod identity;
pub mod keystone;
pub mod local_admin;
pub mod local_path;
pub mod loopback;
pub mod mapping;
pub mod membership;
mod name;
pub mod operator;
pub mod password;
pub mod people;
pub mod provider;
mod rights;
pub mod sealed;
pub mod secret;
#[cfg(test)]
mod tests;
mod token;
pub mod told;
pub mod unguessable;

use uuid::Uuid;

pub use credentials::Credentials;
pub use people::Rules;
pub use rights::{Right, Rights, Role, Scope, UnknownName};
#[cfg(test)]
pub use token::issue;
pub use token::{AppToken, Issue, issue_as, revoke};

#[cfg(test)]
use crate::store::Db;
use crate::{
    request::{self, Actor},
    store::member::{ProjectId, UserId},
};

/// Who asks, and for which project.
#[derive(Debug, Clone)]
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

impl Principal {
    /// Who they are, for the event log.
    pub fn actor(&self) -> Actor {
        let (user, from) = (self.user_name.clone(), request::address());
        Actor { user, user_id: Some(self.user.0), from, by: self.by.to_string() }
    }
}

/// By what somebody has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The app token of this id.
    Token(Uuid),
    /// A browser's session.
    Session,
    /// An access token of the provider of this name.
    Provider(String),
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token {id}"),
            Self::Session => f.write_str("session"),
            Self::Provider(name) => write!(f, "provider {name}"),
        }
    }
}

/// Finds out who presents these credentials, as the doors do.
#[cfg(test)]
pub async fn authenticate(db: &Db, credentials: &Credentials) -> Result<Option<Principal>, gate::GateError> {
    gate::Gate::new(db.clone(), secret::Secret::from_bytes([0; 32])).principal(credentials).await
}
