//! What a backend answers about machines that are not there, and that cannot be.

use std::{pin::pin, time::Duration};

use disk_image::ContentDigest;

use super::{
    Violation,
    inspection::{Failure, Inspection, Leftover, ensure, listed, new_tag, nobody, size_of},
};
use crate::{MachineId, MachineSpec, RestartMethod, SaveMethod, StopMethod, SuspendMethod};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    description_allows_a_machine(inspection).await?;
    unknown_machines_are_not_found(inspection).await?;
    create_needs_its_image(inspection).await?;
    image_is_provided_twice(inspection).await?;
    too_large_a_machine_is_refused(inspection).await?;
    a_dropped_create_is_found_again(inspection).await
}

async fn description_allows_a_machine(inspection: &Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "description";
    let description = inspection.ask(CHECK, inspection.backend().describe()).await?;
    ensure(CHECK, description.obstacle.is_none(), format!("an obstacle: {:?}", description.obstacle))?;
    ensure(CHECK, !description.image_formats.is_empty(), "no image format is taken")?;
    let limits = description.limits;
    ensure(CHECK, limits.cores >= 1 && limits.memory_mib >= 128, "limits leave no machine")?;
    let has_volumes = inspection.backend().volumes().is_some();
    ensure(CHECK, (limits.volume_bytes > 0) == has_volumes, "the limit of a volume does not tell whether there are any")
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
    let absent = ContentDigest::from_bytes([0x5a; 32]);
    let wanted = MachineSpec { image: absent, ..inspection.machine_spec() };
    must_not_be_created(inspection, CHECK, Failure::NotFound, &wanted).await
}

async fn image_is_provided_twice(inspection: &Inspection<'_>) -> Result<(), Violation> {
    let quiet = |_: u64| {};
    for check in ["image", "the same image again"] {
        inspection.ask(check, inspection.backend().provide_image(&inspection.candidate.image, &quiet)).await?;
    }
    Ok(())
}

async fn too_large_a_machine_is_refused(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    const CHECK: &str = "too large";
    let limits = inspection.ask(CHECK, inspection.backend().describe()).await?.limits;
    for wanted in [
        MachineSpec { cores: limits.cores.saturating_add(1), ..inspection.machine_spec() },
        MachineSpec { memory_mib: limits.memory_mib.saturating_add(1), ..inspection.machine_spec() },
        MachineSpec { disk_bytes: limits.disk_bytes.saturating_add(512), ..inspection.machine_spec() },
    ] {
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
    let backend = inspection.backend();
    let outcome = inspection.fails(check, failure, backend.create(wanted)).await;
    let found = inspection.ask(check, backend.find_by_tag(wanted.tag)).await?;
    if let Some(found) = &found {
        inspection.leave(Leftover::Machine(found.id.clone()));
    }
    outcome?;
    ensure(check, found.is_none(), "a create that failed leaves a machine")
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
