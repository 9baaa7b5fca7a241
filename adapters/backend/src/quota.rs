use serde::{Deserialize, Serialize};

/// What our tenant at a backend may use, and uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// One entry for each thing that the backend counts.
    pub entries: Vec<QuotaEntry>,
}

impl Quota {
    /// The entry of this thing, if the backend counts it.
    #[must_use]
    pub fn of(&self, resource: QuotaResource) -> Option<&QuotaEntry> {
        self.entries.iter().find(|entry| entry.resource == resource)
    }
}

/// How much of one thing there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaEntry {
    /// Which thing.
    pub resource: QuotaResource,
    /// The most; `None` where there is no bound.
    pub limit: Option<u64>,
    /// How much is used.
    pub used: u64,
}

/// What backends count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaResource {
    /// Machines.
    Machines,
    /// Virtual cores.
    Cores,
    /// Memory, in MiB.
    MemoryMib,
    /// Root disks, in bytes.
    DiskBytes,
    /// Volumes.
    Volumes,
    /// Room of all volumes, in bytes.
    VolumeBytes,
    /// Copies of volumes.
    VolumeCopies,
    /// Networks.
    Networks,
    /// Interfaces.
    Interfaces,
    /// Reserved addresses.
    Addresses,
    /// Security groups.
    SecurityGroups,
    /// Images.
    Images,
}
