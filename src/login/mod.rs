//! WHO asks.

pub mod account;
pub mod code;
pub mod confirmation;
mod credentials;
pub mod device;
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

#[cfg(test)]
use crate::store::Db;
use crate::store::member::{ProjectId, UserId};

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

/// Finds out who presents these credentials, as the doors do.
#[cfg(test)]
pub async fn authenticate(db: &Db, credentials: &Credentials) -> Result<Option<Principal>, gate::GateError> {
    gate::Gate::new(db.clone(), secret::Secret::from_bytes([0; 32])).principal(credentials).await
}
