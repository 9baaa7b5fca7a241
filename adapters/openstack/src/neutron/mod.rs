//! Neutron's part of the protocol (Networking API v2.0).

mod floating_address;
mod network;
mod port;
mod security_group;

pub(crate) use floating_address::FloatingAddress;
pub(crate) use network::{NeutronNetwork, NeutronSubnet};
pub(crate) use port::Port;
pub(crate) use security_group::{NeutronGroup, wanted_rules};
