//! Placing machines on hosts.

use std::collections::BTreeMap;

use super::access::{Caller, Right};
use super::events::{Effect, Happening};
use super::hosts::Host;
use super::images::state;
use super::lifecycle::action;
use super::machines::{Machine, Stay};
use super::objects::take;
use super::states::State;
use super::{Daemon, Outcome, creation, seconds, world};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// A machine's processors in hundredths, and its memory in KiB.
pub fn size(machine: &Machine) -> (i64, i64) {
    // Both are small positive numbers; a wrong one counts as nothing.
    ((machine.cpu() * 100.0).round() as i64, machine.memory().saturating_mul(1024))
}

/// Keeps for the placement that a machine comes from STOPPED or UNDEPLOYED.
pub fn remember_origin(daemon: &mut Daemon, id: i32, from: State) {
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.origin = Some(from);
    }
}

/// Tries to place a PENDING machine.
pub fn place(daemon: &mut Daemon, id: i32) {
    let Some(machine) = daemon.machines.get(id) else { return };
    let waiting = machine.state.state == 10;
    if machine.state != State::PENDING && !waiting {
        return;
    }
    if waiting {
        let states: Vec<u8> = creation::image_ids(&machine.template)
            .iter()
            .filter_map(|i| daemon.images.get(*i))
            .map(|i| i.state)
            .collect();
        let failed = states.contains(&state::ERROR);
        let locked = states.iter().any(|s| matches!(*s, state::LOCKED_USED | state::LOCKED_USED_PERSISTENT));
        if failed {
            daemon.enter(id, State { state: 11, lcm: 0 }, false);
        } else if !locked {
            daemon.enter(id, State::PENDING, false);
        }
        if !failed {
            daemon.plan(daemon.settings.delays.placement, Happening::Placement(id));
        }
        return;
    }
    let (cpu, memory) = size(machine);
    let requirements = machine.user_template.text("SCHED_REQUIREMENTS").unwrap_or_default().to_owned();
    let meeting: Vec<i32> = daemon
        .hosts
        .iter()
        .filter(|(host_id, host)| host.state == 2 && meets(*host_id, host, &requirements))
        .map(|(host_id, _)| host_id)
        .collect();
    let roomy = meeting
        .iter()
        .filter_map(|h| daemon.hosts.get(*h).map(|host| (*h, host)))
        .filter(|(_, host)| host.has_room(cpu, memory))
        .max_by_key(|(_, host)| host.total_memory - host.used_memory)
        .map(|(host_id, _)| host_id);
    match roomy {
        Some(host) => deploy(daemon, id, host, None),
        None => {
            let reason = if meeting.is_empty() {
                "No host meets SCHED_REQUIREMENTS"
            } else {
                "No host with enough capacity to deploy the VM"
            };
            if let Some(machine) = daemon.machines.get_mut(id) {
                let text = format!("{}: Cannot dispatch VM: {reason}", world::calendar());
                machine.user_template.set("SCHED_MESSAGE", text);
            }
            daemon.plan(daemon.settings.delays.placement, Happening::Placement(id));
        }
    }
}

/// The part of the requirements' language that is simulated: comparisons with `=` and `!=`, joined by `&` and `|`.
fn meets(id: i32, host: &Host, requirements: &str) -> bool {
    let holds = |term: &str| {
        let term = term.trim().trim_matches(['(', ')']).trim();
        if term.is_empty() {
            return true;
        }
        let (name, value, equal) = match (term.split_once("!="), term.split_once('=')) {
            (Some((name, value)), _) => (name, value, false),
            (None, Some((name, value))) => (name, value, true),
            (None, None) => return false,
        };
        let value = value.trim().trim_matches('"');
        let actual = match name.trim() {
            "ID" => id.to_string(),
            "NAME" | "HOSTNAME" => host.name.clone(),
            "CLUSTER_ID" => host.cluster.to_string(),
            "HYPERVISOR" => host.vm_mad.clone(),
            "ARCH" => "x86_64".into(),
            other => host.template.text(other).unwrap_or_default().to_owned(),
        };
        (actual == value) == equal
    };
    requirements.split('|').any(|all| all.split('&').all(holds))
}

/// Puts a machine on a host and starts it.
fn deploy(daemon: &mut Daemon, id: i32, host_id: i32, datastore: Option<i32>) {
    let Some(stay) = occupy(daemon, id, host_id, datastore) else { return };
    let Some(machine) = daemon.machines.get_mut(id) else { return };
    machine.template.set("TM_MAD_SYSTEM", stay.tm_mad.clone());
    machine.history.push(stay);
    let (prolog, boot) = match machine.origin.take() {
        Some(State::STOPPED) => (State::PROLOG_RESUME, State::BOOT_STOPPED),
        Some(State::UNDEPLOYED) => (State::PROLOG_UNDEPLOY, State::BOOT_UNDEPLOY),
        _ => (State::PROLOG, State::BOOT),
    };
    daemon.at_once(id, prolog, &[(boot, Effect::None), (State::RUNNING, Effect::Deploy)]);
}

fn occupy(daemon: &mut Daemon, id: i32, host_id: i32, datastore: Option<i32>) -> Option<Stay> {
    let (cpu, memory) = daemon.machines.get(id).map(size)?;
    let cluster = daemon.hosts.get(host_id)?.cluster;
    let system = daemon
        .datastores
        .iter()
        .filter(|(_, d)| d.kind == 1 && d.clusters.contains(&cluster))
        .map(|(id, d)| (id, d.transfer.clone()))
        .find(|(id, _)| datastore.is_none_or(|wanted| wanted == *id));
    let (datastore, tm_mad) = system.unwrap_or((0, "dummy".into()));
    let host = daemon.hosts.get_mut(host_id)?;
    host.used_cpu += cpu;
    host.used_memory += memory;
    host.machines.push(id);
    let now = seconds();
    Some(Stay {
        host: host_id,
        host_name: host.name.clone(),
        cluster,
        vm_mad: host.vm_mad.clone(),
        tm_mad,
        datastore,
        times: BTreeMap::from([("STIME", now), ("PSTIME", now), ("PETIME", now)]),
        action: 0,
        ended_by: (-1, -1),
    })
}

/// The start of a machine failed.
pub fn deployment_failed(daemon: &mut Daemon, id: i32) {
    if let Some(machine) = daemon.machines.get_mut(id) {
        let host = machine.stay().map_or(String::new(), |s| s.host_name.clone());
        let text = format!("{}: DEPLOY: {host}:{}:dummy", world::calendar(), machine.name);
        machine.user_template.set("ERROR", text);
        machine.close_history(0, -1, -1);
    }
}

/// `one.vm.deploy(id, host, [enforce, datastore, nic template])`
pub fn deploy_by_hand(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, host_id) = (arguments.integer()?, arguments.integer()?);
    let (enforce, datastore) = (arguments.boolean_or(false)?, arguments.integer_or(-1)?);
    let machine = daemon.manage_machine(caller, id)?;
    if !matches!(machine.state, State::PENDING | State::HOLD) {
        let text = format!("deploy action is not available for state {}", machine.state.name());
        return Err(Refusal::new(Code::Action, text));
    }
    let (cpu, memory) = size(machine);
    let host = take::<Host>(daemon, caller, host_id, Right::Manage)?;
    if enforce && !host.has_room(cpu, memory) {
        return Err(Refusal::new(Code::Action, format!("Host {host_id} does not have enough capacity.")));
    }
    daemon.forget(id);
    deploy(daemon, id, host_id, (datastore >= 0).then_some(datastore));
    Ok(Value::Integer(id))
}

/// `one.vm.migrate(id, host, live, [enforce, datastore, kind: 0 save, 1 poweroff, 2 poweroff-hard])`
pub fn migrate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, host_id, live) = (arguments.integer()?, arguments.integer()?, arguments.boolean()?);
    arguments.boolean_or(false)?;
    arguments.integer_or(-1)?;
    let kind = arguments.integer_or(0)?;
    let machine = daemon.manage_machine(caller, id)?;
    let (current, from) = (machine.state, machine.stay().cloned());
    take::<Host>(daemon, caller, host_id, Right::Manage)?;
    let off = current == State::POWEROFF;
    if !off && current != State::RUNNING {
        let text = format!("Migrate action is not available for state {}", current.name());
        return Err(Refusal::new(Code::Action, text));
    }
    if let Some(stay) = from.filter(|s| s.host == host_id) {
        let text = format!("VM is already running on host [{host_id}] and datastore [{}]", stay.datastore);
        return Err(Refusal::new(Code::Action, text));
    }
    let number = match (live, kind) {
        (true, _) => action::LIVE_MIGRATE,
        (false, 1) => action::POWEROFF_MIGRATE,
        (false, 2) => action::POWEROFF_HARD_MIGRATE,
        _ => action::MIGRATE,
    };
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.close_history(number, caller.uid, caller.gid);
    }
    super::lifecycle::leave_host(daemon, id);
    if let Some(stay) = occupy(daemon, id, host_id, None)
        && let Some(machine) = daemon.machines.get_mut(id)
    {
        machine.history.push(stay);
    }
    let none = Effect::None;
    let boot = if kind == 0 { State::BOOT_MIGRATE } else { State::BOOT };
    let steps = if off {
        vec![(State::PROLOG_MIGRATE_POWEROFF, none.clone()), (State::POWEROFF, none)]
    } else if live {
        vec![(State::MIGRATE, none), (State::RUNNING, Effect::Deploy)]
    } else {
        vec![
            (State::SAVE_MIGRATE, none.clone()),
            (State::PROLOG_MIGRATE, none.clone()),
            (boot, none),
            (State::RUNNING, Effect::Deploy),
        ]
    };
    daemon.after_race(id, &steps);
    Ok(Value::Integer(id))
}
