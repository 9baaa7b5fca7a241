//! What a backend answers about machines that are not there, and that cannot be.

use std::{pin::pin, time::Duration};

use super::{
    Violation, images,
    inspection::{Failure, Inspection, ensure, listed, new_tag, nobody, size_of},
    leftover::Leftover,
};
use crate::{MachineId, MachineSpec, RestartMethod, SaveMethod, StopMethod, SuspendMethod};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    inspection.begin("unknown machine");
    unknown_machines_are_not_found(inspection).await?;
    inspection.begin("create needs its image");
    create_needs_its_image(inspection).await?;
    images::provided_twice(inspection).await?;
    images::found(inspection).await?;
    inspection.begin("too large");
    too_large_a_machine_is_refused(inspection).await?;
    inspection.begin("dropped create");
    a_dropped_create_is_found_again(inspection).await
}

async fn unknown_machines_are_not_found(inspection: &Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "unknown machine";
    let backend = inspection.backend();
    let unknown: MachineId = nobody(CHECK)?;
    let not_found = Failure::NotFound;
    inspection.fails("facts of an unknown machine", not_found, backend.machine(&unknown)).await?;
    inspection.fails("start of an unknown machine", not_found, backend.start(&unknown)).await?;
    for method in [StopMethod::Graceful, StopMethod::AcpiOff, StopMethod::PowerOff] {
        inspection.fails("stop of an unknown machine", not_found, backend.stop(&unknown, method)).await?;
    }
    for method in [RestartMethod::Graceful, RestartMethod::Warm, RestartMethod::Cold] {
        inspection.fails("restart of an unknown machine", not_found, backend.restart(&unknown, method)).await?;
    }
    for method in [SuspendMethod::Suspend, SuspendMethod::Hibernate] {
        let suspend = backend.suspend(&unknown, method);
        inspection.fails_if_supported("suspend of an unknown machine", not_found, suspend).await?;
    }
    let size = size_of(&inspection.machine_spec());
    let resize = backend.resize(&unknown, &size);
    inspection.fails_if_supported("resize of an unknown machine", not_found, resize).await?;
    for method in [SaveMethod::Hot, SaveMethod::Deferred] {
        let save = backend.save(&unknown, method);
        inspection.fails_if_supported("save of an unknown machine", not_found, save).await?;
    }
    inspection.ask("delete of an unknown machine", backend.delete(&unknown)).await?;
    let by_tag = inspection.ask(CHECK, backend.find_by_tag(new_tag())).await?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds a machine")
}

async fn create_needs_its_image(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "create without image";
    let wanted = MachineSpec { image: images::absent(), ..inspection.machine_spec() };
    must_not_be_created(inspection, CHECK, Failure::NotFound, &wanted).await
}

async fn too_large_a_machine_is_refused(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "too large";
    let limits = inspection.description.limits;
    // Where there is no limit, nothing is past it.
    let mut all = Vec::new();
    if let Some(cores) = limits.cores.checked_add(1) {
        all.push(MachineSpec { cores, ..inspection.machine_spec() });
    }
    if let Some(memory_mib) = limits.memory_mib.checked_add(1) {
        all.push(MachineSpec { memory_mib, ..inspection.machine_spec() });
    }
    if let Some(disk_bytes) = limits.disk_bytes.checked_add(512) {
        all.push(MachineSpec { disk_bytes, ..inspection.machine_spec() });
    }
    for wanted in all {
        must_not_be_created(inspection, CHECK, Failure::Refused, &wanted).await?;
    }
    Ok(())
}

async fn must_not_be_created(
    inspection: &mut Inspection<'_>,
    check: &'static str,
    failure: Failure,
    wanted: &MachineSpec,
) -> Result<(), Violation> {
    let outcome = inspection.fails(check, failure, inspection.backend().create(wanted)).await;
    inspection.leaves_no_machine(check, wanted, outcome).await
}

/// The caller may go at any moment. Who asks again with the same tag must get the one machine.
async fn a_dropped_create_is_found_again(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "dropped create";
    let backend = inspection.backend();
    let wanted = inspection.machine_spec();
    {
        let create = pin!(backend.create(&wanted));
        // Once is enough to be on the way; what it answers does not matter.
        let _ = tokio::time::timeout(Duration::ZERO, create).await;
    }
    let machine = inspection.ask(CHECK, backend.create(&wanted)).await?;
    inspection.leave(Leftover::Machine(machine.id.clone()));
    let listed = listed(CHECK, inspection.ask(CHECK, backend.machines()).await?)?;
    for other in listed.iter().filter(|other| other.tag == wanted.tag && other.id != machine.id) {
        inspection.leave(Leftover::Machine(other.id.clone()));
    }
    let count = listed.iter().filter(|other| other.tag == wanted.tag).count();
    ensure(CHECK, count == 1, format!("the tag is on {count} machines"))?;
    inspection.ask("delete of a machine on its way", backend.delete(&machine.id)).await?;
    let found = inspection.ask(CHECK, backend.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_none(), "after a delete the tag still finds a machine")
}
