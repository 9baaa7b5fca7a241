use disk_image::ImageFormat;
use serde::{Deserialize, Serialize};

use crate::Architecture;

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
