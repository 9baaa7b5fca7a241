use std::net::{IpAddr, Ipv4Addr};

use backend::{IntentTag, NetworkState};

use super::{Document, Unreadable, id_of, message, name_of, number};
use crate::{
    names::{self, Id},
    xml::Element,
};

/// A virtual network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NetworkDocument {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) tag: Option<IntentTag>,
    pub(crate) state: NetworkStanding,
    pub(crate) used_leases: u64,
    /// The first address of its first range.
    pub(crate) first_address: Option<IpAddr>,
    /// Its IPv4 ranges: their names, first addresses and sizes.
    pub(crate) ranges: Vec<(Id, Ipv4Addr, u32)>,
    pub(crate) gateway: Option<IpAddr>,
    /// The network's own address and the length of its prefix.
    pub(crate) subnet: Option<(IpAddr, u8)>,
    pub(crate) error: Option<String>,
}

/// Where a virtual network stands (source `VirtualNetwork::VirtualNetworkState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkStanding {
    Arriving,
    Ready,
    Leaving,
    Failed,
    /// Some machines could not be given what has changed.
    PartlyUpdated,
    Done,
}

impl NetworkStanding {
    fn of(number: i32) -> Option<Self> {
        Some(match number {
            0 | 2 => Self::Arriving,
            1 => Self::Ready,
            3 => Self::Leaving,
            4 => Self::Done,
            5 => Self::Failed,
            6 => Self::PartlyUpdated,
            _ => return None,
        })
    }

    /// What the broker is told.
    pub(crate) fn state(self) -> NetworkState {
        match self {
            Self::Arriving => NetworkState::Building,
            Self::Ready | Self::PartlyUpdated => NetworkState::Up,
            Self::Leaving | Self::Done => NetworkState::Down,
            Self::Failed => NetworkState::Failed,
        }
    }
}

impl NetworkDocument {
    /// The range that this address lies in.
    pub(crate) fn range_of(&self, address: IpAddr) -> Option<Id> {
        let IpAddr::V4(address) = address else { return None };
        let holds =
            |first: Ipv4Addr, size: u32| u32::from(address).checked_sub(first.into()).is_some_and(|at| at < size);
        self.ranges.iter().find(|(_, first, size)| holds(*first, *size)).map(|(id, ..)| *id)
    }
}

impl Document for NetworkDocument {
    const ELEMENT: &'static str = "VNET";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let id = id_of(element)?;
        let template = element.child("TEMPLATE");
        // Before 6.4 there was no such state: a network was there at once.
        let state = if element.text_of("STATE").is_some() { number(element, "STATE")? } else { 1 };
        let range = element.child("AR_POOL").and_then(|pool| pool.child("AR"));
        let of_range = |name| range.and_then(|range| range.value_of(name));
        Ok(Self {
            id,
            name: name_of(element)?,
            tag: template.and_then(|template| template.value_of(names::TAG)),
            state: NetworkStanding::of(state)
                .ok_or_else(|| Unreadable(format!("VNET {id}: its state {state} is of another version")))?,
            used_leases: element.value_of("USED_LEASES").unwrap_or(0),
            first_address: of_range("IP").or_else(|| of_range("IP6")),
            ranges: element
                .child("AR_POOL")
                .map(|pool| pool.all("AR"))
                .into_iter()
                .flatten()
                .filter_map(read_range)
                .collect(),
            gateway: template.and_then(|template| template.value_of("GATEWAY")),
            subnet: template.and_then(subnet),
            error: message(template, "ERROR"),
        })
    }
}

fn read_range(range: &Element) -> Option<(Id, Ipv4Addr, u32)> {
    Some((range.value_of("AR_ID")?, range.value_of("IP")?, range.value_of("SIZE")?))
}

fn subnet(template: &Element) -> Option<(IpAddr, u8)> {
    let address: Ipv4Addr = template.value_of("NETWORK_ADDRESS")?;
    let mask: Ipv4Addr = template.value_of("NETWORK_MASK")?;
    let bits = u32::from(mask);
    let prefix =
        u8::try_from(bits.leading_ones()).ok().filter(|_| bits.leading_ones() + bits.trailing_zeros() >= 32)?;
    Some((address.into(), prefix))
}
