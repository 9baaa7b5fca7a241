//! Disks of machines: attach, detach, resize, save as an image.

use std::path::PathBuf;

use super::access::{Caller, Right};
use super::creation::{describe_disk, image_ids, name_device};
use super::events::{DriverAction, Effect};
use super::images::Image;
use super::images::copies::copy_of;
use super::jobs::{Digests, Job, Origin};
use super::lifecycle::{action, hot_or_off};
use super::machines::Machine;
use super::objects::{Kind, no_such, take};
use super::states::State;
use super::{Daemon, Methods, Outcome, world};
use crate::template::{Parts, Template};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vm.attach", attach),
    ("one.vm.detach", detach),
    ("one.vm.diskresize", resize),
    ("one.vm.disksaveas", save_as),
];

/// The disk with this identifier.
pub fn find(machine: &Machine, disk: i32) -> Option<&Parts> {
    machine.template.vectors("DISK").find(|d| d.get("DISK_ID").is_some_and(|i| *i == disk.to_string()))
}

/// Changes a running machine in a transient state, or one that is off in another; then it is as before.
pub fn change(daemon: &mut Daemon, caller: &Caller, id: i32, state: State, number: i32, effect: Effect) {
    let Some(machine) = daemon.machines.get_mut(id) else { return };
    let before = machine.state;
    machine.close_history(number, caller.uid, caller.gid);
    machine.open_history();
    daemon.at_once(id, state, &[(before, effect)]);
}

fn attach(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let machine = daemon.manage_machine(caller, id)?;
    let wrong = |state: &str| format!("Could not attach a new disk to VM {id}, wrong state {state}.");
    let hot = hot_or_off(machine, wrong)?;
    let template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let Some(disk) = template.vector("DISK").cloned() else {
        return Err(Refusal::new(Code::Internal, "Could not attach disk, no DISK attribute in the template."));
    };
    let mut used: Vec<String> = machine.template.vectors("DISK").filter_map(|d| d.get("TARGET").cloned()).collect();
    let system = machine.template.text("TM_MAD_SYSTEM").map(str::to_owned);
    let taken = machine.template.vectors("DISK").chain(machine.template.vectors("CONTEXT"));
    let number = taken.filter_map(|d| d.get("DISK_ID")?.parse::<i32>().ok()).max().map_or(0, |n| n + 1);
    let mut disk = describe_disk(daemon, caller, disk, number).map_err(|refusal| match refusal {
        Refusal::Failure(mut failure) if failure.code == Code::Internal => {
            failure.code = Code::Action;
            Refusal::Failure(failure)
        }
        other => other,
    })?;
    name_device(&mut disk, &mut used);
    if let Some(system) = system {
        disk.insert("TM_MAD_SYSTEM".into(), system);
    }
    if let Some(image_id) = disk.get("IMAGE_ID").and_then(|i| i.parse().ok())
        && let Some(image) = daemon.images.get_mut(image_id)
    {
        image.acquire(image_id, id).map_err(|text| Refusal::new(Code::Action, text))?;
        disk.insert("IMAGE_STATE".into(), image.state.to_string());
    }
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.template.push_vector("DISK", disk);
    }
    let state = if hot { State::HOTPLUG } else { State::HOTPLUG_PROLOG_POWEROFF };
    change(daemon, caller, id, state, action::DISK_ATTACH, Effect::AttachDisk(number));
    Ok(Value::Integer(id))
}

/// The driver has attached the disk, or failed.
pub fn attached(daemon: &mut Daemon, id: i32, disk: i32) {
    if daemon.driver_fails(DriverAction::AttachDisk) {
        detached(daemon, id, disk);
        if let Some(machine) = daemon.machines.get_mut(id) {
            let text = format!("{}: Error attaching new VM Disk: ATTACHDISK: failed", world::calendar());
            machine.user_template.set("ERROR", text);
        }
    }
}

fn detach(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk) = (arguments.integer()?, arguments.integer()?);
    let machine = daemon.manage_machine(caller, id)?;
    let hot = hot_or_off(machine, |state| format!("Could not detach disk from VM {id}, wrong state {state}."))?;
    find(machine, disk).ok_or_else(|| Refusal::new(Code::Action, "VM disk does not exist"))?;
    let state = if hot { State::HOTPLUG } else { State::HOTPLUG_EPILOG_POWEROFF };
    change(daemon, caller, id, state, action::DISK_DETACH, Effect::DetachDisk(disk));
    Ok(Value::Integer(id))
}

/// A disk is gone: its image is free, unless another disk is of it too.
pub fn detached(daemon: &mut Daemon, id: i32, disk: i32) {
    let Some(machine) = daemon.machines.get_mut(id) else { return };
    let Some(image_id) = find(machine, disk).map(|d| d.get("IMAGE_ID").and_then(|i| i.parse::<i32>().ok())) else {
        return;
    };
    let number = disk.to_string();
    machine.template.retain_vectors("DISK", |d| d.get("DISK_ID") != Some(&number));
    machine.snapshots.remove(&disk);
    let still = image_id.is_some_and(|i| image_ids(&machine.template).contains(&i));
    if let Some(image) = image_id.filter(|_| !still).and_then(|i| daemon.images.get_mut(i)) {
        image.give_back(id);
    }
}

/// Gives all images of a machine back.
pub fn release_all(daemon: &mut Daemon, id: i32) {
    for image_id in daemon.machines.get(id).map(|m| image_ids(&m.template)).unwrap_or_default() {
        if let Some(image) = daemon.images.get_mut(image_id) {
            image.give_back(id);
        }
    }
}

fn resize(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, size) = (arguments.integer()?, arguments.integer()?, arguments.text()?);
    let machine = daemon.manage_machine(caller, id)?;
    let state = match machine.state {
        State::RUNNING => State::DISK_RESIZE,
        State::POWEROFF => State::DISK_RESIZE_POWEROFF,
        State::UNDEPLOYED => State::DISK_RESIZE_UNDEPLOYED,
        other => {
            let text = format!("Could not resize disk of VM {id}, wrong state {}.", other.name());
            return Err(Refusal::new(Code::Action, text));
        }
    };
    let parts = find(machine, disk).ok_or_else(|| Refusal::new(Code::Action, "VM disk does not exist"))?;
    let now = parts.get("SIZE").and_then(|s| s.parse::<i64>().ok()).unwrap_or_default();
    let size = size.trim().parse::<i64>().map_err(|_| Refusal::new(Code::Action, "New disk size is not a number"))?;
    if size <= now {
        return Err(Refusal::new(Code::Action, "New disk size has to be greater than current one"));
    }
    if machine.snapshots.get(&disk).is_some_and(|s| !s.is_empty()) {
        return Err(Refusal::new(Code::Action, "Cannot resize a disk with snapshots"));
    }
    let number = disk.to_string();
    for parts in machine.template.vectors_mut("DISK").filter(|d| d.get("DISK_ID") == Some(&number)) {
        parts.insert("SIZE".into(), size.to_string());
    }
    change(daemon, caller, id, state, action::DISK_RESIZE, Effect::None);
    Ok(Value::Integer(id))
}

fn save_as(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, disk, name) = (arguments.integer()?, arguments.integer()?, arguments.text()?);
    let kind = arguments.text_or("")?;
    arguments.integer_or(-1)?;
    let machine = daemon.manage_machine(caller, id)?;
    let found = find(machine, disk).cloned();
    let state = match machine.state {
        State::RUNNING => State::HOTPLUG_SAVEAS,
        State::POWEROFF => State::HOTPLUG_SAVEAS_POWEROFF,
        State::SUSPENDED => State::HOTPLUG_SAVEAS_SUSPENDED,
        State::STOPPED => State::HOTPLUG_SAVEAS_STOPPED,
        State::UNDEPLOYED => State::HOTPLUG_SAVEAS_UNDEPLOYED,
        other => {
            let text = format!("Could not save a disk of VM {id}, wrong state {}.", other.name());
            return Err(Refusal::new(Code::Action, text));
        }
    };
    // These failures name the machine in their fourth element.
    let refuse = |code, text: &str| Refusal::about(code, text, id);
    let parts = found.ok_or_else(|| refuse(Code::Internal, "Cannot use DISK. DISK does not exist."))?;
    let Some(image_id) = parts.get("IMAGE_ID").and_then(|i| i.parse::<i32>().ok()) else {
        return Err(refuse(Code::Internal, "Cannot use DISK. Cannot save a volatile disk."));
    };
    let mut original = take::<Image>(daemon, caller, image_id, Right::Use)?.clone();
    if let Some(size) = parts.get("SIZE").and_then(|s| s.parse().ok()) {
        original.megabytes = size;
    }
    if !kind.is_empty() {
        original.kind = if kind == "DATABLOCK" { 2 } else { 0 };
    }
    let datastore = original.datastore;
    let made = copy_of(daemon, caller, &original, &name, datastore).map_err(|refusal| match refusal {
        Refusal::Failure(failure) => refuse(failure.code, &failure.message),
        fault @ Refusal::Fault(_) => fault,
    })?;
    if let Some(image) = daemon.images.get_mut(made) {
        image.template.set("SAVED_DISK_ID", disk.to_string());
        image.template.set("SAVED_IMAGE_ID", image_id.to_string());
        image.template.set("SAVED_VM_ID", id.to_string());
    }
    let bytes = PathBuf::from(&original.source);
    let effect = if bytes.is_file() {
        let target = daemon.fresh_source(datastore, &name);
        daemon.jobs.push(Job { image: made, origin: Origin::File(bytes), target, digests: Digests::default() });
        Effect::None
    } else {
        if let Some(image) = daemon.images.get_mut(made) {
            image.source = original.source;
        }
        Effect::Saved(made)
    };
    let before = daemon.machines.get(id).ok_or_else(|| no_such(Kind::Machine, id))?.state;
    daemon.at_once(id, state, &[(before, effect)]);
    Ok(Value::Integer(made))
}
