//! The life of one machine, from its create to its delete.

use super::{
    Violation, console, images,
    inspection::{Failure, Inspection, ensure, listed, size_of},
    leftover::Leftover,
    quota, save,
};
use crate::{
    Capability, Machine, MachineId, MachineSize, MachineSpec, MachineState, RestartMethod, StopMethod, SuspendMethod,
};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    let wanted = inspection.machine_spec();
    let before = quota::now(inspection).await?;
    inspection.begin("create");
    let id = create_once(inspection, &wanted).await?;
    inspection.machine_arrives("boot", &id, MachineState::Running).await?;
    quota::grows(inspection, before.as_ref()).await?;
    inspection.begin("start");
    inspection.ask("start of a running machine", inspection.backend().start(&id)).await?;
    console::of_a_running_machine(inspection, &id).await?;
    inspection.begin("restart");
    restart(inspection, &id).await?;
    save::of_a_running_machine(inspection, &id).await?;

    inspection.begin("stop");
    power_off(inspection, &id).await?;
    while_stopped(inspection, &id, &wanted).await?;
    console::of_a_stopped_machine(inspection, &id).await?;
    save::of_a_stopped_machine(inspection, &id).await?;
    images::kept_while_needed(inspection, &id, MachineState::Stopped).await?;
    resize(inspection, &id, &wanted).await?;

    suspend(inspection, &id).await?;
    let before = quota::now(inspection).await?;
    inspection.begin("delete");
    remove(inspection, &id, &wanted).await?;
    quota::shrinks(inspection, before.as_ref()).await
}

async fn create_once(inspection: &mut Inspection<'_>, wanted: &MachineSpec) -> Result<MachineId, Violation> {
    const CHECK: &str = "create";
    let backend = inspection.backend();
    let machine = inspection.ask(CHECK, backend.create(wanted)).await?;
    inspection.leave(Leftover::Machine(machine.id.clone()));
    ensure(CHECK, machine.tag == wanted.tag, "the machine carries another tag")?;
    remembers_its_order(inspection, CHECK, &machine, wanted)?;
    let again = inspection.ask("second create", backend.create(wanted)).await?;
    inspection.leave(Leftover::Machine(again.id.clone()));
    ensure("second create", again.id == machine.id, "one tag made two machines")?;
    let found = inspection.ask(CHECK, backend.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_some_and(|found| found.id == machine.id), "the tag does not find the machine")?;
    Ok(machine.id)
}

/// What a backend tells of the order is what was ordered; it need not tell.
fn remembers_its_order(
    inspection: &Inspection<'_>,
    check: &'static str,
    machine: &Machine,
    wanted: &MachineSpec,
) -> Result<(), Violation> {
    if let Some(name) = &machine.name {
        ensure(check, *name == wanted.name, format!("the machine's name is {name:?}, not {:?}", wanted.name))?;
    }
    is_as_large(inspection, check, machine, size_of(wanted))
}

/// Exactly as large as it was ordered; where sizes are offered, as the offer that the order gets.
fn is_as_large(
    inspection: &Inspection<'_>,
    check: &'static str,
    machine: &Machine,
    wanted: MachineSize,
) -> Result<(), Violation> {
    let Some(size) = machine.size else { return Ok(()) };
    let granted = inspection.granted(wanted);
    let exact = (size.cores, size.memory_mib) == (granted.cores, granted.memory_mib);
    let disk = size.disk_bytes >= granted.disk_bytes.max(wanted.disk_bytes);
    ensure(check, exact && disk, format!("the machine has {size:?}, and should have {granted:?}"))
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
    inspection.begin("list");
    let listed = listed("list", inspection.ask("list", backend.machines()).await?)?;
    let ours: Vec<_> = listed.iter().filter(|machine| machine.tag == wanted.tag && machine.id == *id).collect();
    let count = ours.len();
    ensure("list", count == 1, format!("a stopped machine is listed {count} times"))?;
    ours.into_iter().try_for_each(|machine| remembers_its_order(inspection, "list", machine, wanted))?;
    let machine = inspection.ask("facts", backend.machine(id)).await?;
    remembers_its_order(inspection, "facts", &machine, wanted)?;
    ensure("facts", machine.state == MachineState::Stopped, format!("{:?} after asks in vain", machine.state))
}

/// From stopped to running, and larger twice.
async fn resize(inspection: &Inspection<'_>, id: &MachineId, wanted: &MachineSpec) -> Result<(), Violation> {
    inspection.begin("resize");
    let backend = inspection.backend();
    let limits = inspection.description.limits;
    let first = size_of(wanted);
    let more_memory = MachineSize { memory_mib: (first.memory_mib + 32).min(limits.memory_mib), ..first };
    let more_memory = offered(inspection, more_memory, first);
    let check = "resize of a stopped machine";
    if inspection.ask_of(Capability::Resize, check, backend.resize(id, &more_memory)).await?.is_none() {
        return start(inspection, "start", id).await;
    }
    inspection.ask("resize to the present size", backend.resize(id, &more_memory)).await?;
    if let Some(cores) = limits.cores.checked_add(1) {
        let too_large = MachineSize { cores, ..more_memory };
        inspection.fails("resize past the limits", Failure::Refused, backend.resize(id, &too_large)).await?;
    }
    let machine = inspection.ask(check, backend.machine(id)).await?;
    ensure(check, machine.state == MachineState::Stopped, format!("the machine is {:?} then", machine.state))?;
    is_as_large(inspection, check, &machine, more_memory)?;

    start(inspection, "start after a resize", id).await?;
    inspection.begin("resize");
    let cores = (first.cores + 1).min(limits.cores);
    let disk_bytes = (first.disk_bytes.next_multiple_of(1 << 20) + (1 << 20)).min(limits.disk_bytes);
    let larger = offered(inspection, MachineSize { cores, disk_bytes, ..more_memory }, more_memory);
    for check in ["resize of a running machine", "resize of a running machine to its present size"] {
        inspection.ask(check, backend.resize(id, &larger)).await?;
        inspection.machine_arrives(check, id, MachineState::Running).await?;
        is_as_large(inspection, check, &inspection.ask(check, backend.machine(id)).await?, larger)?;
    }
    // The disk stays as it is, the rest becomes less. Of fixed sizes, one with a lesser disk may not be had any more.
    let check = "resize to less";
    let disk_bytes = if inspection.description.sizes.is_empty() { first.disk_bytes } else { larger.disk_bytes };
    inspection.ask(check, backend.resize(id, &MachineSize { disk_bytes, ..first })).await?;
    inspection.machine_arrives(check, id, MachineState::Running).await
}

/// The size that is wanted, unless no offer holds it.
fn offered(inspection: &Inspection<'_>, wanted: MachineSize, otherwise: MachineSize) -> MachineSize {
    let any = inspection.description.sizes.is_empty();
    if any || inspection.description.offer_for(wanted).is_some() { wanted } else { otherwise }
}

async fn start(inspection: &Inspection<'_>, check: &'static str, id: &MachineId) -> Result<(), Violation> {
    inspection.begin("start");
    inspection.ask(check, inspection.backend().start(id)).await?;
    // Who waits for it sees it arrive; a service may need a moment until it shows that it is on its way.
    let seen =
        inspection.ask(check, inspection.backend().machine_at_rest(id, inspection.candidate.patience / 2)).await?;
    ensure(check, seen.state.is_at_rest(), format!("the machine is {:?} for long", seen.state))?;
    inspection.machine_arrives(check, id, MachineState::Running).await
}

/// Ends with a suspended machine where the backend can.
async fn suspend(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let backend = inspection.backend();
    for (check, capability, method) in [
        ("suspend", Capability::Suspend, SuspendMethod::Suspend),
        ("hibernate", Capability::Hibernate, SuspendMethod::Hibernate),
    ] {
        inspection.begin(check);
        if inspection.ask_of(capability, check, backend.suspend(id, method)).await?.is_none() {
            continue;
        }
        inspection.machine_arrives(check, id, MachineState::Suspended).await?;
        inspection.ask("suspend of a suspended machine", backend.suspend(id, method)).await?;
        inspection.ask("start of a suspended machine", backend.start(id)).await?;
        inspection.machine_arrives("start of a suspended machine", id, MachineState::Running).await?;
    }
    if !inspection.can(Capability::Suspend) {
        return Ok(());
    }
    let check = "suspend before a delete";
    inspection.ask(check, backend.suspend(id, SuspendMethod::Suspend)).await?;
    inspection.machine_arrives(check, id, MachineState::Suspended).await
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
