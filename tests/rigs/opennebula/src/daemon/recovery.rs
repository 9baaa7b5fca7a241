//! What changes a machine besides its actions: placement by hand, migration, resize, configuration, recovery.

use super::access::Caller;
use super::creation::check_capacity;
use super::disks::change;
use super::events::{Effect, Happening};
use super::interfaces::into_context;
use super::lifecycle::{action, hot_or_off, leave_host, release};
use super::quotas::{self, Wanted};
use super::scheduling::{self, deploy_by_hand, migrate};
use super::states::State;
use super::{Daemon, Methods, Outcome};
use crate::template::{Parts, Template};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vm.deploy", deploy_by_hand),
    ("one.vm.migrate", migrate),
    ("one.vm.resize", resize),
    ("one.vm.updateconf", reconfigure),
    ("one.vm.recover", recover),
    ("one.vm.backup", backup),
];

fn resize(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let enforce = arguments.boolean_or(false)?;
    let template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let machine = daemon.manage_machine(caller, id)?;
    let mut wanted = machine.template.clone();
    for name in ["CPU", "MEMORY", "VCPU"] {
        if let Some(value) = template.text(name) {
            wanted.set(name, value);
        }
    }
    check_capacity(&wanted).map_err(|refusal| match refusal {
        Refusal::Failure(mut failure) => {
            failure.message = failure.message.replace(" attribute", "");
            Refusal::Failure(failure)
        }
        fault @ Refusal::Fault(_) => fault,
    })?;
    let (ownership, before) = (machine.ownership.clone(), machine.clone());
    let mut after = before.clone();
    after.template = wanted.clone();
    let more = vec![("CPU", after.cpu() - before.cpu()), ("MEMORY", (after.memory() - before.memory()) as f64)];
    quotas::check(daemon, caller, &ownership, &Wanted { machines: more, ..Wanted::default() })?;
    let state = before.state;
    let placed = matches!(state, State::RUNNING | State::POWEROFF);
    if !placed && !matches!(state, State::PENDING | State::HOLD | State::UNDEPLOYED) {
        let text = format!("This operation is not available for state {}", state.name());
        return Err(Refusal::new(Code::Action, text));
    }
    let ((_, old_memory), (_, new_memory)) = (scheduling::size(&before), scheduling::size(&after));
    let ((old_cpu, _), (new_cpu, _)) = (scheduling::size(&before), scheduling::size(&after));
    let host = before.stay().map(|s| s.host).filter(|_| placed);
    if let Some(host) = host.and_then(|h| daemon.hosts.get_mut(h)) {
        let (cpu, memory) = (host.used_cpu - old_cpu + new_cpu, host.used_memory - old_memory + new_memory);
        if enforce && memory > host.total_memory {
            let text = format!("Not enough memory: {new_memory}/{}", host.total_memory);
            return Err(Refusal::new(Code::Action, text));
        }
        if enforce && cpu > host.total_cpu {
            let text = format!("Not enough CPU: {new_cpu}/{}", host.total_cpu);
            return Err(Refusal::new(Code::Action, text));
        }
        host.used_cpu = cpu;
        host.used_memory = memory;
    }
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.template = wanted;
    }
    if state == State::RUNNING {
        change(daemon, caller, id, State::HOTPLUG_RESIZE, action::RESIZE, Effect::None);
    }
    Ok(Value::Integer(id))
}

fn reconfigure(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    const TAKEN: [&str; 8] = ["OS", "CPU_MODEL", "FEATURES", "INPUT", "GRAPHICS", "VIDEO", "RAW", "CONTEXT"];
    let (id, text, merge) = (arguments.integer()?, arguments.text()?, arguments.integer_or(0)?);
    let mut template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let machine = daemon.manage_machine(caller, id)?;
    if !matches!(machine.state, State::PENDING | State::HOLD | State::UNDEPLOYED | State::BOOT_FAILURE) {
        hot_or_off(machine, |state| format!("configuration cannot be updated in state {state}."))?;
    }
    let mut result = machine.template.clone();
    let old = machine.template.vector("CONTEXT").cloned().unwrap_or_default();
    let disks = machine.template.vectors("DISK").count().to_string();
    if merge != 1 {
        for name in TAKEN.iter().filter(|n| **n != "CONTEXT") {
            result.take(name);
        }
    }
    let kept = |name: &str| old.get(name).cloned();
    if let Some(mut context) = template.vector("CONTEXT").cloned() {
        if merge == 1 {
            let mut merged: Parts = old.clone();
            merged.extend(context);
            context = merged;
        }
        context.insert("DISK_ID".into(), kept("DISK_ID").unwrap_or(disks));
        context.insert("TARGET".into(), kept("TARGET").unwrap_or_else(|| "hda".into()));
        template.take("CONTEXT");
        result.take("CONTEXT");
        result.push_vector("CONTEXT", context);
    }
    result.merge(template.split_off(|name| TAKEN.contains(&name)));
    into_context(daemon, &mut result);
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.template = result;
    }
    Ok(Value::Integer(id))
}

fn recover(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, operation) = (arguments.integer()?, arguments.integer()?);
    let state = daemon.manage_machine(caller, id)?.state;
    let boot_failed = state == State::BOOT_FAILURE;
    match operation {
        // In a state from which there is nothing to recover, the daemon does nothing and says that all is well.
        0 | 1 if !boot_failed => {}
        0 => {}
        1 => {
            daemon.enter(id, State::RUNNING, true);
        }
        2 if boot_failed => {
            daemon.forget(id);
            daemon.at_once(id, State::BOOT, &[(State::RUNNING, Effect::Deploy)]);
        }
        2 => {}
        3 | 5 if state != State::DONE => {
            if let Some(machine) = daemon.machines.get_mut(id) {
                machine.close_history(action::DELETE, caller.uid, caller.gid);
            }
            daemon.enter(id, State::CLEANUP_DELETE, true);
            daemon.enter(id, State::DONE, false);
            release(daemon, id);
        }
        3 | 5 => {}
        4 if state != State::DONE => {
            leave_host(daemon, id);
            daemon.enter(id, State::CLEANUP_RESUBMIT, true);
            daemon.enter(id, State::PENDING, false);
            daemon.plan(daemon.settings.delays.placement, Happening::Placement(id));
        }
        4 => {}
        _ => return Err(Refusal::new(Code::Action, "Wrong recovery operation code")),
    }
    Ok(Value::Integer(id))
}

fn backup(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, _datastore, _reset) = (arguments.integer()?, arguments.integer()?, arguments.boolean_or(false)?);
    let machine = daemon.manage_machine(caller, id)?;
    let hot = hot_or_off(machine, |state| format!("Cannot backup VM {id}, wrong state {state}."))?;
    let state = if hot { State::BACKUP } else { State::BACKUP_POWEROFF };
    change(daemon, caller, id, state, action::BACKUP, Effect::None);
    Ok(Value::Integer(id))
}
