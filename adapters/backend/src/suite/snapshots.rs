//! Snapshots of machines.

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, listed, new_tag, nobody},
};
use crate::{IntentTag, MachineId, MachineState, Snapshot, SnapshotId, Snapshots, StopMethod};

pub(super) async fn verify(inspection: &mut Inspection<'_>) -> Result<(), Violation> {
    inspection.begin("snapshots");
    let Some(snapshots) = inspection.backend().snapshots() else {
        inspection.lacks("snapshots: the backend has none");
        return Ok(());
    };
    unknown(inspection, snapshots).await?;
    let wanted = inspection.machine_spec();
    let machine = inspection.running_machine("snapshots", &wanted).await?;
    let tag = new_tag();
    let id = taken_once(inspection, snapshots, &machine, tag).await?;
    gone_back_to(inspection, snapshots, &machine, &id).await?;
    removed(inspection, snapshots, &machine, &id).await?;
    // Those of a machine that goes, go with it.
    taken_once(inspection, snapshots, &machine, new_tag()).await?;
    const CHECK: &str = "delete of a machine with a snapshot";
    inspection.ask(CHECK, inspection.backend().delete(&machine)).await?;
    inspection.fails(CHECK, Failure::NotFound, snapshots.snapshots(&machine)).await
}

async fn unknown(inspection: &Inspection<'_>, snapshots: &dyn Snapshots) -> Result<(), Violation> {
    const CHECK: &str = "snapshot of an unknown machine";
    let machine: MachineId = nobody(CHECK)?;
    let id: SnapshotId = nobody(CHECK)?;
    let not_found = Failure::NotFound;
    inspection.fails(CHECK, not_found, snapshots.take(&machine, new_tag())).await?;
    inspection.fails("snapshots of an unknown machine", not_found, snapshots.snapshots(&machine)).await?;
    inspection.fails("return of an unknown machine", not_found, snapshots.revert(&machine, &id)).await?;
    inspection.ask("removal from an unknown machine", snapshots.remove(&machine, &id)).await
}

async fn taken_once(
    inspection: &Inspection<'_>,
    snapshots: &dyn Snapshots,
    machine: &MachineId,
    tag: IntentTag,
) -> Result<SnapshotId, Violation> {
    const CHECK: &str = "snapshot of a machine";
    let first = inspection.ask(CHECK, snapshots.take(machine, tag)).await?;
    ensure(CHECK, first.tag == tag, "the snapshot carries another tag")?;
    let again = inspection.ask("second snapshot with one tag", snapshots.take(machine, tag)).await?;
    ensure("second snapshot with one tag", again.id == first.id, "one tag made two snapshots")?;
    let complete = |all: &crate::Listing<Snapshot>| {
        let ours: Vec<_> = all.objects.iter().filter(|snapshot| snapshot.tag == tag).collect();
        matches!(ours.as_slice(), [only] if only.is_complete && only.id == first.id)
    };
    let look = || snapshots.snapshots(machine);
    let otherwise = "it is not listed once, as complete";
    listed(CHECK, inspection.becomes(CHECK, look, complete, otherwise).await?)?;
    inspection.machine_arrives(CHECK, machine, MachineState::Running).await?;
    Ok(first.id)
}

async fn gone_back_to(
    inspection: &Inspection<'_>,
    snapshots: &dyn Snapshots,
    machine: &MachineId,
    id: &SnapshotId,
) -> Result<(), Violation> {
    const CHECK: &str = "return to a snapshot";
    let nothing: SnapshotId = nobody(CHECK)?;
    let nowhere = snapshots.revert(machine, &nothing);
    inspection.fails("return to an unknown snapshot", Failure::NotFound, nowhere).await?;
    inspection.ask(CHECK, snapshots.revert(machine, id)).await?;
    let backend = inspection.backend();
    let rests = |seen: &crate::Machine| matches!(seen.state, MachineState::Running | MachineState::Stopped);
    let look = || backend.machine(machine);
    let seen = inspection.becomes(CHECK, look, rests, "the machine neither runs nor is off then").await?;
    if seen.state == MachineState::Stopped {
        inspection.ask(CHECK, backend.start(machine)).await?;
    }
    inspection.machine_arrives(CHECK, machine, MachineState::Running).await?;
    // It can be used as before.
    inspection.ask(CHECK, backend.stop(machine, StopMethod::PowerOff)).await?;
    inspection.machine_arrives(CHECK, machine, MachineState::Stopped).await?;
    inspection.ask(CHECK, backend.start(machine)).await?;
    inspection.machine_arrives(CHECK, machine, MachineState::Running).await
}

async fn removed(
    inspection: &Inspection<'_>,
    snapshots: &dyn Snapshots,
    machine: &MachineId,
    id: &SnapshotId,
) -> Result<(), Violation> {
    const CHECK: &str = "removal of a snapshot";
    inspection.ask(CHECK, snapshots.remove(machine, id)).await?;
    let none = |all: &crate::Listing<Snapshot>| all.objects.iter().all(|snapshot| snapshot.id != *id);
    inspection.becomes(CHECK, || snapshots.snapshots(machine), none, "the snapshot is still listed").await?;
    inspection.ask("second removal of a snapshot", snapshots.remove(machine, id)).await?;
    inspection.fails("return to a removed snapshot", Failure::NotFound, snapshots.revert(machine, id)).await
}
