//! Machines: what is known of them, their documents and their pool.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::access::{Caller, Right, may};
use super::documents::common;
use super::objects::{Kind, Ownership, Pool, chmod, chown, lock, object, rename, take, unlock, update};
use super::paging::{Range, Whose};
use super::snapshots::DiskSnapshots;
use super::states::State;
use super::{Daemon, Methods, Outcome, seconds};
use crate::form::Form;
use crate::template::{Template, element};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vm.info", info),
    ("one.vm.rename", rename::<Machine>),
    ("one.vm.update", update::<Machine>),
    ("one.vm.chmod", chmod::<Machine>),
    ("one.vm.chown", chown::<Machine>),
    ("one.vm.lock", lock::<Machine>),
    ("one.vm.unlock", unlock::<Machine>),
    ("one.vmpool.info", |daemon, caller, arguments| pool(daemon, caller, arguments, write_extract)),
    ("one.vmpool.infoextended", |daemon, caller, arguments| pool(daemon, caller, arguments, write)),
    ("one.vmpool.infoset", set),
];

const FORM: Form = Form::new(include_str!("../../forms/machine.xml"));
const EXTRACT: Form = Form::new(include_str!("../../forms/machine-extract.xml"));
const HISTORY: Form = Form::new(include_str!("../../forms/history.xml"));
const HISTORY_EXTRACT: Form = Form::new(include_str!("../../forms/history-extract.xml"));

/// One stay on a host.
#[derive(Clone, Debug, Default)]
pub struct Stay {
    /// The host.
    pub host: i32,
    /// Its name.
    pub host_name: String,
    /// Its cluster.
    pub cluster: i32,
    /// The hypervisor's driver.
    pub vm_mad: String,
    /// The transfer driver.
    pub tm_mad: String,
    /// The system datastore.
    pub datastore: i32,
    /// Start and end of the stay, of the prolog, of running and of the epilog.
    pub times: BTreeMap<&'static str, i64>,
    /// The action that ended it.
    pub action: i32,
    /// Who ended it.
    pub ended_by: (i32, i32),
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Where it goes on from when it is placed again: STOPPED or UNDEPLOYED.
    pub origin: Option<State>,
    /// Whether it is to be placed anew.
    pub rescheduled: bool,
    /// When it was made.
    pub started: i64,
    /// When it ended.
    pub ended: i64,
    /// The hypervisor's name for it.
    pub deploy_id: String,
    /// When its monitoring answered last.
    pub polled: i64,
    /// What the daemon works with.
    pub template: Template,
    /// The owner's own attributes, and error messages.
    pub user_template: Template,
    /// Its stays on hosts.
    pub history: Vec<Stay>,
    /// Snapshots of disks.
    pub snapshots: BTreeMap<i32, DiskSnapshots>,
    /// Every state that it came into, as the daemon writes them into the machine's log.
    pub log: Vec<&'static str>,
}

object!(Machine, Kind::Machine, machines, user_template, UNIQUE = false);

impl Machine {
    /// A machine that has no state yet.
    pub fn new(ownership: Ownership, name: String, template: Template, user_template: Template) -> Self {
        Self {
            ownership,
            name,
            state: State::PENDING,
            origin: None,
            rescheduled: false,
            started: seconds(),
            ended: 0,
            deploy_id: String::new(),
            polled: 0,
            template,
            user_template,
            history: Vec::new(),
            snapshots: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Comes into a state, and writes it down.
    pub fn enter(&mut self, state: State) {
        if self.state.state != state.state {
            self.log.push(state.state_name());
        }
        if state.is_active() {
            self.log.push(state.name());
        }
        self.state = state;
    }

    /// Whether it is over.
    pub fn is_done(&self) -> bool {
        self.state == State::DONE
    }

    /// In processors.
    pub fn cpu(&self) -> f64 {
        self.template.text("CPU").and_then(|c| c.parse().ok()).unwrap_or_default()
    }

    /// In MiB.
    pub fn memory(&self) -> i64 {
        self.template.number("MEMORY").unwrap_or_default()
    }

    /// The stay on the present host, or the last one.
    pub fn stay(&self) -> Option<&Stay> {
        self.history.last()
    }

    /// The hypervisor has it running.
    pub fn started(&mut self) {
        let now = seconds();
        if let Some(stay) = self.history.last_mut() {
            stay.times.insert("RSTIME", now);
            self.deploy_id = format!("{}:{}:{}", stay.host_name, self.name, stay.vm_mad);
        }
        self.polled = now;
        for graphics in self.template.vectors_mut("GRAPHICS") {
            graphics.entry("PORT".into()).or_insert_with(|| "5900".into());
        }
    }

    /// Begins a stay like the last one.
    pub fn open_history(&mut self) {
        if let Some(last) = self.history.last() {
            let now = seconds();
            let times = BTreeMap::from([("STIME", now), ("RSTIME", now)]);
            let stay = Stay { times, action: 0, ended_by: (-1, -1), ..last.clone() };
            self.history.push(stay);
        }
    }

    /// Ends the present stay with an action of this user and group (-1 for as they are).
    pub fn close_history(&mut self, action: i32, uid: i32, gid: i32) {
        if let Some(stay) = self.history.last_mut() {
            let now = seconds();
            for name in ["ETIME", "RETIME"] {
                stay.times.entry(name).or_insert(now);
            }
            if action != 0 {
                stay.action = action;
            }
            if uid >= 0 {
                stay.ended_by = (uid, gid);
            }
        }
    }
}

impl Daemon {
    /// The machine if the caller may manage it, and the call comes not too soon: what the last action has begun is
    /// begun now.
    ///
    /// # Errors
    /// 1024 and 512.
    pub(crate) fn manage_machine(&mut self, caller: &Caller, id: i32) -> Result<&mut Machine, Refusal> {
        take::<Machine>(self, caller, id, Right::Manage)?;
        if self.machines.get(id).is_some_and(|m| !m.state.is_active() || m.state == State::RUNNING) {
            self.hurry(id);
        }
        super::objects::take_mut::<Machine>(self, caller, id, Right::Manage)
    }
}

/// The document of one machine.
pub fn write(daemon: &Daemon, id: i32, machine: &Machine, out: &mut String) {
    FORM.fill(out, |hole| match hole {
        "LAST_POLL" => machine.polled.to_string().into(),
        "STATE" | "PREV_STATE" => machine.state.state.to_string().into(),
        "LCM_STATE" | "PREV_LCM_STATE" => machine.state.lcm.to_string().into(),
        "RESCHED" => i32::from(machine.rescheduled).to_string().into(),
        "STIME" => machine.started.to_string().into(),
        "ETIME" => machine.ended.to_string().into(),
        "DEPLOY_ID" => machine.deploy_id.clone().into(),
        "MONITORING" => monitoring(id, machine).into(),
        "TEMPLATE" => machine.template.written().into(),
        "USER_TEMPLATE" => machine.user_template.written().into(),
        "HISTORY_RECORDS" if machine.history.is_empty() => "<HISTORY_RECORDS/>".into(),
        "HISTORY_RECORDS" => {
            let mut inner = String::from("<HISTORY_RECORDS>");
            for (sequence, stay) in machine.history.iter().enumerate() {
                write_stay(id, sequence, stay, HISTORY, &mut inner);
            }
            inner.push_str("</HISTORY_RECORDS>");
            inner.into()
        }
        "SNAPSHOTS" => {
            let mut inner = String::new();
            for (disk, snapshots) in &machine.snapshots {
                snapshots.write(*disk, &mut inner);
            }
            inner.into()
        }
        hole => common(daemon, id, machine, hole).unwrap_or_default(),
    });
}

fn monitoring(id: i32, machine: &Machine) -> String {
    let mut out = String::new();
    if machine.polled > 0 {
        let values = [
            ("CPU", "0".to_owned()),
            ("DISKRDBYTES", "466".into()),
            ("DISKRDIOPS", "962".into()),
            ("DISKWRBYTES", "318".into()),
            ("DISKWRIOPS", "852".into()),
            ("ID", id.to_string()),
            ("MEMORY", "102236".into()),
            ("NETRX", "9391".into()),
            ("NETTX", "9391".into()),
            ("TIMESTAMP", machine.polled.to_string()),
        ];
        for (name, value) in values {
            element(&mut out, name, &value);
        }
    }
    out
}

fn write_stay(id: i32, sequence: usize, stay: &Stay, form: Form, out: &mut String) {
    form.fill(out, |hole| match hole {
        "OID" => id.to_string().into(),
        "SEQ" => sequence.to_string().into(),
        "HOSTNAME" => stay.host_name.clone().into(),
        "HID" => stay.host.to_string().into(),
        "CID" => stay.cluster.to_string().into(),
        "VM_MAD" => stay.vm_mad.clone().into(),
        "TM_MAD" => stay.tm_mad.clone().into(),
        "DS_ID" => stay.datastore.to_string().into(),
        "ACTION" => stay.action.to_string().into(),
        "UID" => stay.ended_by.0.to_string().into(),
        "GID" => stay.ended_by.1.to_string().into(),
        "REQUEST_ID" => if stay.action == 0 { "-1" } else { "1461" }.into(),
        time => stay.times.get(time).copied().unwrap_or_default().to_string().into(),
    });
}

/// What `one.vmpool.info` shows of a machine.
fn write_extract(daemon: &Daemon, id: i32, machine: &Machine, out: &mut String) {
    EXTRACT.fill(out, |hole| match hole {
        "LAST_POLL" => machine.polled.to_string().into(),
        "STATE" => machine.state.state.to_string().into(),
        "LCM_STATE" => machine.state.lcm.to_string().into(),
        "RESCHED" => i32::from(machine.rescheduled).to_string().into(),
        "STIME" => machine.started.to_string().into(),
        "ETIME" => machine.ended.to_string().into(),
        "DEPLOY_ID" => machine.deploy_id.clone().into(),
        "CPU" | "MEMORY" | "VCPU" => machine.template.text(hole).unwrap_or_default().to_owned().into(),
        "TEMPLATE" => extract_template(&machine.template).into(),
        "MONITORING" => "<MONITORING/>".into(),
        "USER_TEMPLATE" => {
            let mut inner = String::new();
            let shown = ["ERROR", "LABELS", "HYPERVISOR", "LOGO", "INFO"];
            machine.user_template.write_where(&mut inner, |name| name.starts_with("SCHED_") || shown.contains(&name));
            inner.into()
        }
        "HISTORY_RECORDS" => match machine.history.last() {
            None => "<HISTORY_RECORDS/>".into(),
            Some(stay) => {
                let mut inner = String::from("<HISTORY_RECORDS>");
                write_stay(id, machine.history.len() - 1, stay, HISTORY_EXTRACT, &mut inner);
                inner.push_str("</HISTORY_RECORDS>");
                inner.into()
            }
        },
        hole => common(daemon, id, machine, hole).unwrap_or_default(),
    });
}

fn extract_template(template: &Template) -> String {
    const DISK: [&str; 11] = [
        "DISK_ID",
        "DATASTORE",
        "DATASTORE_ID",
        "IMAGE",
        "IMAGE_ID",
        "SIZE",
        "TYPE",
        "CLONE",
        "CLONE_TARGET",
        "LN_TARGET",
        "DISK_SNAPSHOT_TOTAL_SIZE",
    ];
    const NIC: [&str; 6] = ["IP", "MAC", "NETWORK", "NETWORK_ID", "NIC_ID", "SECURITY_GROUPS"];
    let mut out = String::new();
    for (name, shown) in [("DISK", &DISK[..]), ("NIC", &NIC[..]), ("GRAPHICS", &["LISTEN", "PORT", "TYPE"][..])] {
        for parts in template.vectors(name) {
            let _ = write!(out, "<{name}>");
            for part in shown {
                if let Some(text) = parts.get(*part) {
                    element(&mut out, part, text);
                }
            }
            let _ = write!(out, "</{name}>");
        }
    }
    out
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let machine = take::<Machine>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, machine, &mut out);
    Ok(Value::Text(out))
}

type Writing = fn(&Daemon, i32, &Machine, &mut String);

fn pool(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments, write: Writing) -> Outcome {
    let (whose, start, end) = arguments.bounds()?;
    let state = arguments.integer()?;
    let filter = arguments.text_or("")?;
    let whose = Whose::parse(whose)?;
    if !filter.is_empty() {
        return Err(Refusal::new(Code::Internal, "JSON query search is not supported by the SQL backend"));
    }
    let machines = daemon.frozen_machines.as_ref().unwrap_or(&daemon.machines);
    let visible = machines.descending().filter(|(id, machine)| {
        let listed = match state {
            -2 => true,
            -1 => !machine.is_done(),
            wanted => i32::from(machine.state.state) == wanted,
        };
        let usable = || may(daemon, caller, Right::Use, Kind::Machine, Some(*id), &machine.ownership);
        listed && whose.covers(caller, &machine.ownership, usable)
    });
    let mut out = String::from("<VM_POOL>");
    for (id, machine) in Range::parse(start, end).cut(visible) {
        write(daemon, id, machine, &mut out);
    }
    out.push_str("</VM_POOL>");
    Ok(Value::Text(out))
}

fn set(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (wanted, extended) = (arguments.text()?, arguments.boolean_or(false)?);
    let mut wanted: Vec<i32> = wanted.split(',').filter_map(|id| id.trim().parse().ok()).collect();
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    let pool: &Pool<Machine> = &daemon.machines;
    let mut out = String::from("<VM_POOL>");
    for id in wanted {
        let Some(machine) = pool.get(id) else { continue };
        if may(daemon, caller, Right::Use, Kind::Machine, Some(id), &machine.ownership) {
            if extended { write(daemon, id, machine, &mut out) } else { write_extract(daemon, id, machine, &mut out) }
        }
    }
    out.push_str("</VM_POOL>");
    Ok(Value::Text(out))
}
