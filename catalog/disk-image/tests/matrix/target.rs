//! The forms in which a disk leaves, and who judges them.

use disk_image::convert::{Packing, Target};

/// A form that we write.
pub struct Form {
    pub name: &'static str,
    pub make: fn() -> Target,
    /// The disk's size is rounded up to a multiple of so many bytes.
    pub step: u64,
    /// The format's name for `qemu-img`, and whether `qemu-img check` knows it; or why it cannot judge.
    pub qemu: Result<(&'static str, Check), &'static str>,
    /// The name of its reader in `tests/rigs/images/judge.py`. There is one for every form.
    pub dissect: &'static str,
    /// The largest disk, in bytes, and words of the error above it.
    pub largest: Option<(u64, &'static str)>,
    /// Its plan needs no more than the view's extents.
    pub is_planned: bool,
}

/// What `qemu-img check` can do with a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Yes,
    /// It says that the format does not support checks.
    No,
}

const VHD_ENDS: Option<(u64, &str)> = Some((2040 << 30, "vhdx"));

/// All forms.
pub const TARGETS: &[Form] = &[
    Form {
        name: "raw",
        make: || Target::Raw,
        step: 512,
        qemu: Ok(("raw", Check::No)),
        dissect: "raw",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "qcow2",
        make: || Target::QCOW2,
        step: 512,
        qemu: Ok(("qcow2", Check::Yes)),
        dissect: "qcow2",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "qcow2-v2",
        make: || Target::Qcow2 { version: 2, cluster_bits: 16, packing: None },
        step: 512,
        qemu: Ok(("qcow2", Check::Yes)),
        dissect: "qcow2",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "qcow2-zlib",
        make: || Target::Qcow2 { version: 3, cluster_bits: 16, packing: Some(Packing::Deflate) },
        step: 512,
        qemu: Ok(("qcow2", Check::Yes)),
        dissect: "qcow2",
        largest: None,
        is_planned: false,
    },
    Form {
        name: "qcow2-v2-zlib",
        make: || Target::Qcow2 { version: 2, cluster_bits: 16, packing: Some(Packing::Deflate) },
        step: 512,
        qemu: Ok(("qcow2", Check::Yes)),
        dissect: "qcow2",
        largest: None,
        is_planned: false,
    },
    Form {
        name: "qcow2-zstd",
        make: || Target::Qcow2 { version: 3, cluster_bits: 16, packing: Some(Packing::Zstd) },
        step: 512,
        qemu: Ok(("qcow2", Check::Yes)),
        dissect: "qcow2",
        largest: None,
        is_planned: false,
    },
    Form {
        name: "vmdk",
        make: || Target::Vmdk,
        step: 512,
        qemu: Ok(("vmdk", Check::Yes)),
        dissect: "vmdk",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "vmdk-stream",
        make: || Target::StreamVmdk,
        step: 512,
        qemu: Ok(("vmdk", Check::Yes)),
        dissect: "vmdk",
        largest: None,
        is_planned: false,
    },
    Form {
        name: "vhd",
        make: || Target::Vhd,
        step: 512,
        qemu: Ok(("vpc", Check::No)),
        dissect: "vhd",
        largest: VHD_ENDS,
        is_planned: true,
    },
    Form {
        name: "vhd-fixed",
        make: || Target::FixedVhd { whole_mebibytes: false },
        step: 512,
        qemu: Ok(("vpc", Check::No)),
        dissect: "vhd",
        largest: VHD_ENDS,
        is_planned: true,
    },
    Form {
        name: "vhd-fixed-mebibytes",
        make: || Target::FixedVhd { whole_mebibytes: true },
        step: 1 << 20,
        qemu: Ok(("vpc", Check::No)),
        dissect: "vhd",
        largest: VHD_ENDS,
        is_planned: true,
    },
    Form {
        name: "vhdx",
        make: || Target::Vhdx { block_size: None, logical_sector_size: Some(512) },
        step: 512,
        qemu: Ok(("vhdx", Check::Yes)),
        dissect: "vhdx",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "vhdx-4096",
        make: || Target::Vhdx { block_size: None, logical_sector_size: Some(4096) },
        step: 4096,
        qemu: Err("qemu-img refuses logical sectors of 4096 bytes"),
        dissect: "vhdx",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "vdi",
        make: || Target::Vdi,
        step: 512,
        qemu: Ok(("vdi", Check::Yes)),
        dissect: "vdi",
        largest: None,
        is_planned: true,
    },
    Form {
        name: "ova",
        make: || Target::Ova { name: "matrix".into() },
        step: 512,
        // In the archive, where dissect's half of the judges found it.
        qemu: Ok(("vmdk", Check::Yes)),
        dissect: "ova",
        largest: None,
        is_planned: false,
    },
];

/// The size of a disk after it was rounded.
pub fn round(size: u64, step: u64) -> u64 {
    size.next_multiple_of(step)
}
