//! `one.vm.action`: what each action does in each state.

use std::time::Duration;

use super::access::Caller;
use super::events::{Effect, Happening};
use super::machines::Machine;
use super::states::State;
use super::{Daemon, Methods, Outcome, disks, interfaces, scheduling, seconds, world};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[("one.vm.action", act)];

/// Numbers of actions in history records.
#[allow(missing_docs)]
pub mod action {
    pub const MIGRATE: i32 = 1;
    pub const LIVE_MIGRATE: i32 = 2;
    pub const UNDEPLOY: i32 = 5;
    pub const UNDEPLOY_HARD: i32 = 6;
    pub const STOP: i32 = 9;
    pub const SUSPEND: i32 = 10;
    pub const DELETE: i32 = 13;
    pub const POWEROFF: i32 = 19;
    pub const POWEROFF_HARD: i32 = 20;
    pub const DISK_ATTACH: i32 = 21;
    pub const DISK_DETACH: i32 = 22;
    pub const NIC_ATTACH: i32 = 23;
    pub const NIC_DETACH: i32 = 24;
    pub const DISK_SNAPSHOT_CREATE: i32 = 25;
    pub const DISK_SNAPSHOT_DELETE: i32 = 26;
    pub const TERMINATE: i32 = 27;
    pub const TERMINATE_HARD: i32 = 28;
    pub const DISK_RESIZE: i32 = 29;
    pub const RESIZE: i32 = 35;
    pub const DISK_SNAPSHOT_REVERT: i32 = 41;
    pub const POWEROFF_MIGRATE: i32 = 48;
    pub const POWEROFF_HARD_MIGRATE: i32 = 49;
    pub const BACKUP: i32 = 50;
}

fn act(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (name, id) = arguments.text_before_integer()?;
    let state = daemon.manage_machine(caller, id)?.state;
    let hard = name.ends_with("-hard");
    let done = match name.as_str() {
        "terminate" | "terminate-hard" => return terminate(daemon, caller, id, state, &name),
        "poweroff" | "poweroff-hard" if matches!(state, State::RUNNING | State::UNKNOWN) => {
            let number = if hard { action::POWEROFF_HARD } else { action::POWEROFF };
            close(daemon, caller, id, number);
            daemon.after_race(id, &[(State::SHUTDOWN_POWEROFF, Effect::None), (State::POWEROFF, Effect::None)])
        }
        "suspend" if state == State::RUNNING => {
            close(daemon, caller, id, action::SUSPEND);
            daemon.after_race(id, &[(State::SAVE_SUSPEND, Effect::None), (State::SUSPENDED, Effect::None)])
        }
        "stop" if matches!(state, State::RUNNING | State::SUSPENDED) => {
            close(daemon, caller, id, action::STOP);
            let mut steps = vec![
                (State::SAVE_STOP, Effect::None),
                (State::EPILOG_STOP, Effect::None),
                (State::STOPPED, Effect::Undeploy),
            ];
            if state == State::SUSPENDED {
                steps.remove(0);
            }
            daemon.after_race(id, &steps)
        }
        "undeploy" | "undeploy-hard" if matches!(state, State::RUNNING | State::UNKNOWN | State::POWEROFF) => {
            close(daemon, caller, id, if hard { action::UNDEPLOY_HARD } else { action::UNDEPLOY });
            let mut steps = vec![
                (State::SHUTDOWN_UNDEPLOY, Effect::None),
                (State::EPILOG_UNDEPLOY, Effect::None),
                (State::UNDEPLOYED, Effect::Undeploy),
            ];
            if state == State::POWEROFF {
                steps.remove(0);
            }
            daemon.after_race(id, &steps)
        }
        "resume" => return resume(daemon, id, state),
        "hold" if state == State::PENDING => daemon.enter(id, State::HOLD, true),
        "release" if state == State::HOLD => pend(daemon, id),
        // Nothing is to be seen of a restart.
        "reboot" | "reboot-hard" if state == State::RUNNING => Some(()),
        "resched" | "unresched" if matches!(state, State::RUNNING | State::UNKNOWN | State::POWEROFF) => {
            daemon.machines.get_mut(id).map(|m| m.rescheduled = name == "resched")
        }
        known if KNOWN.contains(&known) => return Err(wrong_state(known, state)),
        unknown => {
            return Err(Refusal::new(Code::Action, format!("Action \"{unknown}\" is not supported")));
        }
    };
    done.map(|()| Value::Integer(id)).ok_or_else(|| wrong_state(&name, state))
}

const KNOWN: [&str; 15] = [
    "terminate",
    "terminate-hard",
    "undeploy",
    "undeploy-hard",
    "poweroff",
    "poweroff-hard",
    "reboot",
    "reboot-hard",
    "hold",
    "release",
    "stop",
    "suspend",
    "resume",
    "resched",
    "unresched",
];

fn wrong_state(name: &str, state: State) -> Refusal {
    let text = format!("Error performing action \"{name}\": This action is not available for state {}", state.name());
    Refusal::new(Code::Action, text)
}

fn close(daemon: &mut Daemon, caller: &Caller, id: i32, number: i32) {
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.close_history(number, caller.uid, caller.gid);
    }
}

fn pend(daemon: &mut Daemon, id: i32) -> Option<()> {
    daemon.enter(id, State::PENDING, true)?;
    daemon.plan(daemon.settings.delays.placement, Happening::Placement(id));
    Some(())
}

fn resume(daemon: &mut Daemon, id: i32, state: State) -> Outcome {
    let boot = match state {
        State::POWEROFF => State::BOOT_POWEROFF,
        State::SUSPENDED => State::BOOT_SUSPENDED,
        State::UNKNOWN => State::BOOT_UNKNOWN,
        State::STOPPED | State::UNDEPLOYED => {
            if let Some(machine) = daemon.machines.get_mut(id) {
                // The placement sees from this where to go on.
                machine.user_template.take("SCHED_MESSAGE");
            }
            scheduling::remember_origin(daemon, id, state);
            pend(daemon, id);
            return Ok(Value::Integer(id));
        }
        other => return Err(wrong_state("resume", other)),
    };
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.open_history();
    }
    daemon.after_race(id, &[(boot, Effect::None), (State::RUNNING, Effect::Deploy)]);
    Ok(Value::Integer(id))
}

fn terminate(daemon: &mut Daemon, caller: &Caller, id: i32, state: State, name: &str) -> Outcome {
    let number = if name == "terminate" { action::TERMINATE } else { action::TERMINATE_HARD };
    let steps: &[(State, Effect)] = match state {
        State::RUNNING | State::UNKNOWN => {
            &[(State::SHUTDOWN, Effect::None), (State::EPILOG, Effect::Shutdown), (State::DONE, Effect::Release)]
        }
        State::POWEROFF | State::SUSPENDED | State::STOPPED | State::UNDEPLOYED => {
            &[(State::EPILOG, Effect::None), (State::DONE, Effect::Release)]
        }
        State::PENDING | State::HOLD => {
            daemon.forget(id);
            daemon.enter(id, State::DONE, false);
            release(daemon, id);
            return Ok(Value::Integer(id));
        }
        State::DONE => return Err(wrong_state(name, state)),
        other => {
            let text = format!(
                "Error performing action \"{name}\": Could not terminate VM {id}, wrong state {}.",
                other.name()
            );
            return Err(Refusal::new(Code::Action, text));
        }
    };
    close(daemon, caller, id, number);
    daemon.after_race(id, steps);
    Ok(Value::Integer(id))
}

impl Daemon {
    /// Plans steps whose first begins a little later: until then the old state is shown.
    pub(crate) fn after_race(&mut self, id: i32, steps: &[(State, Effect)]) -> Option<()> {
        let race = self.settings.delays.race;
        self.plan_steps(id, race, steps);
        Some(())
    }

    /// Comes into the first state at once, and plans the others.
    pub(crate) fn at_once(&mut self, id: i32, first: State, steps: &[(State, Effect)]) {
        self.enter(id, first, false);
        self.plan_steps(id, self.settings.delays.step, steps);
    }

    fn plan_steps(&mut self, id: i32, first: Duration, steps: &[(State, Effect)]) {
        let step = self.settings.delays.step;
        let mut after = first;
        for (state, effect) in steps {
            self.plan(after, Happening::Machine(id, *state, effect.clone()));
            after += step;
        }
    }

    /// Comes into a state now.
    pub(crate) fn enter(&mut self, id: i32, state: State, forget: bool) -> Option<()> {
        if forget {
            self.forget(id);
        }
        self.machines.get_mut(id).map(|m| m.enter(state))
    }
}

/// The shutdown at a terminate did not work: the machine runs as before.
pub fn shutdown_failed(daemon: &mut Daemon, id: i32) {
    if let Some(machine) = daemon.machines.get_mut(id) {
        let text = format!("{}: Error shutting down VM: SHUTDOWN: {}", world::calendar(), machine.deploy_id);
        machine.user_template.set("ERROR", text);
        if let Some(stay) = machine.history.last_mut() {
            stay.action = 0;
            stay.times.remove("ETIME");
            stay.times.remove("RETIME");
        }
    }
}

/// Gives back all that a machine held.
pub fn release(daemon: &mut Daemon, id: i32) {
    leave_host(daemon, id);
    disks::release_all(daemon, id);
    interfaces::release_all(daemon, id);
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.ended = seconds();
    }
}

/// Gives back the capacity on the host.
pub fn leave_host(daemon: &mut Daemon, id: i32) {
    let Some((cpu, memory)) = daemon.machines.get(id).map(scheduling::size) else { return };
    if let Some(machine) = daemon.machines.get_mut(id) {
        for graphics in machine.template.vectors_mut("GRAPHICS") {
            graphics.remove("PORT");
        }
    }
    for (_, host) in daemon.hosts.iter_mut() {
        let before = host.machines.len();
        host.machines.retain(|m| *m != id);
        if host.machines.len() < before {
            host.used_cpu -= cpu;
            host.used_memory -= memory;
        }
    }
}

/// Whether a machine in this state can be changed while it runs or is off.
///
/// # Errors
/// 2048 with the text made from the state's name.
pub fn hot_or_off(machine: &Machine, text: impl FnOnce(&str) -> String) -> Result<bool, Refusal> {
    match machine.state {
        State::RUNNING => Ok(true),
        State::POWEROFF => Ok(false),
        other => Err(Refusal::new(Code::Action, text(other.name()))),
    }
}
