//! Networks between machines, and the interfaces that join them.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{AddressId, BackendError, IntentTag, Listing, MachineId, NetworkId};

/// The network that the broker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// The intent that asks.
    pub tag: IntentTag,
    /// For people.
    pub name: String,
    /// 802.1Q identifier, 0 to 4095; the backend chooses when there is none.
    pub vlan: Option<u16>,
    /// Label of a label-based VLAN: one word.
    pub label: Option<String>,
    /// The addresses on it, if it has any of its own.
    pub subnet: Option<Subnet>,
}

/// The addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The network's address.
    pub address: IpAddr,
    /// Length of its prefix, in bits.
    pub prefix: u8,
    /// The way out, if there is one.
    pub gateway: Option<IpAddr>,
    /// Whether machines are told their addresses on the network (DHCP).
    pub dynamic: bool,
}

/// A backend's facts about one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The backend's own name for it.
    pub id: NetworkId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// Where it stands.
    pub state: NetworkState,
    /// More about the state, for people.
    pub detail: Option<String>,
}

/// Where a network stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkState {
    /// Being made.
    Building,
    /// Carries traffic.
    Up,
    /// Kept, and carries nothing.
    Down,
    /// Cannot go on by itself.
    Failed,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl std::str::FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            *byte = part
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| "must be six pairs of hexadecimal digits joined by colons".to_owned())?;
        }
        if parts.next().is_some() {
            return Err("has more than six pairs".to_owned());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

/// What an interface leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum InterfaceTarget {
    /// A network.
    Network(NetworkId),
    /// A reserved address, on whatever network it lives.
    Address(AddressId),
}

/// A machine's interface, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSpec {
    /// The intent that asks; it names the interface.
    pub tag: IntentTag,
    /// Where it leads.
    pub target: InterfaceTarget,
    /// The Ethernet address that the client wishes for.
    pub mac: Option<MacAddress>,
    /// The IP address that the client wishes for.
    pub address: Option<IpAddr>,
}

/// A machine's interface, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The intent that made it.
    pub tag: IntentTag,
    /// The name of the device inside the machine, as far as the backend knows: `eth1`.
    pub device: String,
    /// Its Ethernet address.
    pub mac: MacAddress,
    /// Its IP address, if the backend knows one.
    pub address: Option<IpAddr>,
    /// The way out of its network.
    pub gateway: Option<IpAddr>,
}

/// What the broker may ask of a backend that has networks. The rules of [`crate::Backend`] hold.
#[async_trait]
pub trait Networks: Send + Sync {
    /// Asks for a network. One that carries the tag already is returned instead of a second one. It comes up by itself.
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError>;

    /// The present facts of one network.
    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError>;

    /// The network that carries this tag.
    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError>;

    /// All networks that carry a tag of ours.
    async fn networks(&self) -> Result<Listing<Network>, BackendError>;

    /// Lets the network carry traffic, or not. Where it is already, it is left alone.
    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError>;

    /// Gives the network other properties; the tag stays as it is.
    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError>;

    /// Destroys the network; an unknown one is a success, one with interfaces a [`BackendError::Conflict`].
    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError>;

    /// Gives the machine an interface. The same tag again answers what is there. Wishes are granted or refused, never
    /// replaced: what another interface has, or an address that is used, is a [`BackendError::Conflict`]. Where there
    /// is no wish, the backend chooses, and never the gateway.
    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError>;

    /// Takes the interface out of the machine; an unknown interface or machine is a success.
    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError>;
}
