//! Snapshots of machines and of their disks.

use std::collections::BTreeMap;

use super::access::Caller;
use super::disks::{change, find};
use super::events::Effect;
use super::lifecycle::action;
use super::machines::Machine;
use super::states::State;
use super::{Daemon, Methods, Outcome, seconds};
use crate::template::{Parts, element, vector};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vm.snapshotcreate", create),
    ("one.vm.snapshotrevert", |d, c, a| existing(d, c, a, false)),
    ("one.vm.snapshotdelete", |d, c, a| existing(d, c, a, true)),
    ("one.vm.disksnapshotcreate", create_of_disk),
    ("one.vm.disksnapshotrevert", revert_disk),
    ("one.vm.disksnapshotdelete", delete_of_disk),
    ("one.vm.disksnapshotrename", rename_of_disk),
];

/// The snapshots of one disk: a tree.
#[derive(Clone, Debug, Default)]
pub struct DiskSnapshots {
    next: i32,
    active: i32,
    all: BTreeMap<i32, DiskSnapshot>,
}

#[derive(Clone, Debug)]
struct DiskSnapshot {
    name: String,
    parent: i32,
    date: i64,
    megabytes: String,
}

impl DiskSnapshots {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn add(&mut self, name: String, megabytes: String) -> i32 {
        let id = self.next;
        let parent = if self.all.is_empty() { -1 } else { self.active };
        self.all.insert(id, DiskSnapshot { name, parent, date: seconds(), megabytes });
        self.next += 1;
        self.active = id;
        id
    }

    /// `<SNAPSHOTS>`, as it stands between history and backups.
    pub fn write(&self, disk: i32, out: &mut String) {
        if self.all.is_empty() {
            return;
        }
        out.push_str("<SNAPSHOTS>");
        element(out, "ALLOW_ORPHANS", "NO");
        element(out, "CURRENT_BASE", "-1");
        element(out, "DISK_ID", &disk.to_string());
        element(out, "NEXT_SNAPSHOT", &self.next.to_string());
        for (id, snapshot) in &self.all {
            let mut parts = Parts::from([
                ("DATE".to_owned(), snapshot.date.to_string()),
                ("ID".to_owned(), id.to_string()),
                ("NAME".to_owned(), snapshot.name.clone()),
                ("PARENT".to_owned(), snapshot.parent.to_string()),
                ("SIZE".to_owned(), snapshot.megabytes.clone()),
            ]);
            if *id == self.active {
                parts.insert("ACTIVE".into(), "YES".into());
            }
            let children: Vec<_> =
                self.all.iter().filter(|(_, s)| s.parent == *id).map(|(c, _)| c.to_string()).collect();
            if !children.is_empty() {
                parts.insert("CHILDREN".into(), children.join(","));
            }
            vector(out, "SNAPSHOT", &parts);
        }
        out.push_str("</SNAPSHOTS>");
    }
}

fn running<'d>(daemon: &'d mut Daemon, caller: &Caller, id: i32, what: &str) -> Result<&'d mut Machine, Refusal> {
    let machine = daemon.manage_machine(caller, id)?;
    match machine.state {
        State::RUNNING => Ok(machine),
        other => {
            let text = format!("Could not {what} snapshot for VM {id}, wrong state {}.", other.name());
            Err(Refusal::new(Code::Action, text))
        }
    }
}

fn create(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, name) = (arguments.integer()?, arguments.text()?);
    let machine = running(daemon, caller, id, "create a new")?;
    let taken = machine.template.vectors("SNAPSHOT").filter_map(|s| s.get("SNAPSHOT_ID")?.parse::<i32>().ok()).max();
    let number = taken.map_or(0, |n| n + 1);
    let name = if name.is_empty() { format!("snapshot-{number}") } else { name };
    let memory = machine.memory().to_string();
    let parts = [
        ("HYPERVISOR_ID", "dummy-snap".to_owned()),
        ("NAME", name),
        ("SNAPSHOT_ID", number.to_string()),
        ("SYSTEM_DISK_SIZE", memory),
        ("TIME", seconds().to_string()),
    ];
    machine.template.push_vector("SNAPSHOT", parts.map(|(n, v)| (n.to_owned(), v)).into());
    daemon.at_once(id, State::HOTPLUG_SNAPSHOT, &[(State::RUNNING, Effect::None)]);
    Ok(Value::Integer(number))
}

fn existing(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments, delete: bool) -> Outcome {
    let (id, snapshot) = (arguments.integer()?, arguments.integer()?);
    let what = if delete { "delete" } else { "revert to" };
    let machine = running(daemon, caller, id, what)?;
    let number = snapshot.to_string();
    if !machine.template.vectors("SNAPSHOT").any(|s| s.get("SNAPSHOT_ID") == Some(&number)) {
        let text = format!("Could not {what} snapshot {snapshot} for VM {id}, it does not exist.");
        return Err(Refusal::new(Code::Action, text));
    }
    if delete {
        machine.template.retain_vectors("SNAPSHOT", |s| s.get("SNAPSHOT_ID") != Some(&number));
    }
    daemon.at_once(id, State::HOTPLUG_SNAPSHOT, &[(State::RUNNING, Effect::None)]);
    Ok(Value::Integer(id))
}

fn with_disk(daemon: &mut Daemon, caller: &Caller, id: i32, disk: i32) -> Result<(State, Parts), Refusal> {
    let machine = daemon.manage_machine(caller, id)?;
    let parts = find(machine, disk).cloned().ok_or_else(|| Refusal::new(Code::Action, "VM disk does not exist"))?;
    Ok((machine.state, parts))
}

fn wrong(id: i32, state: State) -> Refusal {
    let text = format!("Could not perform the disk snapshot operation on VM {id}, wrong state {}.", state.name());
    Refusal::new(Code::Action, text)
}

fn create_of_disk(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, name) = (arguments.integer()?, arguments.integer()?, arguments.text()?);
    let (state, parts) = with_disk(daemon, caller, id, disk)?;
    let transient = match state {
        State::RUNNING => State::DISK_SNAPSHOT,
        State::POWEROFF => State::DISK_SNAPSHOT_POWEROFF,
        State::SUSPENDED => State::DISK_SNAPSHOT_SUSPENDED,
        other => return Err(wrong(id, other)),
    };
    let size = parts.get("SIZE").cloned().unwrap_or_default();
    let Some(machine) = daemon.machines.get_mut(id) else { return Err(wrong(id, state)) };
    let number = machine.snapshots.entry(disk).or_default().add(name, size.clone());
    let place = disk.to_string();
    for parts in machine.template.vectors_mut("DISK").filter(|d| d.get("DISK_ID") == Some(&place)) {
        parts.insert("DISK_SNAPSHOT_TOTAL_SIZE".into(), size.clone());
    }
    change(daemon, caller, id, transient, action::DISK_SNAPSHOT_CREATE, Effect::None);
    Ok(Value::Integer(number))
}

fn no_such(snapshot: i32, disk: i32) -> Refusal {
    Refusal::new(Code::Action, format!("Snapshot {snapshot} of disk {disk} does not exist"))
}

fn revert_disk(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, snapshot) = (arguments.integer()?, arguments.integer()?, arguments.integer()?);
    let (state, _) = with_disk(daemon, caller, id, disk)?;
    if state != State::POWEROFF {
        return Err(wrong(id, state));
    }
    let snapshots = daemon.machines.get_mut(id).and_then(|m| m.snapshots.get_mut(&disk));
    let found = snapshots.filter(|s| s.all.contains_key(&snapshot)).ok_or_else(|| no_such(snapshot, disk))?;
    found.active = snapshot;
    change(daemon, caller, id, State::DISK_SNAPSHOT_REVERT_POWEROFF, action::DISK_SNAPSHOT_REVERT, Effect::None);
    Ok(Value::Integer(id))
}

fn delete_of_disk(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, snapshot) = (arguments.integer()?, arguments.integer()?, arguments.integer()?);
    let (state, parts) = with_disk(daemon, caller, id, disk)?;
    let transient = match state {
        State::RUNNING => State::DISK_SNAPSHOT_DELETE,
        State::POWEROFF => State::DISK_SNAPSHOT_DELETE_POWEROFF,
        State::SUSPENDED => State::DISK_SNAPSHOT_DELETE_SUSPENDED,
        other => return Err(wrong(id, other)),
    };
    let snapshots = daemon.machines.get_mut(id).and_then(|m| m.snapshots.get_mut(&disk));
    let found = snapshots.filter(|s| s.all.contains_key(&snapshot)).ok_or_else(|| no_such(snapshot, disk))?;
    let in_use = found.active == snapshot || found.all.values().any(|s| s.parent == snapshot);
    if in_use && parts.contains_key("PERSISTENT") {
        let text = format!("Cannot delete snapshot {snapshot} for persistent disk images");
        return Err(Refusal::new(Code::Action, text));
    }
    if in_use {
        let text = format!("Cannot delete snapshot {snapshot}: it is active or has children");
        return Err(Refusal::new(Code::Action, text));
    }
    found.all.remove(&snapshot);
    change(daemon, caller, id, transient, action::DISK_SNAPSHOT_DELETE, Effect::None);
    Ok(Value::Integer(id))
}

fn rename_of_disk(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, snapshot) = (arguments.integer()?, arguments.integer()?, arguments.integer()?);
    let name = arguments.text()?;
    with_disk(daemon, caller, id, disk)?;
    let snapshots = daemon.machines.get_mut(id).and_then(|m| m.snapshots.get_mut(&disk));
    let found = snapshots.and_then(|s| s.all.get_mut(&snapshot)).ok_or_else(|| no_such(snapshot, disk))?;
    found.name = name;
    Ok(Value::Integer(id))
}
