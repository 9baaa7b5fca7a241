//! What joins two objects, seen from the other side: which machine has a volume, an address, a security group.
//!
//! The machine's own lists are the truth. This is the index to them, kept by the few functions here through which they
//! change.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use super::{State, interfaces::PluggedInterface, unknown};
use crate::{Attachment, BackendError, IntentTag, InterfaceTarget, MacAddress, MachineId, SecurityGroupId, VolumeId};

#[derive(Default)]
pub(super) struct Joins {
    volumes: HashMap<VolumeId, MachineId>,
    segments: HashMap<InterfaceTarget, Segment>,
    macs: HashSet<MacAddress>,
    groups: HashMap<SecurityGroupId, BTreeSet<MachineId>>,
}

/// The interfaces that lead to one place.
#[derive(Default)]
pub(super) struct Segment {
    interfaces: BTreeSet<(MachineId, IntentTag)>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl Joins {
    pub(super) fn machine_with_volume(&self, id: &VolumeId) -> Option<&MachineId> {
        self.volumes.get(id)
    }

    pub(super) fn machine_with_group(&self, id: &SecurityGroupId) -> Option<&MachineId> {
        self.groups.get(id).and_then(BTreeSet::first)
    }

    pub(super) fn machine_on(&self, target: &InterfaceTarget) -> Option<&MachineId> {
        self.segments.get(target).and_then(|segment| segment.interfaces.first()).map(|(machine, _)| machine)
    }

    pub(super) fn segment(&self, target: &InterfaceTarget) -> Option<&Segment> {
        self.segments.get(target)
    }

    pub(super) fn is_taken(&self, mac: MacAddress) -> bool {
        self.macs.contains(&mac)
    }

    fn plugged(&mut self, machine: &MachineId, interface: &PluggedInterface) {
        let segment = self.segments.entry(interface.target.clone()).or_default();
        segment.interfaces.insert((machine.clone(), interface.facts.tag));
        segment.addresses.extend(interface.facts.address);
        self.macs.insert(interface.facts.mac);
    }

    fn unplugged(&mut self, machine: &MachineId, interface: &PluggedInterface) {
        self.macs.remove(&interface.facts.mac);
        let Some(segment) = self.segments.get_mut(&interface.target) else { return };
        segment.interfaces.remove(&(machine.clone(), interface.facts.tag));
        if let Some(address) = interface.facts.address {
            segment.addresses.remove(&address);
        }
        if segment.interfaces.is_empty() {
            self.segments.remove(&interface.target);
        }
    }

    fn lifted(&mut self, machine: &MachineId, group: &SecurityGroupId) {
        let Some(machines) = self.groups.get_mut(group) else { return };
        machines.remove(machine);
        if machines.is_empty() {
            self.groups.remove(group);
        }
    }
}

impl State {
    pub(super) fn join_volume(&mut self, machine: &MachineId, attachment: Attachment) -> Result<(), BackendError> {
        let one = self.machines.get_mut(machine).ok_or_else(|| unknown("a machine", machine))?;
        self.joins.volumes.insert(attachment.volume.clone(), machine.clone());
        one.attachments.push(attachment);
        Ok(())
    }

    pub(super) fn part_volumes(&mut self, machine: &MachineId, goes: impl Fn(&Attachment) -> bool) {
        let Some(one) = self.machines.get_mut(machine) else { return };
        for gone in one.attachments.extract_if(.., |attachment| goes(attachment)) {
            self.joins.volumes.remove(&gone.volume);
        }
    }

    pub(super) fn join_interface(
        &mut self,
        machine: &MachineId,
        interface: PluggedInterface,
    ) -> Result<(), BackendError> {
        let one = self.machines.get_mut(machine).ok_or_else(|| unknown("a machine", machine))?;
        self.joins.plugged(machine, &interface);
        one.interfaces.push(interface);
        Ok(())
    }

    pub(super) fn part_interfaces(&mut self, machine: &MachineId, goes: impl Fn(&PluggedInterface) -> bool) {
        let Some(one) = self.machines.get_mut(machine) else { return };
        for gone in one.interfaces.extract_if(.., |interface| goes(interface)) {
            self.joins.unplugged(machine, &gone);
        }
    }

    pub(super) fn join_group(&mut self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        let one = self.machines.get_mut(machine).ok_or_else(|| unknown("a machine", machine))?;
        one.security_groups.insert(group.clone());
        self.joins.groups.entry(group.clone()).or_default().insert(machine.clone());
        Ok(())
    }

    pub(super) fn part_group(&mut self, machine: &MachineId, group: &SecurityGroupId) {
        let Some(one) = self.machines.get_mut(machine) else { return };
        one.security_groups.remove(group);
        self.joins.lifted(machine, group);
    }

    /// The machine goes, and all that joins it to others.
    pub(super) fn remove_machine(&mut self, id: &MachineId) {
        self.part_volumes(id, |_| true);
        self.part_interfaces(id, |_| true);
        if let Some(machine) = self.machines.remove(id) {
            machine.security_groups.iter().for_each(|group| self.joins.lifted(id, group));
            self.tell_of_machine(id);
        }
    }

    /// The volume goes, out of its machine too.
    pub(super) fn remove_volume(&mut self, id: &VolumeId) {
        self.volumes.remove(id);
        self.tell_of_volume(id);
        if let Some(machine) = self.joins.volumes.get(id).cloned() {
            self.part_volumes(&machine, |attachment| attachment.volume == *id);
        }
    }

    /// Everything that leads there goes.
    pub(super) fn remove_interfaces_to(&mut self, target: &InterfaceTarget) {
        let machines: Vec<MachineId> =
            self.joins.segments.get(target).map_or_else(Vec::new, |segment| {
                segment.interfaces.iter().map(|(machine, _)| machine.clone()).collect()
            });
        for machine in machines {
            self.part_interfaces(&machine, |interface| interface.target == *target);
        }
    }
}
