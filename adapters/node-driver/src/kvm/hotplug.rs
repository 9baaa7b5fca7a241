//! What comes and goes while a machine runs.

use std::path::Path;

use backend::MacAddress;
use serde_json::{Value, json};

use crate::networks::sockets;

/// A volume in one of the board's places for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Volume<'a> {
    pub(crate) slot: u8,
    /// Absolute path of its raw file.
    pub(crate) file: &'a Path,
    /// What the guest sees as its serial number, at most 20 characters.
    pub(crate) serial: &'a str,
}

/// Volumes that one machine can have.
pub(crate) const VOLUME_SLOTS: u8 = 8;

impl Volume<'_> {
    /// The name of the device and of the block node in this place.
    pub(crate) fn name(slot: u8) -> String {
        format!("volume{slot}")
    }

    pub(super) fn port(slot: u8) -> String {
        format!("port{slot}")
    }

    /// What `blockdev-add` and `-blockdev` take.
    pub(crate) fn node(&self) -> Value {
        json!({
            "driver": "raw", "node-name": Self::name(self.slot), "discard": "unmap",
            "file": { "driver": "file", "filename": self.file.to_string_lossy(), "discard": "unmap" },
        })
    }

    /// What `device_add` and `-device` take.
    pub(crate) fn device(&self) -> Value {
        let name = Self::name(self.slot);
        json!({
            "driver": "virtio-blk-pci", "id": name, "drive": name, "bus": Self::port(self.slot), "serial": self.serial,
            "werror": "enospc", "rerror": "report",
        })
    }
}

/// An interface to a network of this node, in one of the board's places for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nic {
    pub(crate) slot: u8,
    pub(crate) mac: MacAddress,
}

/// Interfaces that one machine can have beside its own.
pub(crate) const NIC_SLOTS: u8 = 4;

impl Nic {
    /// The name of the device in this place.
    pub(crate) fn name(slot: u8) -> String {
        format!("nic{slot}")
    }

    /// The name of its other end, which leads to the switch.
    pub(crate) fn line(slot: u8) -> String {
        format!("line{slot}")
    }

    pub(super) fn port(slot: u8) -> String {
        format!("nicport{slot}")
    }

    /// What `netdev_add` and `-netdev` take.
    pub(crate) fn netdev(&self) -> Value {
        let [ours, theirs] = sockets(self.slot);
        json!({
            "type": "dgram", "id": Self::line(self.slot),
            "local": { "type": "unix", "path": ours }, "remote": { "type": "unix", "path": theirs },
        })
    }

    /// What `device_add` and `-device` take.
    pub(crate) fn device(&self) -> Value {
        json!({
            "driver": "virtio-net-pci", "id": Self::name(self.slot), "netdev": Self::line(self.slot),
            "mac": self.mac.to_string(), "bus": Self::port(self.slot), "romfile": "",
        })
    }
}
