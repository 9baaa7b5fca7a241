//! What tests may see of the service, past the contract.

use std::collections::{BTreeMap, BTreeSet};

use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};

use super::{
    Operation, Parts, Simulator, State,
    shelf::{Object, Shelf},
};
use crate::{Capability, IntentTag, MachineSpec, NetworkSpec, VolumeSpec, request::RequestId};

/// Kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum ObjectKind {
    Machine,
    Volume,
    Network,
    Address,
    SecurityGroup,
}

/// An object and the intent that made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaggedObject {
    /// The intent.
    pub tag: IntentTag,
    /// What it is.
    pub kind: ObjectKind,
    /// What the simulator calls it.
    pub id: String,
}

/// How much there is of everything, and how often everything was called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Machines, of whatever state.
    pub machines: usize,
    /// Volumes, of whatever state.
    pub volumes: usize,
    /// Copies of volumes.
    pub copies: usize,
    /// Volumes in machines.
    pub attachments: usize,
    /// Networks, of whatever state.
    pub networks: usize,
    /// Interfaces that were plugged into machines.
    pub interfaces: usize,
    /// Reserved addresses.
    pub addresses: usize,
    /// Security groups.
    pub security_groups: usize,
    /// How many times a machine has a security group.
    pub applied_groups: usize,
    /// Snapshots of machines.
    #[serde(default)]
    pub snapshots: usize,
    /// The calls of each kind, failures included.
    pub calls: BTreeMap<Operation, u64>,
    /// All calls.
    pub total_calls: u64,
    /// The most calls of each kind that were under way at the same time.
    pub most_at_once: BTreeMap<Operation, usize>,
    /// The calls under way at this moment.
    pub under_way: usize,
    /// The tags that more than one object carries.
    pub duplicates: Vec<IntentTag>,
}

impl State {
    fn objects(&self) -> Vec<TaggedObject> {
        let mut all = Vec::new();
        collect(&mut all, ObjectKind::Machine, &self.machines);
        collect(&mut all, ObjectKind::Volume, &self.volumes);
        collect(&mut all, ObjectKind::Network, &self.networks);
        collect(&mut all, ObjectKind::Address, &self.addresses);
        collect(&mut all, ObjectKind::SecurityGroup, &self.security_groups);
        all.sort_unstable();
        all
    }

    fn duplicates(&self) -> Vec<IntentTag> {
        let objects = self.objects();
        let machines = || self.machines.iter().map(|(_, machine)| machine);
        let attachments = machines().flat_map(|machine| machine.attachments.iter().map(|one| one.tag));
        let interfaces = machines().flat_map(|machine| machine.interfaces.iter().map(|one| one.facts.tag));
        let mut seen = BTreeSet::new();
        let again = objects.iter().map(|object| object.tag).chain(attachments).chain(interfaces);
        again.filter(|tag| !seen.insert(*tag)).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn collect<T: Object>(all: &mut Vec<TaggedObject>, kind: ObjectKind, shelf: &Shelf<T>) {
    all.extend(shelf.iter().map(|(id, object)| TaggedObject { tag: object.tag(), kind, id: id.to_string() }));
}

impl Simulator {
    /// How often an operation was called, failures included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().traffic.of(operation).map_or(0, |count| count.calls)
    }

    /// How often anything was called, failures included.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.lock().traffic.all().calls
    }

    /// The most calls of an operation that were under way at the same time.
    #[must_use]
    pub fn most_at_once(&self, operation: Operation) -> usize {
        self.lock().traffic.of(operation).map_or(0, |count| count.most_at_once)
    }

    /// The most calls of whatever kind that were under way at the same time.
    #[must_use]
    pub fn most_of_all_at_once(&self) -> usize {
        self.lock().traffic.all().most_at_once
    }

    /// On whose behalf the last call of an operation was, if it said so.
    #[must_use]
    pub fn last_request(&self, operation: Operation) -> Option<RequestId> {
        self.lock().traffic.of(operation).and_then(|count| count.last_request.clone())
    }

    /// The tags that more than one object carries, of whatever kinds; interfaces and attachments count as objects.
    #[must_use]
    pub fn duplicates(&self) -> Vec<IntentTag> {
        self.lock().duplicates()
    }

    /// All objects, by tag.
    #[must_use]
    pub fn objects(&self) -> Vec<TaggedObject> {
        self.lock().objects()
    }

    /// Everything that can be counted, at one moment.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let state = self.lock();
        let mut inventory = Inventory {
            machines: state.machines.len(),
            volumes: state.volumes.len(),
            copies: state.volumes.iter().map(|(_, volume)| volume.copies.len()).sum(),
            networks: state.networks.len(),
            addresses: state.addresses.len(),
            security_groups: state.security_groups.len(),
            calls: state.traffic.iter().map(|(operation, count)| (operation, count.calls)).collect(),
            total_calls: state.traffic.all().calls,
            most_at_once: state.traffic.iter().map(|(operation, count)| (operation, count.most_at_once)).collect(),
            under_way: state.traffic.all().under_way,
            duplicates: state.duplicates(),
            ..Inventory::default()
        };
        for (_, machine) in state.machines.iter() {
            inventory.attachments += machine.attachments.len();
            inventory.interfaces += machine.interfaces.len();
            inventory.applied_groups += machine.security_groups.len();
            inventory.snapshots += machine.snapshots.len();
        }
        inventory
    }

    /// Which optional parts of the contract it has.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let behaviour = &self.lock().behaviour;
        Parts {
            snapshots: behaviour.can(Capability::Snapshots),
            events: behaviour.can(Capability::Events),
            ..behaviour.parts
        }
    }

    /// Whether the image was delivered.
    #[must_use]
    pub fn holds_image(&self, digest: &ContentDigest) -> bool {
        self.lock().images.holds(digest)
    }

    /// How many machines exist, of whatever state.
    #[must_use]
    pub fn machine_count(&self) -> usize {
        self.lock().machines.len()
    }

    /// How many volumes exist, of whatever state.
    #[must_use]
    pub fn volume_count(&self) -> usize {
        self.lock().volumes.len()
    }

    /// How many copies of volumes exist.
    #[must_use]
    pub fn copy_count(&self) -> usize {
        self.inventory().copies
    }

    /// How many volumes are in machines.
    #[must_use]
    pub fn attachment_count(&self) -> usize {
        self.inventory().attachments
    }

    /// How many networks exist, of whatever state.
    #[must_use]
    pub fn network_count(&self) -> usize {
        self.lock().networks.len()
    }

    /// How many interfaces all machines have that were plugged in.
    #[must_use]
    pub fn interface_count(&self) -> usize {
        self.inventory().interfaces
    }

    /// How many addresses are reserved.
    #[must_use]
    pub fn address_count(&self) -> usize {
        self.lock().addresses.len()
    }

    /// How many security groups exist.
    #[must_use]
    pub fn security_group_count(&self) -> usize {
        self.lock().security_groups.len()
    }

    /// How many times a machine has a security group.
    #[must_use]
    pub fn applied_group_count(&self) -> usize {
        self.inventory().applied_groups
    }

    /// A machine as it was ordered, and since then resized; the oldest one of the tag.
    #[must_use]
    pub fn machine_spec(&self, tag: IntentTag) -> Option<MachineSpec> {
        self.lock().machines.oldest(tag).ok()?.map(|machine| machine.spec.clone())
    }

    /// A volume as it was ordered, and since then resized; the oldest one of the tag.
    #[must_use]
    pub fn volume_spec(&self, tag: IntentTag) -> Option<VolumeSpec> {
        self.lock().volumes.oldest(tag).ok()?.map(|volume| volume.spec.clone())
    }

    /// A network as it was ordered, and since then changed; the oldest one of the tag.
    #[must_use]
    pub fn network_spec(&self, tag: IntentTag) -> Option<NetworkSpec> {
        self.lock().networks.oldest(tag).ok()?.map(|network| network.spec.clone())
    }
}
