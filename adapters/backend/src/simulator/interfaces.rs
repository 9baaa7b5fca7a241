//! The interfaces of machines.

use std::{collections::BTreeSet, net::IpAddr};

use super::{State, address_range::AddressRange};
use crate::{
    AddressId, BackendError, Capability, IntentTag, Interface, InterfaceSpec, InterfaceTarget, MacAddress, MachineId,
    NetworkId,
};

/// An interface, and where it leads.
pub(super) struct PluggedInterface {
    pub(super) target: InterfaceTarget,
    pub(super) facts: Interface,
}

/// An interface's place on its network.
struct Place {
    address: Option<IpAddr>,
    gateway: Option<IpAddr>,
}

impl State {
    pub(super) fn plug(&mut self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        let interfaces = &self.machine(machine)?.interfaces;
        if let Some(existing) = interfaces.iter().find(|interface| interface.facts.tag == spec.tag) {
            return Ok(existing.facts.clone());
        }
        let device = free_device(interfaces);
        if spec.mac.is_some() {
            self.behaviour.must(Capability::MacOfChoice)?;
        }
        if spec.address.is_some() {
            self.behaviour.must(Capability::AddressOfChoice)?;
        }
        let place = match &spec.target {
            InterfaceTarget::Network(network) => self.place_on_network(network, spec.address)?,
            InterfaceTarget::Address(address) => self.place_at_address(address, spec.address)?,
        };
        let mac = self.mac(spec)?;
        let Place { address, gateway } = place;
        let facts = Interface { tag: spec.tag, device, mac, address, gateway };
        let interface = PluggedInterface { target: spec.target.clone(), facts: facts.clone() };
        self.join_interface(machine, interface)?;
        Ok(facts)
    }

    fn place_on_network(&self, id: &NetworkId, wanted: Option<IpAddr>) -> Result<Place, BackendError> {
        let subnet = self.network(id)?.spec.subnet.as_ref();
        let target = InterfaceTarget::Network(id.clone());
        let nobody = BTreeSet::new();
        let taken = self.joins.segment(&target).map_or(&nobody, |segment| &segment.addresses);
        if let Some(wanted) = wanted.filter(|wanted| taken.contains(wanted)) {
            return Err(BackendError::Conflict(format!("another interface on network {id} has the address {wanted}")));
        }
        // A network without addresses of its own leaves them to its machines.
        let Some(subnet) = subnet else { return Ok(Place { address: wanted, gateway: None }) };
        let range = AddressRange::of(subnet)?;
        let address = match wanted {
            Some(wanted) if range.admits(wanted) => wanted,
            Some(wanted) => {
                let what = format!("{wanted} is no address for a machine on network {id}");
                return Err(BackendError::Refused(what));
            }
            None => {
                range.free(taken).ok_or_else(|| BackendError::Capacity(format!("network {id} has no free address")))?
            }
        };
        Ok(Place { address: Some(address), gateway: subnet.gateway })
    }

    fn place_at_address(&self, id: &AddressId, wanted: Option<IpAddr>) -> Result<Place, BackendError> {
        let address = self.reserved(id)?.address;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != address) {
            return Err(BackendError::Refused(format!("{wanted} was wished for, but {id} is {address}")));
        }
        let target = InterfaceTarget::Address(id.clone());
        if let Some(machine) = self.joins.machine_on(&target) {
            return Err(BackendError::Conflict(format!("machine {machine} has the address {address}")));
        }
        Ok(Place { address: Some(address), gateway: None })
    }

    fn mac(&self, spec: &InterfaceSpec) -> Result<MacAddress, BackendError> {
        let taken = |mac| self.joins.is_taken(mac);
        let Some(wanted) = spec.mac else { return Ok(free_mac(spec.tag, taken)) };
        let [first, ..] = wanted.0;
        if first & 1 == 1 || wanted.0 == [0; 6] {
            return Err(BackendError::Refused(format!("{wanted} is no address of a single interface")));
        }
        if taken(wanted) {
            return Err(BackendError::Conflict(format!("another interface has the Ethernet address {wanted}")));
        }
        Ok(wanted)
    }
}

/// Locally administered, and from the random end of the tag.
fn free_mac(tag: IntentTag, taken: impl Fn(MacAddress) -> bool) -> MacAddress {
    let [.., a, b, c, d, e] = *tag.0.as_bytes();
    let mut serial = u32::from_be_bytes([b, c, d, e]);
    loop {
        let [b, c, d, e] = serial.to_be_bytes();
        let mac = MacAddress([0x02, a, b, c, d, e]);
        if !taken(mac) {
            return mac;
        }
        serial = serial.wrapping_add(1);
    }
}

/// The first one behind the machine's own, `eth0`.
fn free_device(interfaces: &[PluggedInterface]) -> String {
    let free = |device: &String| interfaces.iter().all(|interface| interface.facts.device != *device);
    (1_u32..).map(|index| format!("eth{index}")).find(free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_ethernet_address_that_is_taken_makes_way_for_the_next() {
        let tag = IntentTag(Uuid::from_bytes([0xff; 16]));
        let first = free_mac(tag, |_| false);
        assert_eq!(first.to_string(), "02:ff:ff:ff:ff:ff");
        assert_eq!(free_mac(tag, |mac| mac == first).to_string(), "02:ff:00:00:00:00");
    }
}
