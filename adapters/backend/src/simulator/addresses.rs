//! Reserved addresses.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Operation, Simulator, State, shelf::Object, unknown};
use crate::{AddressId, AddressSpec, Addresses, BackendError, Capability, IntentTag, InterfaceTarget, ReservedAddress};

/// Where addresses come from that nobody wished for: those for documentation (RFC 5737), which lead nowhere.
const POOLS: [[u8; 3]; 2] = [[203, 0, 113], [198, 51, 100]];

pub(super) struct SimulatedAddress {
    id: AddressId,
    tag: IntentTag,
    pub(super) address: IpAddr,
}

impl Object for SimulatedAddress {
    type Id = AddressId;

    const PREFIX: &'static str = "addr";

    fn tag(&self) -> IntentTag {
        self.tag
    }
}

impl State {
    pub(super) fn reserved(&self, id: &AddressId) -> Result<&SimulatedAddress, BackendError> {
        self.addresses.get(id).ok_or_else(|| unknown("a reserved address", id))
    }

    fn is_used(&self, id: &AddressId) -> bool {
        self.joins.machine_on(&InterfaceTarget::Address(id.clone())).is_some()
    }

    fn address_facts(&self, reserved: &SimulatedAddress) -> ReservedAddress {
        let SimulatedAddress { id, tag, address } = reserved;
        ReservedAddress { id: id.clone(), tag: *tag, address: *address, used: self.is_used(id) }
    }

    fn reserve(&mut self, spec: &AddressSpec, now: Instant) -> Result<ReservedAddress, BackendError> {
        if self.behaviour.idempotent_create
            && let Some(existing) = self.addresses.oldest(spec.tag)?
        {
            return Ok(self.address_facts(existing));
        }
        if spec.wanted.is_some() {
            self.behaviour.must(Capability::ReservationOfChoice)?;
        }
        let id = self.addresses.fresh_name(spec.tag)?;
        let taken = |address: IpAddr| self.taken_addresses.contains(&address);
        let address = match spec.wanted {
            Some(wanted) if !is_reservable(wanted) => {
                return Err(BackendError::Refused(format!("{wanted} is no address that a machine could have")));
            }
            Some(wanted) if taken(wanted) => {
                return Err(BackendError::Conflict(format!("the address {wanted} is reserved by another")));
            }
            Some(wanted) => wanted,
            None => pooled()
                .find(|address| !taken(*address))
                .ok_or_else(|| BackendError::Capacity("all addresses are reserved: release one".into()))?,
        };
        let reserved = SimulatedAddress { id: id.clone(), tag: spec.tag, address };
        let facts = self.address_facts(&reserved);
        self.addresses.insert(id, reserved, now);
        self.taken_addresses.insert(address);
        Ok(facts)
    }

    fn release(&mut self, id: &AddressId) -> Result<(), BackendError> {
        if self.is_used(id) {
            return Err(BackendError::Conflict(format!("a machine uses {id}: unplug its interface first")));
        }
        if let Some(released) = self.addresses.remove(id) {
            self.taken_addresses.remove(&released.address);
        }
        Ok(())
    }
}

fn pooled() -> impl Iterator<Item = IpAddr> {
    POOLS.into_iter().flat_map(|[a, b, c]| (1..255).map(move |d| Ipv4Addr::new(a, b, c, d).into()))
}

fn is_reservable(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

#[async_trait]
impl Addresses for Simulator {
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        self.perform(Operation::ReserveAddress, |state, now| state.reserve(spec, now)).await
    }

    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError> {
        self.perform(Operation::Address, |state, _| Ok(state.address_facts(state.reserved(id)?))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError> {
        let find = |state: &mut State, now| {
            let found = state.addresses.find(tag, now, state.behaviour.listing_lag)?;
            Ok(found.map(|reserved| state.address_facts(reserved)))
        };
        self.perform(Operation::FindAddressByTag, find).await
    }

    async fn release(&self, id: &AddressId) -> Result<(), BackendError> {
        self.perform(Operation::ReleaseAddress, |state, _| state.release(id)).await
    }
}
