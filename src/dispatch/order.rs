//! What a site is asked for on behalf of an entity.

use std::net::IpAddr;

use backend::{AddressSpec, IntentTag, MacAddress, MachineSpec, NetworkSpec, SecurityGroupSpec, VolumeSpec};
use occi_schema::{
    CategoryId,
    well_known::{
        COMPUTE, IP_RESERVATION, NETWORK, NETWORK_INTERFACE, SECURITY_GROUP, SECURITY_GROUP_LINK, STORAGE, STORAGE_LINK,
    },
};
use serde::{Deserialize, Serialize};

use crate::store::entity::Entity;

/// An entity's specification; which one it is follows from the entity's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A compute.
    Machine(MachineSpec),
    /// A storage.
    Volume(VolumeSpec),
    /// A network.
    Network(NetworkSpec),
    /// An IP reservation.
    Address(AddressSpec),
    /// A security group.
    SecurityGroup(SecurityGroupSpec),
    /// A link between two of them.
    Link(LinkOrder),
}

/// What a link's client wishes for; what the link joins stands in the entity itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkOrder {
    /// The intent that asks.
    pub tag: IntentTag,
    /// An interface's Ethernet address.
    pub mac: Option<MacAddress>,
    /// An interface's IP address.
    pub address: Option<IpAddr>,
    /// The device under which a guest sees a volume.
    pub device: Option<String>,
}

impl Order {
    /// Reads an entity's specification.
    ///
    /// # Errors
    /// In words: the kind has none, or what stands there is unreadable.
    pub fn of(entity: &Entity) -> Result<Self, String> {
        let read = |what: Result<Self, serde_json::Error>| {
            what.map_err(|error| format!("the specification of {} is unreadable: {error}", entity.id))
        };
        let text = entity.specification.clone();
        let kind = &entity.kind;
        if *kind == COMPUTE {
            read(serde_json::from_value(text).map(Self::Machine))
        } else if *kind == STORAGE {
            read(serde_json::from_value(text).map(Self::Volume))
        } else if *kind == NETWORK {
            read(serde_json::from_value(text).map(Self::Network))
        } else if *kind == IP_RESERVATION {
            read(serde_json::from_value(text).map(Self::Address))
        } else if *kind == SECURITY_GROUP {
            read(serde_json::from_value(text).map(Self::SecurityGroup))
        } else if is_link(kind) {
            read(serde_json::from_value(text).map(Self::Link))
        } else {
            Err(format!("sites have nothing of the kind {kind}"))
        }
    }

    /// As it is kept with the entity.
    ///
    /// # Errors
    /// It has no JSON, which must not happen.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        match self {
            Self::Machine(spec) => serde_json::to_value(spec),
            Self::Volume(spec) => serde_json::to_value(spec),
            Self::Network(spec) => serde_json::to_value(spec),
            Self::Address(spec) => serde_json::to_value(spec),
            Self::SecurityGroup(spec) => serde_json::to_value(spec),
            Self::Link(order) => serde_json::to_value(order),
        }
    }

    /// The intent that asks.
    pub fn tag(&self) -> IntentTag {
        match self {
            Self::Machine(spec) => spec.tag,
            Self::Volume(spec) => spec.tag,
            Self::Network(spec) => spec.tag,
            Self::Address(spec) => spec.tag,
            Self::SecurityGroup(spec) => spec.tag,
            Self::Link(order) => order.tag,
        }
    }

    /// What it is called at sites, for people.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Machine(_) => "machine",
            Self::Volume(_) => "volume",
            Self::Network(_) => "network",
            Self::Address(_) => "address",
            Self::SecurityGroup(_) => "security group",
            Self::Link(_) => "link",
        }
    }
}

/// Whether the kind is one of the links that sites know.
pub fn is_link(kind: &CategoryId) -> bool {
    [&NETWORK_INTERFACE, &STORAGE_LINK, &SECURITY_GROUP_LINK].contains(&kind)
}
