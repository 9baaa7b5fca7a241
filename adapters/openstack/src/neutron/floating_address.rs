use std::net::IpAddr;

use backend::{BackendError, IntentTag, ReservedAddress};
use serde::Deserialize;

use crate::{identifier, mark};

/// A floating address, as Neutron shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FloatingAddress {
    pub(crate) id: String,
    #[serde(default)]
    description: Option<String>,
    pub(crate) floating_ip_address: IpAddr,
    #[serde(default)]
    pub(crate) port_id: Option<String>,
    /// The interface that uses it is a tag of it.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
}

impl FloatingAddress {
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        mark::described(self.description.as_deref()?)
    }

    /// The facts; none for an address that is not ours.
    pub(crate) fn facts(&self) -> Result<Option<ReservedAddress>, BackendError> {
        let Some(tag) = self.tag() else { return Ok(None) };
        let id = identifier::answered("reserved address", &self.id)?;
        let id = id.try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
        let used = self.port_id.is_some();
        Ok(Some(ReservedAddress { id, tag, address: self.floating_ip_address, used }))
    }
}
