use std::net::IpAddr;

use backend::{IntentTag, MacAddress};

use super::{Document, Unreadable, id_of, message, name_of, number};
use crate::{
    names::{self, Id},
    state::{Standing, VmState},
    xml::Element,
};

/// A machine. From `vmpool.info` it comes without our attributes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VmDocument {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// The tag of ours, if it carries one.
    pub(crate) tag: Option<IntentTag>,
    /// Its name as it was ordered.
    pub(crate) ordered_name: Option<String>,
    pub(crate) state: VmState,
    pub(crate) standing: Standing,
    /// When it was made, in seconds since 1970 by the service's clock.
    pub(crate) made_at: i64,
    pub(crate) cores: Option<u32>,
    pub(crate) memory_mib: Option<u64>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) nics: Vec<Nic>,
    pub(crate) snapshots: Vec<VmSnapshot>,
    /// Whether it was switched off for some work, and is to run after it.
    pub(crate) is_to_resume: bool,
    /// What a driver said last that failed.
    pub(crate) error: Option<String>,
    /// Why it finds no host.
    pub(crate) scheduling: Option<String>,
}

/// A disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) id: Id,
    pub(crate) image: Option<Id>,
    pub(crate) size_mib: Option<u64>,
    /// `vdb`
    pub(crate) target: Option<String>,
    pub(crate) tag: Option<IntentTag>,
}

/// An interface of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nic {
    pub(crate) id: Id,
    pub(crate) network: Option<Id>,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) security_groups: Vec<Id>,
    pub(crate) tag: Option<IntentTag>,
}

/// A point in a machine's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VmSnapshot {
    pub(crate) id: Id,
    pub(crate) tag: Option<IntentTag>,
    /// Whether the hypervisor has named it, which it does when it is there.
    pub(crate) is_complete: bool,
}

impl Document for VmDocument {
    const ELEMENT: &'static str = "VM";

    fn read(element: &Element) -> Result<Self, Unreadable> {
        let id = id_of(element)?;
        let state = VmState { state: number(element, "STATE")?, lcm: number(element, "LCM_STATE")? };
        let standing = state.standing().ok_or_else(|| {
            Unreadable(format!("VM {id}: its state {} and {} are of another version", state.state, state.lcm))
        })?;
        let template = element.child("TEMPLATE");
        let ours = element.child("USER_TEMPLATE");
        let vectors = |name: &'static str| template.map(|template| template.all(name)).into_iter().flatten();
        Ok(Self {
            id,
            name: name_of(element)?,
            tag: ours.and_then(|ours| ours.value_of(names::TAG)),
            ordered_name: ours.and_then(|ours| ours.text_of(names::NAME)).map(ToOwned::to_owned),
            state,
            standing,
            made_at: element.value_of("STIME").unwrap_or(0),
            // Without VCPU a machine has one (OpenNebula, virtual machine template reference, capacity).
            cores: template.map(|template| template.value_of("VCPU").unwrap_or(1)),
            memory_mib: template.and_then(|template| template.value_of("MEMORY")),
            disks: vectors("DISK").filter_map(read_disk).collect(),
            nics: vectors("NIC").filter_map(read_nic).collect(),
            snapshots: vectors("SNAPSHOT").filter_map(read_snapshot).collect(),
            is_to_resume: ours.and_then(|ours| ours.text_of(crate::life::RESUME)) == Some("YES"),
            error: message(ours, "ERROR"),
            scheduling: message(ours, "SCHED_MESSAGE"),
        })
    }
}

fn read_disk(disk: &Element) -> Option<Disk> {
    Some(Disk {
        id: disk.value_of("DISK_ID")?,
        image: disk.value_of("IMAGE_ID"),
        size_mib: disk.value_of("SIZE"),
        target: disk.text_of("TARGET").filter(|target| is_device(target)).map(ToOwned::to_owned),
        tag: disk.value_of(names::TAG),
    })
}

fn is_device(target: &str) -> bool {
    target.len() <= 16 && target.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn read_nic(nic: &Element) -> Option<Nic> {
    let groups = nic.text_of("SECURITY_GROUPS").unwrap_or_default();
    Some(Nic {
        id: nic.value_of("NIC_ID")?,
        network: nic.value_of("NETWORK_ID"),
        mac: nic.value_of("MAC"),
        address: nic.value_of("IP").or_else(|| nic.value_of("IP6_GLOBAL")).or_else(|| nic.value_of("IP6")),
        gateway: nic.value_of("GATEWAY").or_else(|| nic.value_of("GATEWAY6")),
        security_groups: groups.split(',').take(1000).filter_map(|group| group.trim().parse().ok()).collect(),
        tag: nic.value_of(names::TAG),
    })
}

fn read_snapshot(snapshot: &Element) -> Option<VmSnapshot> {
    Some(VmSnapshot {
        id: snapshot.value_of("SNAPSHOT_ID")?,
        tag: snapshot.value_of("NAME"),
        is_complete: snapshot.text_of("HYPERVISOR_ID").is_some(),
    })
}
