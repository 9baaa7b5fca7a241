//! Readers and writers against an independent judge: `qemu-img`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod containers;
mod hostile;
mod mutation;
mod opening;
mod overlay;
mod qcow2_damage;
mod qcow2_files;
mod qcow2_snapshots;
mod qemu;
mod raw;
mod readers;
mod rendering;
mod sample;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;
