//! Machines that are joined with something from their first moment.

use super::{
    Violation,
    inspection::{Failure, Inspection, broken, ensure, nobody},
    leftover::Leftover,
    networks, security_groups, volumes,
};
use crate::{
    BackendError, MachineId, MachineJoins, MachineSpec, MachineState, NetworkId, Networks, SecurityGroups, VolumeId,
    Volumes,
};

/// What there is to be joined with.
struct Parts<'a> {
    volumes: Option<&'a dyn Volumes>,
    networks: Option<&'a dyn Networks>,
    groups: Option<&'a dyn SecurityGroups>,
}

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "joins at a create";
    let backend = inspection.backend();
    let parts = Parts { volumes: backend.volumes(), networks: backend.networks(), groups: backend.security_groups() };
    if parts.volumes.is_none() && parts.networks.is_none() && parts.groups.is_none() {
        return Ok(());
    }
    inspection.begin(CHECK);
    let mut joins = MachineJoins::default();
    if let Some(part) = parts.volumes {
        let volume = volumes::make(inspection, part, &volumes::spec()).await?;
        joins.volumes.push(volumes::attachment(&volume));
    }
    if let Some(part) = parts.networks {
        let network = networks::make(inspection, part, &networks::spec()).await?;
        joins.interfaces.push(networks::interface(&network));
    }
    if let Some(part) = parts.groups {
        joins.security_groups.push(security_groups::make(inspection, part, &security_groups::spec()).await?);
    }
    inspection.begin(CHECK);
    let wanted = MachineSpec { joins, ..inspection.machine_spec() };
    let machine = match inspection.answer(CHECK, backend.create(&wanted)).await? {
        Ok(machine) => machine.id,
        Err(BackendError::Unsupported(what)) => {
            inspection.lacks(format!("{CHECK}: the backend cannot {what}"));
            return inspection.leaves_no_machine(CHECK, &wanted, Ok(())).await;
        }
        Err(error) => return Err(Violation::Call { check: CHECK, error }),
    };
    inspection.leave(Leftover::Machine(machine.clone()));
    let again = inspection.ask("second create with joins", backend.create(&wanted)).await?.id;
    ensure("second create with joins", again == machine, "one tag made two machines")?;
    inspection.machine_arrives(CHECK, &machine, MachineState::Running).await?;
    are_there(inspection, &parts, &machine, &wanted.joins).await?;
    inspection.ask(CHECK, backend.delete(&machine)).await?;
    are_free(inspection, &parts, &wanted.joins).await?;
    what_is_not_there_is_not_joined(inspection, &parts).await
}

/// The calls that join machines later see each of them, and what is in use cannot be deleted.
async fn are_there(
    inspection: &Inspection<'_>,
    parts: &Parts<'_>,
    machine: &MachineId,
    joins: &MachineJoins,
) -> Result<(), Violation> {
    let conflict = Failure::Conflict;
    for wanted in &joins.volumes {
        let Some(part) = parts.volumes else { continue };
        let check = "volume at a create";
        inspection.fails(check, conflict, part.delete(&wanted.volume)).await?;
        let there = inspection.ask(check, part.attach(machine, wanted)).await?;
        let same = there.tag == wanted.tag && there.volume == wanted.volume;
        ensure(check, same, format!("what is there is {there:?}"))?;
    }
    for wanted in &joins.interfaces {
        let (Some(part), crate::InterfaceTarget::Network(network)) = (parts.networks, &wanted.target) else { continue };
        let check = "interface at a create";
        inspection.fails(check, conflict, part.delete(network)).await?;
        let there = inspection.ask(check, part.plug(machine, wanted)).await?;
        let again = inspection.ask(check, part.plug(machine, wanted)).await?;
        ensure(check, there.tag == wanted.tag && again == there, format!("{again:?}, and before {there:?}"))?;
    }
    for group in &joins.security_groups {
        let Some(part) = parts.groups else { continue };
        inspection.fails("security group at a create", conflict, part.delete(group)).await?;
    }
    Ok(())
}

async fn are_free(inspection: &Inspection<'_>, parts: &Parts<'_>, joins: &MachineJoins) -> Result<(), Violation> {
    const CHECK: &str = "what was joined at a create, after the delete";
    for wanted in &joins.volumes {
        let Some(part) = parts.volumes else { continue };
        inspection.ask_once_free(CHECK, || part.delete(&wanted.volume)).await?;
    }
    for wanted in &joins.interfaces {
        let (Some(part), crate::InterfaceTarget::Network(network)) = (parts.networks, &wanted.target) else { continue };
        inspection.ask_once_free(CHECK, || part.delete(network)).await?;
    }
    for group in &joins.security_groups {
        let Some(part) = parts.groups else { continue };
        inspection.ask_once_free(CHECK, || part.delete(group)).await?;
    }
    Ok(())
}

/// A create whose last join cannot be leaves no machine, and nothing joined.
async fn what_is_not_there_is_not_joined(inspection: &mut Inspection<'_>, parts: &Parts<'_>) -> Result<(), Violation> {
    const CHECK: &str = "joins at a create with what is not there";
    let (mut all, mut possible) = (Vec::new(), MachineJoins::default());
    if parts.volumes.is_some() {
        let unknown: VolumeId = nobody(CHECK)?;
        all.push(MachineJoins { volumes: vec![volumes::attachment(&unknown)], ..MachineJoins::default() });
    }
    if parts.networks.is_some() {
        let unknown: NetworkId = nobody(CHECK)?;
        let mut joins = MachineJoins { interfaces: vec![networks::interface(&unknown)], ..MachineJoins::default() };
        // What could be joined is free again.
        if let Some(part) = parts.volumes {
            let volume = volumes::attachment(&volumes::make(inspection, part, &volumes::spec()).await?);
            joins.volumes.push(volume.clone());
            possible.volumes.push(volume);
        }
        all.push(joins);
    }
    if parts.groups.is_some() {
        all.push(MachineJoins { security_groups: vec![nobody(CHECK)?], ..MachineJoins::default() });
    }
    inspection.begin("joins at a create");
    for joins in all {
        let wanted = MachineSpec { joins, ..inspection.machine_spec() };
        let answer = inspection.answer(CHECK, inspection.backend().create(&wanted)).await?;
        let outcome = match &answer {
            Err(BackendError::NotFound(_) | BackendError::Refused(_) | BackendError::Conflict(_)) => Ok(()),
            other => Err(broken(CHECK, format!("NotFound was expected, the answer is: {other:?}"))),
        };
        inspection.leaves_no_machine(CHECK, &wanted, outcome).await?;
    }
    are_free(inspection, parts, &possible).await
}
