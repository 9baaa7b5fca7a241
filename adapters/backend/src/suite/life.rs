//! The life of one machine, from its create to its delete.

use super::{
    Violation,
    inspection::{Failure, Inspection, Leftover, ensure, listed, size_of},
    save,
};
use crate::{Machine, MachineId, MachineSize, MachineSpec, MachineState, RestartMethod, StopMethod, SuspendMethod};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    let wanted = inspection.machine_spec();
    let id = create_once(inspection, &wanted).await?;
    inspection.machine_arrives("boot", &id, MachineState::Running).await?;
    inspection.ask("start of a running machine", inspection.backend().start(&id)).await?;
    restart(inspection, &id).await?;
    save::of_a_running_machine(inspection, &id).await?;

    power_off(inspection, &id).await?;
    while_stopped(inspection, &id, &wanted).await?;
    save::of_a_stopped_machine(inspection, &id).await?;
    resize(inspection, &id, &wanted).await?;

    suspend(inspection, &id).await?;
    remove(inspection, &id, &wanted).await
}

async fn create_once(inspection: &mut Inspection<'_>, wanted: &MachineSpec) -> Result<MachineId, Violation> {
    const CHECK: &str = "create";
    let backend = inspection.backend();
    let machine = inspection.ask(CHECK, backend.create(wanted)).await?;
    inspection.leave(Leftover::Machine(machine.id.clone()));
    ensure(CHECK, machine.tag == wanted.tag, "the machine carries another tag")?;
    remembers_its_order(CHECK, &machine, wanted)?;
    let again = inspection.ask("second create", backend.create(wanted)).await?;
    inspection.leave(Leftover::Machine(again.id.clone()));
    ensure("second create", again.id == machine.id, "one tag made two machines")?;
    let found = inspection.ask(CHECK, backend.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_some_and(|found| found.id == machine.id), "the tag does not find the machine")?;
    Ok(machine.id)
}

/// What a backend tells of the order is what was ordered; it need not tell.
fn remembers_its_order(check: &'static str, machine: &Machine, wanted: &MachineSpec) -> Result<(), Violation> {
    if let Some(name) = &machine.name {
        ensure(check, *name == wanted.name, format!("the machine's name is {name:?}, not {:?}", wanted.name))?;
    }
    is_as_large(check, machine, size_of(wanted))
}

fn is_as_large(check: &'static str, machine: &Machine, wanted: MachineSize) -> Result<(), Violation> {
    let Some(size) = machine.size else { return Ok(()) };
    let exact = (size.cores, size.memory_mib) == (wanted.cores, wanted.memory_mib);
    ensure(check, exact && size.disk_bytes >= wanted.disk_bytes, format!("the machine has {size:?}, not {wanted:?}"))
}

async fn restart(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let backend = inspection.backend();
    for (check, method) in [("warm restart", RestartMethod::Warm), ("cold restart", RestartMethod::Cold)] {
        inspection.ask(check, backend.restart(id, method)).await?;
        inspection.machine_arrives(check, id, MachineState::Running).await?;
    }
    Ok(())
}

async fn power_off(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let backend = inspection.backend();
    inspection.ask("stop", backend.stop(id, StopMethod::PowerOff)).await?;
    inspection.machine_arrives("stop", id, MachineState::Stopped).await
}

async fn while_stopped(inspection: &Inspection<'_>, id: &MachineId, wanted: &MachineSpec) -> Result<(), Violation> {
    let backend = inspection.backend();
    inspection.ask("stop of a stopped machine", backend.stop(id, StopMethod::PowerOff)).await?;
    let conflict = Failure::Conflict;
    let restart = backend.restart(id, RestartMethod::Cold);
    inspection.fails("restart of a stopped machine", conflict, restart).await?;
    let suspend = backend.suspend(id, SuspendMethod::Suspend);
    inspection.fails_if_supported("suspend of a stopped machine", conflict, suspend).await?;
    let listed = listed("list", inspection.ask("list", backend.machines()).await?)?;
    let ours: Vec<_> = listed.iter().filter(|machine| machine.tag == wanted.tag && machine.id == *id).collect();
    let count = ours.len();
    ensure("list", count == 1, format!("a stopped machine is listed {count} times"))?;
    ours.into_iter().try_for_each(|machine| remembers_its_order("list", machine, wanted))?;
    let machine = inspection.ask("facts", backend.machine(id)).await?;
    remembers_its_order("facts", &machine, wanted)?;
    ensure("facts", machine.state == MachineState::Stopped, format!("{:?} after asks in vain", machine.state))
}

/// From stopped to running, and larger twice.
async fn resize(inspection: &mut Inspection<'_>, id: &MachineId, wanted: &MachineSpec) -> Result<(), Violation> {
    let backend = inspection.backend();
    let limits = inspection.ask("resize", backend.describe()).await?.limits;
    let first = size_of(wanted);
    let more_memory = MachineSize { memory_mib: (first.memory_mib + 32).min(limits.memory_mib), ..first };
    let check = "resize of a stopped machine";
    if inspection.ask_if_supported(check, backend.resize(id, &more_memory)).await?.is_none() {
        inspection.ask("start", backend.start(id)).await?;
        return inspection.machine_arrives("start", id, MachineState::Running).await;
    }
    inspection.ask("resize to the present size", backend.resize(id, &more_memory)).await?;
    let too_large = MachineSize { cores: limits.cores.saturating_add(1), ..more_memory };
    inspection.fails("resize past the limits", Failure::Refused, backend.resize(id, &too_large)).await?;
    let machine = inspection.ask(check, backend.machine(id)).await?;
    ensure(check, machine.state == MachineState::Stopped, format!("the machine is {:?} then", machine.state))?;
    is_as_large(check, &machine, more_memory)?;

    inspection.ask("start after a resize", backend.start(id)).await?;
    inspection.machine_arrives("start after a resize", id, MachineState::Running).await?;
    let cores = (first.cores + 1).min(limits.cores);
    let disk_bytes = (first.disk_bytes.next_multiple_of(1 << 20) + (1 << 20)).min(limits.disk_bytes);
    let larger = MachineSize { cores, disk_bytes, ..more_memory };
    for check in ["resize of a running machine", "resize of a running machine to its present size"] {
        inspection.ask(check, backend.resize(id, &larger)).await?;
        inspection.machine_arrives(check, id, MachineState::Running).await?;
        is_as_large(check, &inspection.ask(check, backend.machine(id)).await?, larger)?;
    }
    // The disk stays as it is, the rest becomes less.
    let check = "resize to less";
    inspection.ask(check, backend.resize(id, &first)).await?;
    inspection.machine_arrives(check, id, MachineState::Running).await
}

/// Ends with a suspended machine where the backend can.
async fn suspend(inspection: &mut Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let backend = inspection.backend();
    for (check, method) in [("suspend", SuspendMethod::Suspend), ("hibernate", SuspendMethod::Hibernate)] {
        if inspection.ask_if_supported(check, backend.suspend(id, method)).await?.is_none() {
            continue;
        }
        inspection.machine_arrives(check, id, MachineState::Suspended).await?;
        inspection.ask("suspend of a suspended machine", backend.suspend(id, method)).await?;
        inspection.ask("start of a suspended machine", backend.start(id)).await?;
        inspection.machine_arrives("start of a suspended machine", id, MachineState::Running).await?;
    }
    let check = "suspend before a delete";
    match inspection.answer(check, backend.suspend(id, SuspendMethod::Suspend)).await? {
        Ok(()) => inspection.machine_arrives(check, id, MachineState::Suspended).await,
        // Noted above.
        Err(crate::BackendError::Unsupported(_)) => Ok(()),
        Err(error) => Err(Violation::Call { check, error }),
    }
}

async fn remove(inspection: &Inspection<'_>, id: &MachineId, wanted: &MachineSpec) -> Result<(), Violation> {
    const CHECK: &str = "after delete";
    let backend = inspection.backend();
    inspection.ask("delete", backend.delete(id)).await?;
    inspection.fails(CHECK, Failure::NotFound, backend.machine(id)).await?;
    let found = inspection.ask(CHECK, backend.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_none(), "the tag still finds the machine")?;
    let listed = listed(CHECK, inspection.ask(CHECK, backend.machines()).await?)?;
    ensure(CHECK, listed.iter().all(|machine| machine.tag != wanted.tag), "the machine is still listed")?;
    inspection.ask("second delete", backend.delete(id)).await
}
