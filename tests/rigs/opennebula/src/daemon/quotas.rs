//! Limits of users and groups, and what they have used of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::access::{Caller, Right};
use super::groups::Group;
use super::machines::Machine;
use super::objects::{Ownership, take_mut};
use super::users::User;
use super::{Daemon, Methods, Outcome};
use crate::template::{Parts, Template, vector};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.user.quota", set_for_user),
    ("one.group.quota", set_for_group),
    ("one.userquota.info", |_, _, _| defaults("USER")),
    ("one.groupquota.info", |_, _, _| defaults("GROUP")),
];

/// What is counted of machines.
const COUNTED: [&str; 6] = ["CPU", "MEMORY", "PCI_DEV", "PCI_NIC", "SYSTEM_DISK_SIZE", "VMS"];
/// What is counted of the running ones among them.
const COUNTED_RUNNING: [&str; 5] =
    ["RUNNING_CPU", "RUNNING_MEMORY", "RUNNING_PCI_DEV", "RUNNING_PCI_NIC", "RUNNING_VMS"];

/// Limits: -1 and -2 and what is missing are none.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    machines: Option<Parts>,
    datastores: BTreeMap<i32, Parts>,
    networks: BTreeMap<i32, Parts>,
    images: BTreeMap<i32, Parts>,
}

/// What is used.
#[derive(Clone, Debug, Default)]
pub struct Used {
    machines: BTreeMap<&'static str, f64>,
    datastores: BTreeMap<(i32, &'static str), f64>,
    networks: BTreeMap<(i32, &'static str), f64>,
    images: BTreeMap<(i32, &'static str), f64>,
}

impl Used {
    /// What a user has. Nobody counts what oneadmin has.
    pub fn by_user(daemon: &Daemon, uid: i32) -> Self {
        Self::where_owner(daemon, |o| o.uid == uid && uid != 0)
    }

    /// What the members of a group have.
    pub fn by_group(daemon: &Daemon, gid: i32) -> Self {
        Self::where_owner(daemon, |o| o.gid == gid && gid != 0)
    }

    fn where_owner(daemon: &Daemon, owner: impl Fn(&Ownership) -> bool) -> Self {
        let mut used = Self::default();
        for (_, machine) in daemon.machines.iter().filter(|(_, m)| owner(&m.ownership) && !m.is_done()) {
            used.add(machine);
        }
        for (_, image) in daemon.images.iter().filter(|(_, i)| owner(&i.ownership)) {
            *used.datastores.entry((image.datastore, "IMAGES")).or_default() += 1.0;
            *used.datastores.entry((image.datastore, "SIZE")).or_default() += image.megabytes as f64;
        }
        used
    }

    fn add(&mut self, machine: &Machine) {
        let (cpu, memory) = (machine.cpu(), machine.memory() as f64);
        for (name, amount) in [("CPU", cpu), ("MEMORY", memory), ("VMS", 1.0)] {
            *self.machines.entry(name).or_default() += amount;
        }
        if !matches!(machine.state.state, 4 | 8 | 9) {
            for (name, amount) in [("RUNNING_CPU", cpu), ("RUNNING_MEMORY", memory), ("RUNNING_VMS", 1.0)] {
                *self.machines.entry(name).or_default() += amount;
            }
        }
        for nic in machine.template.vectors("NIC") {
            if let Some(network) = nic.get("NETWORK_ID").and_then(|n| n.parse().ok()) {
                *self.networks.entry((network, "LEASES")).or_default() += 1.0;
            }
        }
        for disk in machine.template.vectors("DISK") {
            if let Some(image) = disk.get("IMAGE_ID").and_then(|n| n.parse().ok()) {
                *self.images.entry((image, "RVMS")).or_default() += 1.0;
            }
        }
    }
}

fn limit(parts: &Parts, name: &str) -> Option<f64> {
    parts.get(name).and_then(|n| n.parse::<f64>().ok()).filter(|n| *n >= 0.0)
}

fn number(name: &str, amount: f64) -> String {
    if name.ends_with("CPU") && amount != 0.0 { format!("{amount:.2}") } else { format!("{amount:.0}") }
}

impl Quotas {
    fn set(&mut self, template: &Template) {
        for parts in template.vectors("VM") {
            self.machines.get_or_insert_default().extend(parts.clone());
        }
        for (name, own) in
            [("DATASTORE", &mut self.datastores), ("NETWORK", &mut self.networks), ("IMAGE", &mut self.images)]
        {
            for parts in template.vectors(name) {
                if let Some(id) = parts.get("ID").and_then(|id| id.parse().ok()) {
                    own.entry(id).or_default().extend(parts.clone());
                }
            }
        }
    }

    /// The four elements of the documents.
    pub fn write(&self, used: &Used, out: &mut String) {
        write_each(out, "DATASTORE", &self.datastores, &used.datastores, &["IMAGES", "SIZE"]);
        write_each(out, "NETWORK", &self.networks, &used.networks, &["LEASES"]);
        out.push_str("<VM_QUOTA>");
        if self.machines.is_some() || used.machines.get("VMS").is_some_and(|n| *n > 0.0) {
            let none = Parts::new();
            let limits = self.machines.as_ref().unwrap_or(&none);
            let mut parts = Parts::new();
            for name in COUNTED.iter().chain(&COUNTED_RUNNING) {
                let amount = used.machines.get(name).copied().unwrap_or_default();
                parts.insert((*name).into(), limits.get(*name).cloned().unwrap_or_else(|| "-1".into()));
                parts.insert(format!("{name}_USED"), number(name, amount));
            }
            vector(out, "VM", &parts);
        }
        out.push_str("</VM_QUOTA>");
        write_each(out, "IMAGE", &self.images, &used.images, &["RVMS"]);
    }

    fn check(&self, used: &Used, wanted: &Wanted, whose: &str) -> Result<(), Refusal> {
        let exceeded = |limit: f64, name: &str, what: &str| {
            let text = format!("{whose} limit of {} reached for {name} quota in {what}.", number(name, limit));
            Err(Refusal::new(Code::Authorization, text))
        };
        if let Some(limits) = &self.machines {
            for (name, amount) in &wanted.machines {
                let have = used.machines.get(name).copied().unwrap_or_default();
                if let Some(limit) = limit(limits, name).filter(|limit| *amount > 0.0 && have + amount > *limit) {
                    return exceeded(limit, name, "VM");
                }
            }
        }
        for (network, amount) in &wanted.leases {
            let have = used.networks.get(&(*network, "LEASES")).copied().unwrap_or_default();
            let limit = self.networks.get(network).and_then(|l| limit(l, "LEASES"));
            if let Some(limit) = limit.filter(|limit| have + amount > *limit) {
                return exceeded(limit, "LEASES", &format!("NETWORK with ID: {network}"));
            }
        }
        for ((datastore, name), amount) in &wanted.images {
            let have = used.datastores.get(&(*datastore, *name)).copied().unwrap_or_default();
            let limit = self.datastores.get(datastore).and_then(|l| limit(l, name));
            if let Some(limit) = limit.filter(|limit| have + amount > *limit) {
                return exceeded(limit, name, &format!("DATASTORE with ID: {datastore}"));
            }
        }
        Ok(())
    }
}

fn write_each(
    out: &mut String,
    kind: &str,
    limits: &BTreeMap<i32, Parts>,
    used: &BTreeMap<(i32, &'static str), f64>,
    names: &[&'static str],
) {
    let _ = write!(out, "<{kind}_QUOTA>");
    let ids: BTreeSet<i32> = limits.keys().copied().chain(used.keys().map(|(id, _)| *id)).collect();
    for id in ids {
        let own = limits.get(&id);
        let mut parts = Parts::from([("ID".to_owned(), id.to_string())]);
        for name in names {
            let amount = used.get(&(id, *name)).copied().unwrap_or_default();
            parts.insert((*name).into(), own.and_then(|own| own.get(*name)).cloned().unwrap_or_else(|| "-1".into()));
            parts.insert(format!("{name}_USED"), number(name, amount));
        }
        vector(out, kind, &parts);
    }
    let _ = write!(out, "</{kind}_QUOTA>");
}

/// `<DEFAULT_USER_QUOTAS>`, or those of groups: none.
pub fn write_defaults(whose: &str, out: &mut String) {
    let _ = write!(out, "<DEFAULT_{whose}_QUOTAS>");
    Quotas::default().write(&Used::default(), out);
    let _ = write!(out, "</DEFAULT_{whose}_QUOTAS>");
}

fn defaults(whose: &str) -> Outcome {
    let mut out = String::new();
    write_defaults(whose, &mut out);
    Ok(Value::Text(out))
}

/// What somebody wants in addition.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By counted name.
    pub machines: Vec<(&'static str, f64)>,
    /// By network.
    pub leases: BTreeMap<i32, f64>,
    /// By datastore: IMAGES and SIZE in megabytes.
    pub images: Vec<((i32, &'static str), f64)>,
}

/// Whether the owner and the group may have that much more. Oneadmin has no limits.
///
/// # Errors
/// 512 with "limit of N reached for X quota".
pub fn check(daemon: &Daemon, caller: &Caller, ownership: &Ownership, wanted: &Wanted) -> Result<(), Refusal> {
    let Ownership { uid, gid, .. } = *ownership;
    let explain = |refusal| match refusal {
        Refusal::Failure(mut failure) => {
            failure.message = format!("User [{}] : {}", caller.uid, failure.message);
            Refusal::Failure(failure)
        }
        fault @ Refusal::Fault(_) => fault,
    };
    if uid != 0
        && let Some(user) = daemon.users.get(uid)
    {
        user.quotas.check(&Used::by_user(daemon, uid), wanted, &format!("user [{uid}]")).map_err(explain)?;
    }
    if gid != 0
        && let Some(group) = daemon.groups.get(gid)
    {
        group.quotas.check(&Used::by_group(daemon, gid), wanted, &format!("group [{gid}]")).map_err(explain)?;
    }
    Ok(())
}

fn parsed(text: &str) -> Result<Template, Refusal> {
    Template::parse(text).map_err(|e| Refusal::new(Code::Internal, e))
}

fn set_for_user(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    take_mut::<User>(daemon, caller, id, Right::Admin)?.quotas.set(&parsed(&text)?);
    Ok(Value::Integer(id))
}

fn set_for_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    take_mut::<Group>(daemon, caller, id, Right::Admin)?.quotas.set(&parsed(&text)?);
    Ok(Value::Integer(id))
}
