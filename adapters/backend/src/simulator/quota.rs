//! What is used, and what may be.

use super::State;
use crate::{BackendError, MachineSpec, Quota, QuotaEntry, QuotaResource};

impl State {
    fn used(&self, resource: QuotaResource) -> u64 {
        let machines = || self.machines.iter().map(|(_, machine)| machine);
        let volumes = || self.volumes.iter().map(|(_, volume)| volume);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match resource {
            QuotaResource::Machines => count(self.machines.len()),
            QuotaResource::Cores => machines().map(|machine| u64::from(machine.spec.cores)).sum(),
            QuotaResource::MemoryMib => machines().map(|machine| machine.spec.memory_mib).sum(),
            QuotaResource::DiskBytes => machines().map(|machine| machine.spec.disk_bytes).sum(),
            QuotaResource::Volumes => count(self.volumes.len()),
            QuotaResource::VolumeBytes => volumes().map(|volume| volume.spec.size_bytes).sum(),
            QuotaResource::VolumeCopies => volumes().map(|volume| count(volume.copies.len())).sum(),
            QuotaResource::Networks => count(self.networks.len()),
            QuotaResource::Interfaces => machines().map(|machine| count(machine.interfaces.len())).sum(),
            QuotaResource::Addresses => count(self.addresses.len()),
            QuotaResource::SecurityGroups => count(self.security_groups.len()),
            QuotaResource::Images => count(self.images.len()),
        }
    }

    pub(super) fn quota(&self) -> Quota {
        use QuotaResource::{
            Addresses, Cores, DiskBytes, Images, Interfaces, Machines, MemoryMib, Networks, SecurityGroups,
            VolumeBytes, VolumeCopies, Volumes,
        };
        let all = [
            Machines,
            Cores,
            MemoryMib,
            DiskBytes,
            Volumes,
            VolumeBytes,
            VolumeCopies,
            Networks,
            Interfaces,
            Addresses,
            SecurityGroups,
            Images,
        ];
        let entry = |resource| QuotaEntry {
            resource,
            limit: self.behaviour.quota.get(&resource).copied(),
            used: self.used(resource),
        };
        Quota { entries: all.map(entry).into() }
    }

    /// Whether one machine more is within the quota.
    pub(super) fn leave_room(&self, wanted: &MachineSpec) -> Result<(), BackendError> {
        for (resource, more) in [
            (QuotaResource::Machines, 1),
            (QuotaResource::Cores, wanted.cores.into()),
            (QuotaResource::MemoryMib, wanted.memory_mib),
        ] {
            let Some(limit) = self.behaviour.quota.get(&resource) else { continue };
            let used = self.used(resource);
            if used.saturating_add(more) > *limit {
                let what = format!("of {resource:?}, {used} of {limit} are used, and {more} more are wanted");
                return Err(BackendError::Capacity(what));
            }
        }
        Ok(())
    }
}
