//! What a site publishes of itself so that others can choose it: the metadata that every manager of machines has and
//! hardly one tells.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// More about a site than placement needs. What is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// Its kinds of hypervisor hosts.
    pub hosts: Vec<HostFacts>,
    /// How guests are started.
    pub firmware: Vec<Firmware>,
    /// Buses of disks, the preferred one first: `virtio`, `scsi`, `ide`.
    pub disk_buses: Vec<String>,
    /// Models of network cards, the preferred one first: `virtio`, `e1000`.
    pub network_cards: Vec<String>,
    /// Networks that are there for everybody.
    pub networks: Vec<OfferedNetwork>,
    /// What things cost.
    pub prices: Vec<Price>,
    /// The brokers behind it, if it is a broker itself, the nearest first. Who finds itself among them stands in a
    /// loop.
    pub brokers: Vec<String>,
}

/// Hosts of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// The hypervisor: `QEMU`, `kvm`, `xen`.
    pub hypervisor: String,
    /// Its version.
    pub version: Option<String>,
    /// The processor's model, as the backend names it.
    pub cpu_model: Option<String>,
    /// The processor's features that guests may use: `avx2`.
    pub cpu_flags: Vec<String>,
    /// How many such hosts there are.
    pub count: u32,
    /// Cores of all together, as they may be given to guests.
    pub cores: Option<u64>,
    /// Memory of all together, in MiB, as it may be given to guests.
    pub memory_mib: Option<u64>,
}

/// How a guest is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// The PC's old one.
    Bios,
    /// UEFI.
    Uefi,
    /// UEFI that checks signatures.
    UefiSecure,
}

/// A network that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedNetwork {
    /// The backend's name for it.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whether reserved addresses live on it.
    pub external: bool,
    /// Its subnets: address and length of the prefix.
    pub subnets: Vec<(IpAddr, u8)>,
}

/// The price of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// What is paid for.
    pub of: Priced,
    /// Millionths of the currency, for one unit and hour.
    pub millionths_per_hour: u64,
    /// ISO 4217, or the site's own word (`credit`).
    pub currency: String,
}

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priced {
    /// One virtual core.
    Core,
    /// One GiB of memory.
    MemoryGib,
    /// One GiB of disk.
    DiskGib,
    /// One reserved address.
    Address,
}

/// A size that a backend offers, where it takes no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeOffer {
    /// The backend's name for it.
    pub id: String,
    /// For people.
    pub name: String,
    /// How large.
    pub size: crate::MachineSize,
}

impl SizeOffer {
    /// Whether it has at least as much of everything. An offer without a disk of its own (0 bytes) takes any disk.
    #[must_use]
    pub fn holds(&self, wanted: crate::MachineSize) -> bool {
        let Self { size, .. } = self;
        size.cores >= wanted.cores
            && size.memory_mib >= wanted.memory_mib
            && (size.disk_bytes == 0 || size.disk_bytes >= wanted.disk_bytes)
    }
}
