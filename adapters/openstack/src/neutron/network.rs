use std::net::IpAddr;

use backend::{BackendError, IntentTag, Network, NetworkState};
use serde::Deserialize;

use crate::{identifier, mark};

/// A network, as Neutron shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NeutronNetwork {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    pub(crate) admin_state_up: bool,
    #[serde(rename = "router:external", default)]
    pub(crate) external: bool,
    #[serde(default)]
    pub(crate) shared: bool,
    #[serde(default)]
    pub(crate) subnets: Vec<String>,
}

impl NeutronNetwork {
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        mark::described(self.description.as_deref()?)
    }

    /// The facts; none for a network that is not ours.
    pub(crate) fn facts(&self) -> Result<Option<Network>, BackendError> {
        let Some(tag) = self.tag() else { return Ok(None) };
        let id = identifier::answered("network", &self.id)?;
        let id = id.try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
        let state = match self.status.as_str() {
            "BUILD" => NetworkState::Building,
            "ERROR" => NetworkState::Failed,
            // Neutron's own state is that of its agents' work; whether a network is wanted to carry anything is ours.
            _ if !self.admin_state_up => NetworkState::Down,
            _ => NetworkState::Up,
        };
        let detail = (state == NetworkState::Failed).then(|| "Neutron says ERROR, and not why".to_owned());
        Ok(Some(Network { id, tag, state, detail }))
    }
}

/// The addresses of a network, as Neutron shows them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NeutronSubnet {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) cidr: String,
    #[serde(default)]
    pub(crate) gateway_ip: Option<IpAddr>,
    #[serde(default)]
    pub(crate) enable_dhcp: bool,
}

impl NeutronSubnet {
    /// Its address and the length of its prefix.
    pub(crate) fn range(&self) -> Option<(IpAddr, u8)> {
        let (address, prefix) = self.cidr.split_once('/')?;
        Some((address.parse().ok()?, prefix.parse().ok()?))
    }
}
