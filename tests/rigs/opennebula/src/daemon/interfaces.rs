//! Interfaces of machines: the addresses that they lease, and their security groups.

use super::access::{Caller, Right};
use super::creation::owner;
use super::events::Effect;
use super::lifecycle::{action, hot_or_off};
use super::machines::Machine;
use super::networks::addresses::Lease;
use super::networks::{Network, state};
use super::objects::take;
use super::quotas::{self, Wanted};
use super::security_groups::SecurityGroup;
use super::states::State;
use super::{Daemon, Methods, Outcome};
use crate::template::{Parts, Template};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vm.attachnic", attach),
    ("one.vm.detachnic", detach),
    ("one.vm.updatenic", change),
    ("one.vm.attachsg", attach_group),
    ("one.vm.detachsg", detach_group),
];

/// The network that an interface names.
///
/// # Errors
/// The text with this code, when there is none.
pub fn find_network(daemon: &Daemon, caller: &Caller, nic: &Parts, code: Code) -> Result<i32, Refusal> {
    if let Some(id) = nic.get("NETWORK_ID") {
        let found = id.parse().ok().filter(|id| daemon.networks.get(*id).is_some());
        return found.ok_or_else(|| Refusal::new(code, format!("Virtual network with ID: {id} does not exist")));
    }
    let Some(name) = nic.get("NETWORK") else {
        return Err(Refusal::new(code, "NIC has neither NETWORK_ID nor NETWORK"));
    };
    let owner = owner(daemon, nic, "NETWORK", caller);
    let found = daemon.networks.iter().find(|(_, n)| n.name == *name && n.ownership.uid == owner).map(|(id, _)| id);
    found.ok_or_else(|| {
        Refusal::new(
            code,
            format!(
                "User {owner} does not own a network with name: {name} . Set NETWORK_UNAME or NETWORK_UID of owner in \
                 NIC."
            ),
        )
    })
}

/// Completes all interfaces of a new machine and leases their addresses.
///
/// # Errors
/// What [`lease`] says. What was leased before is given back.
pub fn describe(
    daemon: &mut Daemon,
    caller: &Caller,
    machine: i32,
    template: &mut Template,
    code: Code,
) -> Result<(), Refusal> {
    let nics: Vec<Parts> = template.vectors("NIC").cloned().collect();
    template.take("NIC");
    for (number, nic) in nics.into_iter().enumerate() {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        match lease(daemon, caller, machine, nic, number, code) {
            Ok(nic) => template.push_vector("NIC", nic),
            Err(refusal) => {
                free(daemon, machine, |_| true);
                return Err(refusal);
            }
        }
    }
    write_rules(daemon, template);
    Ok(())
}

/// Completes one interface and leases its addresses.
///
/// # Errors
/// When the network is not there (with this code), not to be used, not ready, or has no free address.
fn lease(
    daemon: &mut Daemon,
    caller: &Caller,
    machine: i32,
    mut nic: Parts,
    number: i32,
    code: Code,
) -> Result<Parts, Refusal> {
    let id = find_network(daemon, caller, &nic, code)?;
    let network = take::<Network>(daemon, caller, id, Right::Use)?;
    if network.state != state::READY {
        return Err(Refusal::new(code, format!("Cannot get IP/MAC lease from virtual network {id}.")));
    }
    let wanted = nic.get("IP").and_then(|ip| ip.parse().ok());
    let found = network.ranges.iter().find_map(|(n, range)| Some((*n, range.free_place(wanted)?)));
    let Some((range_id, place)) = found else {
        return Err(Refusal::new(code, format!("Cannot get IP/MAC lease from virtual network {id}.")));
    };
    let mut groups: Vec<String> = network.template.text("SECURITY_GROUPS").into_iter().map(str::to_owned).collect();
    groups.extend(nic.get("SECURITY_GROUPS").cloned());
    let groups = normalized(&groups.join(","));
    for group in groups.split(',').filter_map(|g| g.parse().ok()).filter(|g| *g != 0) {
        take::<SecurityGroup>(daemon, caller, group, Right::Use)?;
    }
    let Some(network) = daemon.networks.get_mut(id) else {
        return Err(Refusal::new(code, format!("Virtual network with ID: {id} does not exist")));
    };
    for name in ["BRIDGE", "BRIDGE_TYPE", "DNS", "GATEWAY", "VN_MAD", "PHYDEV", "VLAN_ID"] {
        if let Some(text) = network.template.text(name).filter(|t| !t.is_empty()) {
            nic.insert(name.into(), text.into());
        }
    }
    let clusters: Vec<_> = network.clusters.iter().map(i32::to_string).collect();
    let name = network.name.clone();
    if let Some(range) = network.ranges.get_mut(&range_id) {
        range.leases.insert(place, Lease { machine: Some(machine), network: None });
        if let Some(ip) = range.ip(place) {
            nic.insert("IP".into(), ip.to_string());
        }
        for (name, address) in range.ip6(place) {
            nic.insert(name.into(), address.to_string());
        }
        nic.insert("MAC".into(), range.mac(place));
    }
    let added = [
        ("AR_ID", range_id.to_string()),
        ("CLUSTER_ID", clusters.join(",")),
        ("NETWORK", name),
        ("NETWORK_ID", id.to_string()),
        ("NIC_ID", number.to_string()),
        ("SECURITY_GROUPS", groups),
        ("TARGET", format!("one-{machine}-{number}")),
    ];
    nic.extend(added.map(|(name, value)| (name.to_owned(), value)));
    nic.entry("NAME".into()).or_insert_with(|| format!("NIC{number}"));
    Ok(nic)
}

fn normalized(groups: &str) -> String {
    let mut ids: Vec<i32> = groups.split(',').filter_map(|g| g.trim().parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    let texts: Vec<_> = ids.iter().map(i32::to_string).collect();
    texts.join(",")
}

/// `SECURITY_GROUP_RULE`: the rules of all groups of all interfaces.
fn write_rules(daemon: &Daemon, template: &mut Template) {
    let groups: Vec<String> = template.vectors("NIC").filter_map(|n| n.get("SECURITY_GROUPS").cloned()).collect();
    template.take("SECURITY_GROUP_RULE");
    for id in normalized(&groups.join(",")).split(',').filter_map(|g| g.parse().ok()) {
        let Some(group) = daemon.security_groups.get(id) else { continue };
        for rule in group.template.vectors("RULE") {
            let mut rule = rule.clone();
            rule.insert("SECURITY_GROUP_ID".into(), id.to_string());
            rule.insert("SECURITY_GROUP_NAME".into(), group.name.clone());
            template.push_vector("SECURITY_GROUP_RULE", rule);
        }
    }
}

/// With NETWORK="YES" the addresses go into the context too.
pub fn into_context(daemon: &Daemon, template: &mut Template) {
    const NAMES: [&str; 23] = [
        "DNS",
        "EXTERNAL",
        "GATEWAY",
        "IP",
        "IP6",
        "IP6_GATEWAY",
        "IP6_METHOD",
        "IP6_METRIC",
        "IP6_PREFIX_LENGTH",
        "IP6_ULA",
        "MAC",
        "MASK",
        "METHOD",
        "METRIC",
        "MTU",
        "NETWORK",
        "ROUTES",
        "SEARCH_DOMAIN",
        "VLAN_ID",
        "VROUTER_IP",
        "VROUTER_IP6",
        "VROUTER_MANAGEMENT",
        "GUEST_MTU",
    ];
    let nics: Vec<Parts> = template.vectors("NIC").cloned().collect();
    let Some(context) = template.vectors_mut("CONTEXT").next() else { return };
    context
        .retain(|name, _| !name.strip_prefix("ETH").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    if !context.get("NETWORK").is_some_and(|n| n.eq_ignore_ascii_case("yes")) {
        return;
    }
    for nic in &nics {
        let number = nic.get("NIC_ID").cloned().unwrap_or_default();
        let network = nic.get("NETWORK_ID").and_then(|n| n.parse().ok()).and_then(|n| daemon.networks.get(n));
        for name in NAMES.iter().take(22) {
            let of_network = |name: &str| network.and_then(|n| n.template.text(name)).map(str::to_owned);
            let value = match *name {
                "IP" | "MAC" => nic.get(*name).cloned(),
                "IP6" => nic.get("IP6_GLOBAL").cloned(),
                "IP6_ULA" => nic.get("IP6_ULA").cloned(),
                "MASK" => of_network("NETWORK_MASK"),
                "NETWORK" => of_network("NETWORK_ADDRESS"),
                other => of_network(other),
            };
            context.insert(format!("ETH{number}_{name}"), value.unwrap_or_default());
        }
    }
}

fn free(daemon: &mut Daemon, machine: i32, which: impl Fn(i32) -> bool) {
    for (id, network) in daemon.networks.iter_mut() {
        if which(id) {
            for range in network.ranges.values_mut() {
                range.leases.retain(|_, lease| lease.machine != Some(machine));
            }
        }
    }
}

/// Gives all addresses of a machine back.
pub fn release_all(daemon: &mut Daemon, machine: i32) {
    free(daemon, machine, |_| true);
}

fn attach(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let machine = daemon.manage_machine(caller, id)?;
    let wrong = |state: &str| format!("Could not add a new NIC to VM {id}, wrong state {state}.");
    let hot = hot_or_off(machine, wrong)?;
    let ownership = machine.ownership.clone();
    let template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let Some(nic) = template.vector("NIC").cloned() else {
        return Err(Refusal::new(Code::Internal, "Could not attach NIC, no NIC attribute in the template."));
    };
    let number = machine.template.vectors("NIC").filter_map(|n| n.get("NIC_ID")?.parse::<i32>().ok()).max();
    let number = number.map_or(0, |n| n + 1);
    let network = find_network(daemon, caller, &nic, Code::Action)?;
    let wanted = Wanted { leases: [(network, 1.0)].into(), ..Wanted::default() };
    quotas::check(daemon, caller, &ownership, &wanted)?;
    let nic = lease(daemon, caller, id, nic, number, Code::Action)?;
    with_template(daemon, id, |template| template.push_vector("NIC", nic));
    finish(daemon, caller, id, hot, action::NIC_ATTACH, Effect::None);
    Ok(Value::Integer(id))
}

fn with_template(daemon: &mut Daemon, id: i32, change: impl FnOnce(&mut Template)) {
    let Some(mut template) = daemon.machines.get(id).map(|m| m.template.clone()) else { return };
    change(&mut template);
    write_rules(daemon, &mut template);
    into_context(daemon, &mut template);
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.template = template;
    }
}

fn finish(daemon: &mut Daemon, caller: &Caller, id: i32, hot: bool, number: i32, effect: Effect) {
    if let Some(machine) = daemon.machines.get_mut(id) {
        machine.close_history(number, caller.uid, caller.gid);
        machine.open_history();
    }
    if hot {
        daemon.at_once(id, State::HOTPLUG_NIC, &[(State::RUNNING, effect)]);
    } else if let Effect::DetachInterface(nic) = effect {
        detached(daemon, id, nic);
    }
}

fn find_nic(machine: &Machine, nic: i32) -> Result<Parts, Refusal> {
    let found = machine.template.vectors("NIC").find(|n| n.get("NIC_ID").is_some_and(|i| *i == nic.to_string()));
    found.cloned().ok_or_else(|| Refusal::new(Code::Action, format!("NIC with NIC_ID {nic} does not exist.")))
}

fn detach(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, nic) = (arguments.integer()?, arguments.integer()?);
    let machine = daemon.manage_machine(caller, id)?;
    let wrong = |state: &str| format!("Could not detach NIC from VM {id}, wrong state {state}.");
    let hot = hot_or_off(machine, wrong)?;
    find_nic(machine, nic)?;
    finish(daemon, caller, id, hot, action::NIC_DETACH, Effect::DetachInterface(nic));
    Ok(Value::Integer(id))
}

/// An interface is gone: so are its addresses.
pub fn detached(daemon: &mut Daemon, id: i32, nic: i32) {
    let Some(parts) = daemon.machines.get(id).and_then(|m| find_nic(m, nic).ok()) else { return };
    let number = |name: &str| parts.get(name).and_then(|n| n.parse::<i32>().ok());
    if let Some(network) = number("NETWORK_ID").and_then(|n| daemon.networks.get_mut(n)) {
        for range in network.ranges.values_mut() {
            let own: Vec<u32> =
                range.leases.keys().copied().filter(|p| Some(&range.mac(*p)) == parts.get("MAC")).collect();
            for place in own {
                range.leases.remove(&place);
            }
        }
    }
    let nic = nic.to_string();
    with_template(daemon, id, |template| template.retain_vectors("NIC", |n| n.get("NIC_ID") != Some(&nic)));
}

fn change(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, nic, text) = (arguments.integer()?, arguments.integer()?, arguments.text()?);
    let machine = daemon.manage_machine(caller, id)?;
    let wrong = |state: &str| format!("Could not update NIC of VM {id}, wrong state {state}.");
    let hot = hot_or_off(machine, wrong)?;
    find_nic(machine, nic)?;
    let template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let changes = template.vector("NIC").cloned().unwrap_or_default();
    alter(daemon, id, nic, |parts| parts.extend(changes));
    finish(daemon, caller, id, hot, 51, Effect::None);
    Ok(Value::Integer(id))
}

fn alter(daemon: &mut Daemon, id: i32, nic: i32, change: impl FnOnce(&mut Parts)) {
    with_template(daemon, id, |template| {
        if let Some(parts) =
            template.vectors_mut("NIC").find(|n| n.get("NIC_ID").is_some_and(|i| *i == nic.to_string()))
        {
            change(parts);
        }
    });
}

fn groups_of(
    daemon: &mut Daemon,
    caller: &Caller,
    arguments: &mut Arguments,
) -> Result<(i32, i32, i32, Parts), Refusal> {
    let (id, nic, group) = (arguments.integer()?, arguments.integer()?, arguments.integer()?);
    let machine = daemon.manage_machine(caller, id)?;
    hot_or_off(machine, |state| format!("Could not change security groups of VM {id}, wrong state {state}."))?;
    let parts = find_nic(machine, nic)?;
    take::<SecurityGroup>(daemon, caller, group, Right::Use)?;
    Ok((id, nic, group, parts))
}

fn attach_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, nic, group, parts) = groups_of(daemon, caller, arguments)?;
    let groups = parts.get("SECURITY_GROUPS").cloned().unwrap_or_default();
    if groups.split(',').any(|g| g == group.to_string()) {
        let text = format!("NIC {nic} has already security group {group}.");
        return Err(Refusal::new(Code::Action, text));
    }
    let groups = normalized(&format!("{groups},{group}"));
    alter(daemon, id, nic, |parts| {
        parts.insert("SECURITY_GROUPS".into(), groups);
    });
    Ok(Value::Integer(id))
}

fn detach_group(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, nic, group, parts) = groups_of(daemon, caller, arguments)?;
    let groups = parts.get("SECURITY_GROUPS").cloned().unwrap_or_default();
    let left: Vec<&str> = groups.split(',').filter(|g| *g != group.to_string()).collect();
    if left.len() == groups.split(',').count() {
        return Err(Refusal::new(Code::Action, format!("NIC {nic} has no security group {group}.")));
    }
    let left = left.join(",");
    alter(daemon, id, nic, |parts| {
        parts.insert("SECURITY_GROUPS".into(), left);
    });
    Ok(Value::Integer(id))
}
