use disk_image::ImageFormat;
use serde::{Deserialize, Serialize};

use crate::{Architecture, Capabilities, MachineSize, Particulars, SizeOffer};

/// What a backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The managing software, for people: `tombolo node 0.1.0`.
    pub software: String,
    /// The hypervisor and how it runs guests: `QEMU 10.0.2 (tcg)`.
    pub hypervisor: String,
    /// Guest architectures.
    pub architectures: Vec<Architecture>,
    /// Image formats that it takes, the preferred one first.
    pub image_formats: Vec<ImageFormat>,
    /// The most that one machine may have.
    pub limits: Limits,
    /// Why no machine can be created at present, in one sentence that says what to do; `None` when one can.
    pub obstacle: Option<String>,
    /// What it can beyond the least.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The sizes that it offers; any within the limits when there is none.
    #[serde(default)]
    pub sizes: Vec<SizeOffer>,
    /// More about it.
    #[serde(default)]
    pub particulars: Particulars,
}

impl Description {
    /// The offer that a machine of the wanted size gets: the one with the least memory, cores and disk, in this order,
    /// among those that hold it. `None` when none does, and where any size is taken.
    #[must_use]
    pub fn offer_for(&self, wanted: MachineSize) -> Option<&SizeOffer> {
        let holding = self.sizes.iter().filter(|offer| offer.holds(wanted));
        holding.min_by_key(|offer| (offer.size.memory_mib, offer.size.cores, offer.size.disk_bytes))
    }
}

/// Upper bounds for one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Virtual cores.
    pub cores: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Size of the root disk, in bytes.
    pub disk_bytes: u64,
    /// Size of one volume, in bytes; 0 where there are none.
    pub volume_bytes: u64,
}
