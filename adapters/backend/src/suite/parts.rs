//! The optional parts of the contract, with two machines between them: what needs no running guest is tried with
//! machines that are off, and then the first one is deleted while it runs and has something of everything.

use super::{Violation, addresses, inspection::Inspection, leftover::Leftover, networks, security_groups, volumes};
use crate::{MachineId, MachineState, StopMethod};

/// Two machines of the suite.
pub(super) struct Pair {
    pub(super) first: MachineId,
    pub(super) second: MachineId,
}

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    let backend = inspection.backend();
    let disks = backend.volumes();
    let nets = backend.networks();
    let reservations = backend.addresses();
    let groups = backend.security_groups();
    for (promise, what, there) in [
        ("volumes", "volumes", disks.is_some()),
        ("networks", "networks", nets.is_some()),
        ("addresses", "reserved addresses", reservations.is_some()),
        ("security groups", "security groups", groups.is_some()),
    ] {
        if !there {
            inspection.begin(promise);
            inspection.lacks(format!("{what}: the backend has none"));
        }
    }
    if disks.is_none() && nets.is_none() && reservations.is_none() && groups.is_none() {
        return Ok(());
    }

    if let Some(disks) = disks {
        volumes::alone(inspection, disks).await?;
    }
    if let Some(nets) = nets {
        networks::alone(inspection, nets).await?;
    }
    if let Some(reservations) = reservations {
        addresses::alone(inspection, reservations).await?;
    }
    if let Some(groups) = groups {
        security_groups::alone(inspection, groups).await?;
    }

    let pair = two_machines_at_rest(inspection).await?;
    if let Some(disks) = disks {
        volumes::in_machines(inspection, disks, &pair).await?;
    }
    if let Some(nets) = nets {
        networks::in_machines(inspection, nets, &pair).await?;
        if let Some(reservations) = reservations {
            addresses::in_machines(inspection, reservations, nets, &pair).await?;
        }
    }
    if let Some(groups) = groups {
        security_groups::in_machines(inspection, groups, &pair).await?;
    }

    const CHECK: &str = "delete of a machine with all that it can have";
    inspection.begin("delete with joins");
    inspection.ask(CHECK, backend.start(&pair.first)).await?;
    inspection.machine_arrives(CHECK, &pair.first, MachineState::Running).await?;
    let volume = match disks {
        Some(disks) => Some((disks, volumes::join(inspection, disks, &pair.first).await?)),
        None => None,
    };
    let network = match nets {
        Some(nets) => Some((nets, networks::join(inspection, nets, &pair.first).await?)),
        None => None,
    };
    let address = match (reservations, nets) {
        (Some(reservations), Some(nets)) => {
            Some((reservations, addresses::join(inspection, reservations, nets, &pair.first).await?))
        }
        _ => None,
    };
    let group = match groups {
        Some(groups) => Some((groups, security_groups::join(inspection, groups, &pair.first).await?)),
        None => None,
    };
    inspection.begin("delete with joins");
    inspection.ask(CHECK, backend.delete(&pair.first)).await?;
    if let Some((disks, volume)) = &volume {
        volumes::freed(inspection, *disks, volume).await?;
    }
    if let Some((reservations, address)) = &address {
        addresses::freed(inspection, *reservations, address).await?;
    }
    if let Some((nets, network)) = &network {
        networks::freed(inspection, *nets, network).await?;
    }
    if let Some((groups, group)) = &group {
        security_groups::freed(inspection, *groups, group).await?;
    }
    inspection.ask("delete of a machine at rest", backend.delete(&pair.second)).await
}

async fn two_machines_at_rest(inspection: &mut Inspection<'_>) -> Result<Pair, Violation> {
    const CHECK: &str = "two machines";
    inspection.begin("create");
    let backend = inspection.backend();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let machine = inspection.ask(CHECK, backend.create(&inspection.machine_spec())).await?;
        inspection.leave(Leftover::Machine(machine.id.clone()));
        ids.push(machine.id);
    }
    for id in &ids {
        inspection.machine_arrives(CHECK, id, MachineState::Running).await?;
        inspection.ask(CHECK, backend.stop(id, StopMethod::PowerOff)).await?;
        inspection.machine_arrives(CHECK, id, MachineState::Stopped).await?;
    }
    let [first, second] = <[MachineId; 2]>::try_from(ids)
        .map_err(|ids| super::inspection::broken(CHECK, format!("{} machines were made", ids.len())))?;
    super::inspection::ensure(CHECK, first != second, "two tags made one machine")?;
    Ok(Pair { first, second })
}
