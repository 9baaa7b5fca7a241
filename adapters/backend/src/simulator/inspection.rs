//! What tests may see of the service, past the contract.

use disk_image::ContentDigest;

use super::{Operation, Simulator};
use crate::{IntentTag, MachineSpec, NetworkSpec, VolumeSpec};

impl Simulator {
    /// How often an operation was called, failures included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
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
        self.lock().volumes.values().map(|volume| volume.copies.len()).sum()
    }

    /// How many volumes are in machines.
    #[must_use]
    pub fn attachment_count(&self) -> usize {
        self.lock().machines.values().map(|machine| machine.attachments.len()).sum()
    }

    /// How many networks exist, of whatever state.
    #[must_use]
    pub fn network_count(&self) -> usize {
        self.lock().networks.len()
    }

    /// How many interfaces all machines have that were plugged in.
    #[must_use]
    pub fn interface_count(&self) -> usize {
        self.lock().machines.values().map(|machine| machine.interfaces.len()).sum()
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
        self.lock().machines.values().map(|machine| machine.security_groups.len()).sum()
    }

    /// A machine as it was ordered, and since then resized.
    #[must_use]
    pub fn machine_spec(&self, tag: IntentTag) -> Option<MachineSpec> {
        self.lock().machines.values().map(|machine| &machine.spec).find(|spec| spec.tag == tag).cloned()
    }

    /// A volume as it was ordered, and since then resized.
    #[must_use]
    pub fn volume_spec(&self, tag: IntentTag) -> Option<VolumeSpec> {
        self.lock().volumes.values().map(|volume| &volume.spec).find(|spec| spec.tag == tag).cloned()
    }

    /// A network as it was ordered, and since then changed.
    #[must_use]
    pub fn network_spec(&self, tag: IntentTag) -> Option<NetworkSpec> {
        self.lock().networks.values().map(|network| &network.spec).find(|spec| spec.tag == tag).cloned()
    }
}
