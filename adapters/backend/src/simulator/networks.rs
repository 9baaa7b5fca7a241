//! Networks; how machines join them stands in `interfaces`.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Course, Operation, Simulator, State, address_range::AddressRange, shelf::Object, unknown};
use crate::{
    BackendError, Capability, IntentTag, Interface, InterfaceSpec, InterfaceTarget, Listing, MachineId, Network,
    NetworkId, NetworkSpec, NetworkState, Networks,
};

const LARGEST_VLAN: u16 = 4095;

pub(super) struct SimulatedNetwork {
    id: NetworkId,
    /// As it was ordered, and since then changed.
    pub(super) spec: NetworkSpec,
    course: Course<NetworkState>,
    detail: Option<String>,
}

impl Object for SimulatedNetwork {
    type Id = NetworkId;

    const PREFIX: &'static str = "net";

    fn tag(&self) -> IntentTag {
        self.spec.tag
    }
}

impl SimulatedNetwork {
    pub(super) fn facts(&self, now: Instant) -> Network {
        let state = self.course.at(now);
        Network { id: self.id.clone(), tag: self.spec.tag, state, detail: self.detail.clone() }
    }

    pub(super) fn arrival(&self) -> Option<Instant> {
        self.course.arrival.map(|(at, _)| at)
    }

    pub(super) fn fail(&mut self, detail: &str) {
        self.course = Course::at_rest(NetworkState::Failed);
        self.detail = Some(detail.to_owned());
    }

    fn set_up(&mut self, up: bool, now: Instant) -> Result<(), BackendError> {
        match (self.course.at(now), up) {
            (NetworkState::Up, true) | (NetworkState::Down, false) => {}
            // It comes up by itself.
            (NetworkState::Building, true) => {}
            (NetworkState::Down, true) => self.course = Course::at_rest(NetworkState::Up),
            (NetworkState::Up, false) => self.course = Course::at_rest(NetworkState::Down),
            (other, _) => {
                let wanted = if up { "up" } else { "down" };
                let what = format!("network {} is {other:?} and cannot go {wanted} now", self.id);
                return Err(BackendError::Conflict(what));
            }
        }
        Ok(())
    }
}

impl State {
    pub(super) fn network(&self, id: &NetworkId) -> Result<&SimulatedNetwork, BackendError> {
        self.networks.get(id).ok_or_else(|| unknown("a network", id))
    }

    fn network_mut(&mut self, id: &NetworkId) -> Result<&mut SimulatedNetwork, BackendError> {
        self.networks.get_mut(id).ok_or_else(|| unknown("a network", id))
    }

    fn create_network(&mut self, spec: &NetworkSpec, now: Instant) -> Result<Network, BackendError> {
        if self.behaviour.idempotent_create
            && let Some(existing) = self.networks.oldest(spec.tag)?
        {
            return Ok(existing.facts(now));
        }
        admit(spec)?;
        if spec.vlan.is_some() {
            self.behaviour.must(Capability::VlanOfChoice)?;
        }
        let id = self.networks.fresh_name(spec.tag)?;
        let up_at = now + self.behaviour.delays.network;
        let course = Course::through(NetworkState::Building, up_at, NetworkState::Up);
        let network = SimulatedNetwork { id: id.clone(), spec: spec.clone(), course, detail: None };
        let facts = network.facts(now);
        self.networks.insert(id.clone(), network, now);
        self.tell_of_network(&id);
        Ok(facts)
    }

    fn delete_network(&mut self, id: &NetworkId) -> Result<(), BackendError> {
        let target = InterfaceTarget::Network(id.clone());
        if let Some(machine) = self.joins.machine_on(&target) {
            let what = format!("network {id} has an interface of machine {machine}: unplug it first");
            return Err(BackendError::Conflict(what));
        }
        self.networks.remove(id);
        self.tell_of_network(id);
        Ok(())
    }
}

fn admit(spec: &NetworkSpec) -> Result<(), BackendError> {
    if let Some(vlan) = spec.vlan.filter(|vlan| *vlan > LARGEST_VLAN) {
        return Err(BackendError::Refused(format!("VLAN {vlan} is larger than {LARGEST_VLAN}")));
    }
    let one_word = |label: &str| !label.is_empty() && !label.contains(char::is_whitespace);
    if let Some(label) = spec.label.as_deref().filter(|label| !one_word(label)) {
        return Err(BackendError::Refused(format!("the label {label:?} is not one word")));
    }
    spec.subnet.as_ref().map_or(Ok(()), |subnet| AddressRange::of(subnet).map(drop))
}

#[async_trait]
impl Networks for Simulator {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        self.perform(Operation::CreateNetwork, |state, now| state.create_network(spec, now)).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        self.perform(Operation::Network, |state, now| Ok(state.network(id)?.facts(now))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        let find = |state: &mut State, now| {
            let found = state.networks.find(tag, now, state.behaviour.listing_lag)?;
            Ok(found.map(|found| found.facts(now)))
        };
        self.perform(Operation::FindNetworkByTag, find).await
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.perform(Operation::Networks, |state, now| Ok(state.list_networks(now))).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        let set = |state: &mut State, now| {
            if !up {
                state.behaviour.must(Capability::NetworkDown)?;
            }
            state.network_mut(id)?.set_up(up, now)?;
            state.tell_of_network(id);
            Ok(())
        };
        self.perform(Operation::SetNetworkUp, set).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        let change = |state: &mut State, _| {
            if state.network(id)?.spec.subnet != spec.subnet {
                state.behaviour.must(Capability::NetworkReaddress)?;
            }
            let network = state.network_mut(id)?;
            admit(spec)?;
            network.spec = NetworkSpec { tag: network.spec.tag, ..spec.clone() };
            Ok(())
        };
        self.perform(Operation::ChangeNetwork, change).await
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        self.perform(Operation::DeleteNetwork, |state, _| state.delete_network(id)).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        self.perform(Operation::Plug, |state, _| state.plug(machine, spec)).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let unplug = |state: &mut State, _| {
            state.part_interfaces(machine, |interface| interface.facts.tag == tag);
            Ok(())
        };
        self.perform(Operation::Unplug, unplug).await
    }
}
