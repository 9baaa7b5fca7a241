use std::net::IpAddr;

use backend::{IntentTag, MacAddress};
use serde::Deserialize;

use crate::mark;

/// A machine's interface, as Neutron shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Port {
    pub(crate) id: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    pub(crate) device_id: String,
    #[serde(default)]
    pub(crate) device_owner: String,
    pub(crate) mac_address: MacAddress,
    #[serde(default)]
    pub(crate) fixed_ips: Vec<FixedAddress>,
    #[serde(default)]
    pub(crate) security_groups: Vec<String>,
    #[serde(default)]
    created_at: Option<String>,
}

/// An address of a port.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FixedAddress {
    pub(crate) subnet_id: String,
    pub(crate) ip_address: IpAddr,
}

impl Port {
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        mark::described(self.description.as_deref()?)
    }

    /// Where it stands among the ports of its machine.
    pub(crate) fn age(&self) -> (&str, &str) {
        (self.created_at.as_deref().unwrap_or_default(), &self.id)
    }

    /// The address by which it goes: the first of IPv4, or else the first.
    pub(crate) fn address(&self) -> Option<&FixedAddress> {
        self.fixed_ips.iter().find(|fixed| fixed.ip_address.is_ipv4()).or(self.fixed_ips.first())
    }
}
