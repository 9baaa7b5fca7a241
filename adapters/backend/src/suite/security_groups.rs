//! Security groups.

use std::net::{IpAddr, Ipv4Addr};

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, new_tag, nobody},
    leftover::Leftover,
    parts::Pair,
};
use crate::{Direction, MachineId, Protocol, Rule, SecurityGroupId, SecurityGroupSpec, SecurityGroups};

pub(super) fn spec() -> SecurityGroupSpec {
    let range = Some((IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8));
    let ssh = Rule { direction: Direction::Inbound, protocol: Protocol::Tcp, ports: Some((22, 22)), range };
    SecurityGroupSpec { tag: new_tag(), name: "contract suite".into(), rules: vec![ssh] }
}

pub(super) async fn make(
    inspection: &mut Inspection<'_>,
    groups: &dyn SecurityGroups,
    spec: &SecurityGroupSpec,
) -> Result<SecurityGroupId, Violation> {
    const CHECK: &str = "create of a security group";
    inspection.begin("security groups");
    let group = inspection.ask(CHECK, groups.create(spec)).await?;
    inspection.leave(Leftover::SecurityGroup(group.id.clone()));
    ensure(CHECK, group.tag == spec.tag, "the group carries another tag")?;
    ensure(CHECK, same_rules(&group.rules, &spec.rules), format!("its rules are {:?}", group.rules))?;
    Ok(group.id)
}

/// In whatever order.
fn same_rules(some: &[Rule], others: &[Rule]) -> bool {
    some.len() == others.len() && some.iter().all(|rule| others.contains(rule))
}

/// What a group does without a machine.
pub(super) async fn alone(inspection: &mut Inspection<'_>, groups: &dyn SecurityGroups) -> Result<(), Violation> {
    inspection.begin("security groups");
    unknown(inspection, groups).await?;
    let wanted = spec();
    let id = make(inspection, groups, &wanted).await?;
    let check = "second create of a security group";
    let again = inspection.ask(check, groups.create(&wanted)).await?;
    inspection.leave(Leftover::SecurityGroup(again.id.clone()));
    ensure(check, again.id == id, "one tag made two groups")?;
    let found = inspection.ask(check, groups.find_by_tag(wanted.tag)).await?;
    ensure(check, found.is_some_and(|found| found.id == id), "the tag does not find the group")?;

    change(inspection, groups, &id).await?;
    inspection.ask("delete of a security group", groups.delete(&id)).await?;
    let check = "after the delete of a security group";
    inspection.vanishes(check, || groups.group(&id)).await?;
    let find = || groups.find_by_tag(wanted.tag);
    inspection.becomes(check, find, Option::is_none, "the tag still finds the group").await?;
    inspection.ask("second delete of a security group", groups.delete(&id)).await
}

async fn unknown(inspection: &Inspection<'_>, groups: &dyn SecurityGroups) -> Result<(), Violation> {
    const CHECK: &str = "unknown security group";
    let unknown: SecurityGroupId = nobody(CHECK)?;
    let not_found = Failure::NotFound;
    inspection.fails("facts of an unknown security group", not_found, groups.group(&unknown)).await?;
    inspection.fails("change of an unknown security group", not_found, groups.change(&unknown, &[])).await?;
    inspection.ask("delete of an unknown security group", groups.delete(&unknown)).await?;
    let machine: MachineId = nobody(CHECK)?;
    inspection.ask("lift from an unknown machine", groups.lift(&machine, &unknown)).await?;
    let by_tag = inspection.ask(CHECK, groups.find_by_tag(new_tag())).await?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds a group")
}

async fn change(
    inspection: &Inspection<'_>,
    groups: &dyn SecurityGroups,
    id: &SecurityGroupId,
) -> Result<(), Violation> {
    const CHECK: &str = "change of a security group";
    let web = Rule { direction: Direction::Inbound, protocol: Protocol::Tcp, ports: Some((80, 443)), range: None };
    let names = Rule { direction: Direction::Outbound, protocol: Protocol::Udp, ports: Some((53, 53)), range: None };
    for rules in [vec![web, names], Vec::new()] {
        inspection.ask(CHECK, groups.change(id, &rules)).await?;
        let seen = inspection.ask(CHECK, groups.group(id)).await?.rules;
        ensure(CHECK, same_rules(&seen, &rules), format!("its rules are {seen:?}, not {rules:?}"))?;
    }
    Ok(())
}

/// A group and two machines that are off.
pub(super) async fn in_machines(
    inspection: &mut Inspection<'_>,
    groups: &dyn SecurityGroups,
    pair: &Pair,
) -> Result<(), Violation> {
    let not_found = Failure::NotFound;
    inspection.begin("security group on a machine");
    let nothing: SecurityGroupId = nobody("apply of an unknown security group")?;
    inspection.fails("apply of an unknown security group", not_found, groups.apply(&pair.first, &nothing)).await?;
    let nowhere: MachineId = nobody("apply to an unknown machine")?;
    let id = make(inspection, groups, &spec()).await?;
    inspection.begin("security group on a machine");
    inspection.fails("apply to an unknown machine", not_found, groups.apply(&nowhere, &id)).await?;

    for machine in [&pair.first, &pair.second] {
        for check in ["apply", "second apply"] {
            inspection.ask(check, groups.apply(machine, &id)).await?;
        }
    }
    let conflict = Failure::Conflict;
    inspection.fails("delete of an applied security group", conflict, groups.delete(&id)).await?;
    change(inspection, groups, &id).await?;
    for check in ["lift", "second lift"] {
        inspection.ask(check, groups.lift(&pair.first, &id)).await?;
    }
    inspection.fails("delete of a security group on one machine", conflict, groups.delete(&id)).await?;
    inspection.ask("lift", groups.lift(&pair.second, &id)).await?;
    inspection.ask_once_free("delete of a lifted security group", || groups.delete(&id)).await
}

/// A group on a running machine.
pub(super) async fn join(
    inspection: &mut Inspection<'_>,
    groups: &dyn SecurityGroups,
    machine: &MachineId,
) -> Result<SecurityGroupId, Violation> {
    let id = make(inspection, groups, &spec()).await?;
    inspection.ask("apply to a running machine", groups.apply(machine, &id)).await?;
    Ok(id)
}

/// The machine that had the group is gone.
pub(super) async fn freed(
    inspection: &Inspection<'_>,
    groups: &dyn SecurityGroups,
    id: &SecurityGroupId,
) -> Result<(), Violation> {
    inspection.ask_once_free("delete of a security group whose machine is gone", || groups.delete(id)).await
}
