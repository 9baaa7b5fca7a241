//! Addresses that are kept for a tenant, whether a machine uses them or not.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{AddressId, BackendError, IntentTag};

/// The address that the broker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpec {
    /// The intent that asks.
    pub tag: IntentTag,
    /// The very address that the client wishes for; the backend chooses when there is none.
    pub wanted: Option<IpAddr>,
}

/// A backend's facts about one reserved address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedAddress {
    /// The backend's own name for it.
    pub id: AddressId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// The address.
    pub address: IpAddr,
    /// Whether a machine has it.
    pub used: bool,
}

/// What the broker may ask of a backend that reserves addresses. The rules of [`crate::Backend`] hold.
#[async_trait]
pub trait Addresses: Send + Sync {
    /// Reserves an address. One that carries the tag already is returned instead of a second one; one that somebody
    /// else has is a [`BackendError::Conflict`].
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError>;

    /// The present facts of one reserved address.
    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError>;

    /// The address that carries this tag.
    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError>;

    /// Gives the address back; an unknown one is a success, a used one a [`BackendError::Conflict`].
    async fn release(&self, id: &AddressId) -> Result<(), BackendError>;
}
