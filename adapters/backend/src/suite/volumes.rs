//! Volumes.

use super::{
    Violation,
    inspection::{Failure, Inspection, ensure, listed, new_tag, nobody},
    leftover::Leftover,
    parts::Pair,
};
use crate::{
    AttachmentSpec, Capability, CopyPurpose, Listing, MachineId, Volume, VolumeId, VolumeSpec, VolumeState, Volumes,
};

const SIZE: u64 = 64 << 20;

pub(super) fn spec() -> VolumeSpec {
    VolumeSpec { tag: new_tag(), name: "contract suite".into(), size_bytes: SIZE }
}

pub(super) fn attachment(volume: &VolumeId) -> AttachmentSpec {
    AttachmentSpec { tag: new_tag(), volume: volume.clone(), device: None }
}

async fn arrive(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    check: &'static str,
    id: &VolumeId,
    state: VolumeState,
) -> Result<Volume, Violation> {
    inspection.arrive(check, state, VolumeState::Failed, || volumes.volume(id), |volume| volume.state).await
}

pub(super) async fn make(
    inspection: &mut Inspection<'_>,
    volumes: &dyn Volumes,
    spec: &VolumeSpec,
) -> Result<VolumeId, Violation> {
    const CHECK: &str = "create of a volume";
    inspection.begin("volumes");
    let volume = inspection.ask(CHECK, volumes.create(spec)).await?;
    inspection.leave(Leftover::Volume(volume.id.clone()));
    ensure(CHECK, volume.tag == spec.tag, "the volume carries another tag")?;
    let volume = arrive(inspection, volumes, CHECK, &volume.id, VolumeState::Online).await?;
    ensure(CHECK, volume.size_bytes >= spec.size_bytes, format!("the volume has {} bytes", volume.size_bytes))?;
    Ok(volume.id)
}

/// What a volume does without a machine.
pub(super) async fn alone(inspection: &mut Inspection<'_>, volumes: &dyn Volumes) -> Result<(), Violation> {
    inspection.begin("volumes");
    unknown(inspection, volumes).await?;
    too_large(inspection, volumes).await?;
    let wanted = spec();
    let id = make(inspection, volumes, &wanted).await?;
    found(inspection, volumes, &wanted, &id).await?;
    in_use_and_out_of_it(inspection, volumes, &id).await?;
    resize(inspection, volumes, &id).await?;
    copy(inspection, volumes, &id).await?;
    remove(inspection, volumes, &wanted, &id).await
}

async fn unknown(inspection: &Inspection<'_>, volumes: &dyn Volumes) -> Result<(), Violation> {
    const CHECK: &str = "unknown volume";
    let unknown: VolumeId = nobody(CHECK)?;
    let not_found = Failure::NotFound;
    inspection.fails("facts of an unknown volume", not_found, volumes.volume(&unknown)).await?;
    for online in [true, false] {
        let call = volumes.set_online(&unknown, online);
        inspection.fails_if_supported("use of an unknown volume", not_found, call).await?;
    }
    let resize = volumes.resize(&unknown, SIZE);
    inspection.fails_if_supported("resize of an unknown volume", not_found, resize).await?;
    for purpose in [CopyPurpose::Backup, CopyPurpose::Snapshot] {
        let copy = volumes.copy(&unknown, purpose, new_tag());
        inspection.fails_if_supported("copy of an unknown volume", not_found, copy).await?;
    }
    inspection.ask("delete of an unknown volume", volumes.delete(&unknown)).await?;
    let machine: MachineId = nobody(CHECK)?;
    let wish = attachment(&unknown);
    let attach = volumes.attach(&machine, &wish);
    inspection.fails("attach to an unknown machine", not_found, attach).await?;
    inspection.ask("detach from an unknown machine", volumes.detach(&machine, new_tag())).await?;
    let by_tag = inspection.ask(CHECK, volumes.find_by_tag(new_tag())).await?;
    ensure(CHECK, by_tag.is_none(), "an unknown tag finds a volume")
}

async fn too_large(inspection: &mut Inspection<'_>, volumes: &dyn Volumes) -> Result<(), Violation> {
    const CHECK: &str = "too large a volume";
    let most = inspection.description.limits.volume_bytes;
    let Some(size_bytes) = (most - most % 512).checked_add(512) else { return Ok(()) };
    let wanted = VolumeSpec { size_bytes, ..spec() };
    let outcome = inspection.fails(CHECK, Failure::Refused, volumes.create(&wanted)).await;
    let found = inspection.ask(CHECK, volumes.find_by_tag(wanted.tag)).await?;
    if let Some(found) = &found {
        inspection.leave(Leftover::Volume(found.id.clone()));
    }
    outcome?;
    ensure(CHECK, found.is_none(), "a refused create leaves a volume")
}

async fn found(
    inspection: &mut Inspection<'_>,
    volumes: &dyn Volumes,
    wanted: &VolumeSpec,
    id: &VolumeId,
) -> Result<(), Violation> {
    const CHECK: &str = "second create of a volume";
    let again = inspection.ask(CHECK, volumes.create(wanted)).await?;
    inspection.leave(Leftover::Volume(again.id.clone()));
    ensure(CHECK, again.id == *id, "one tag made two volumes")?;
    let found = inspection.ask(CHECK, volumes.find_by_tag(wanted.tag)).await?;
    ensure(CHECK, found.is_some_and(|found| found.id == *id), "the tag does not find the volume")?;
    const LIST: &str = "list of volumes";
    let once = |all: &Listing<Volume>| all.objects.iter().filter(|volume| volume.tag == wanted.tag).count() == 1;
    let listing = inspection.becomes(LIST, || volumes.volumes(), once, "the volume is not listed once").await?;
    listed(LIST, listing).map(drop)
}

async fn in_use_and_out_of_it(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    id: &VolumeId,
) -> Result<(), Violation> {
    inspection.begin("volume offline");
    let offline = Capability::VolumeOffline;
    if !inspection.can(offline) {
        // It is online, and there is nothing else for it to be.
        return inspection.ask_of(offline, "offline", volumes.set_online(id, false)).await.map(drop);
    }
    for (check, online, state) in [
        ("online of an online volume", true, VolumeState::Online),
        ("offline", false, VolumeState::Offline),
        ("offline of an offline volume", false, VolumeState::Offline),
        ("online", true, VolumeState::Online),
    ] {
        inspection.ask(check, volumes.set_online(id, online)).await?;
        arrive(inspection, volumes, check, id, state).await?;
    }
    Ok(())
}

async fn resize(inspection: &Inspection<'_>, volumes: &dyn Volumes, id: &VolumeId) -> Result<(), Violation> {
    inspection.begin("volume resize");
    let before = inspection.ask("resize of a volume", volumes.volume(id)).await?.size_bytes;
    let larger = before.saturating_mul(2).min(inspection.description.limits.volume_bytes);
    for check in ["resize of a volume", "resize of a volume to its present size"] {
        let resize = volumes.resize(id, larger);
        if inspection.ask_of(Capability::VolumeResize, check, resize).await?.is_none() {
            return Ok(());
        }
        let volume = arrive(inspection, volumes, check, id, VolumeState::Online).await?;
        ensure(check, volume.size_bytes >= larger, format!("the volume has {} bytes", volume.size_bytes))?;
    }
    const SHRINK: &str = "a volume never shrinks";
    inspection.fails(SHRINK, Failure::Refused, volumes.resize(id, before / 2)).await?;
    let volume = inspection.ask(SHRINK, volumes.volume(id)).await?;
    ensure(SHRINK, volume.size_bytes >= larger, format!("the volume has {} bytes", volume.size_bytes))
}

async fn copy(inspection: &Inspection<'_>, volumes: &dyn Volumes, id: &VolumeId) -> Result<(), Violation> {
    for (promise, check, capability, purpose) in [
        ("volume backup", "backup", Capability::VolumeBackup, CopyPurpose::Backup),
        ("volume snapshot", "snapshot", Capability::VolumeSnapshot, CopyPurpose::Snapshot),
    ] {
        inspection.begin(promise);
        let tag = new_tag();
        if inspection.ask_of(capability, check, volumes.copy(id, purpose, tag)).await?.is_none() {
            continue;
        }
        // The second ask comes while the first one is under way, or after it, the third one after it: all are the same
        // copy.
        for _ in 0..2 {
            inspection.ask(check, volumes.copy(id, purpose, tag)).await?;
            arrive(inspection, volumes, check, id, VolumeState::Online).await?;
        }
    }
    Ok(())
}

async fn remove(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    wanted: &VolumeSpec,
    id: &VolumeId,
) -> Result<(), Violation> {
    const CHECK: &str = "after the delete of a volume";
    inspection.begin("volumes");
    inspection.ask("delete of a volume", volumes.delete(id)).await?;
    inspection.vanishes(CHECK, || volumes.volume(id)).await?;
    let find = || volumes.find_by_tag(wanted.tag);
    inspection.becomes(CHECK, find, Option::is_none, "the tag still finds the volume").await?;
    let gone = |all: &Listing<Volume>| all.objects.iter().all(|volume| volume.tag != wanted.tag);
    inspection.becomes(CHECK, || volumes.volumes(), gone, "the volume is still listed").await?;
    inspection.ask("second delete of a volume", volumes.delete(id)).await
}

/// A volume and two machines that are off.
pub(super) async fn in_machines(
    inspection: &mut Inspection<'_>,
    volumes: &dyn Volumes,
    pair: &Pair,
) -> Result<(), Violation> {
    let id = make(inspection, volumes, &spec()).await?;
    inspection.begin("attach");
    let nothing: VolumeId = nobody("attach of an unknown volume")?;
    let wish = attachment(&nothing);
    let attach = volumes.attach(&pair.first, &wish);
    inspection.fails("attach of an unknown volume", Failure::NotFound, attach).await?;

    offline_is_not_attached(inspection, volumes, pair, &id).await?;
    let wanted = attachment(&id);
    put_in(inspection, volumes, &pair.first, &wanted).await?;
    is_kept_in(inspection, volumes, pair, &id).await?;
    for check in ["detach", "detach of what is out already"] {
        inspection.ask(check, volumes.detach(&pair.first, wanted.tag)).await?;
    }
    let elsewhere = attachment(&id);
    put_in(inspection, volumes, &pair.second, &elsewhere).await?;
    inspection.ask("detach", volumes.detach(&pair.second, elsewhere.tag)).await?;
    inspection.ask_once_free("delete of a volume that was in machines", || volumes.delete(&id)).await
}

async fn offline_is_not_attached(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    pair: &Pair,
    id: &VolumeId,
) -> Result<(), Violation> {
    const CHECK: &str = "attach of an offline volume";
    if !inspection.can(Capability::VolumeOffline) {
        return Ok(());
    }
    inspection.ask(CHECK, volumes.set_online(id, false)).await?;
    arrive(inspection, volumes, CHECK, id, VolumeState::Offline).await?;
    inspection.fails(CHECK, Failure::Conflict, volumes.attach(&pair.first, &attachment(id))).await?;
    inspection.ask(CHECK, volumes.set_online(id, true)).await?;
    arrive(inspection, volumes, CHECK, id, VolumeState::Online).await.map(drop)
}

async fn put_in(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    machine: &MachineId,
    wanted: &AttachmentSpec,
) -> Result<(), Violation> {
    const CHECK: &str = "attach";
    // It may be on its way out of another machine.
    let there = inspection.ask_once_free(CHECK, || volumes.attach(machine, wanted)).await?;
    ensure(CHECK, there.tag == wanted.tag && there.volume == wanted.volume, format!("what is there is {there:?}"))?;
    ensure(CHECK, !there.device.is_empty(), "the device has no name")?;
    let again = inspection.ask("second attach", volumes.attach(machine, wanted)).await?;
    ensure("second attach", again == there, format!("{again:?}, and before {there:?}"))
}

async fn is_kept_in(
    inspection: &Inspection<'_>,
    volumes: &dyn Volumes,
    pair: &Pair,
    id: &VolumeId,
) -> Result<(), Violation> {
    let conflict = Failure::Conflict;
    let wish = attachment(id);
    let elsewhere = volumes.attach(&pair.second, &wish);
    inspection.fails("attach of a volume in another machine", conflict, elsewhere).await?;
    inspection.fails("delete of an attached volume", conflict, volumes.delete(id)).await?;
    let offline = volumes.set_online(id, false);
    inspection.fails_if_supported("offline of an attached volume", conflict, offline).await?;
    inspection.ask("detach of another attachment", volumes.detach(&pair.first, new_tag())).await?;
    inspection.fails("delete of an attached volume", conflict, volumes.delete(id)).await?;
    arrive(inspection, volumes, "attached volume", id, VolumeState::Online).await.map(drop)
}

/// A volume in a running machine.
pub(super) async fn join(
    inspection: &mut Inspection<'_>,
    volumes: &dyn Volumes,
    machine: &MachineId,
) -> Result<VolumeId, Violation> {
    let id = make(inspection, volumes, &spec()).await?;
    let wanted = attachment(&id);
    put_in(inspection, volumes, machine, &wanted).await?;
    Ok(id)
}

/// The machine that had the volume is gone.
pub(super) async fn freed(inspection: &Inspection<'_>, volumes: &dyn Volumes, id: &VolumeId) -> Result<(), Violation> {
    const CHECK: &str = "volume of a deleted machine";
    arrive(inspection, volumes, CHECK, id, VolumeState::Online).await?;
    inspection.ask_once_free(CHECK, || volumes.delete(id)).await
}
