//! Saved disks.

use futures_util::StreamExt;

use super::{
    Violation,
    inspection::{Inspection, broken, ensure},
};
use crate::{BackendError, Capability, MachineId, MachineState, SaveMethod, SavedDisk};

const LARGEST_CHUNK: usize = 1 << 20;

/// A hot save leaves the machine alone, a deferred one brings it back.
pub(super) async fn of_a_running_machine(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let backend = inspection.backend();
    let check = "hot save";
    inspection.begin("save hot");
    let hot = backend.save(id, SaveMethod::Hot);
    if let Some(disk) = inspection.ask_of(Capability::SaveHot, check, hot).await? {
        let machine = inspection.ask(check, backend.machine(id)).await?;
        ensure(check, machine.state == MachineState::Running, format!("the machine is {:?} then", machine.state))?;
        read(inspection, check, disk).await?;
        let disk = inspection.ask("save that is given up", backend.save(id, SaveMethod::Hot)).await?;
        give_up(inspection, "save that is given up", disk).await?;
    }
    let check = "deferred save";
    inspection.begin("save deferred");
    let deferred = backend.save(id, SaveMethod::Deferred);
    if let Some(disk) = inspection.ask_of(Capability::SaveDeferred, check, deferred).await? {
        read(inspection, check, disk).await?;
        inspection.machine_arrives(check, id, MachineState::Running).await?;
    }
    Ok(())
}

/// A stopped machine stays stopped, and nothing happens to its disk meanwhile.
pub(super) async fn of_a_stopped_machine(inspection: &Inspection<'_>, id: &MachineId) -> Result<(), Violation> {
    let check = "save of a stopped machine";
    let mut digests = Vec::new();
    for (capability, method) in
        [(Capability::SaveHot, SaveMethod::Hot), (Capability::SaveDeferred, SaveMethod::Deferred)]
    {
        if !inspection.can(capability) {
            // Noted when the machine ran.
            continue;
        }
        inspection.begin("save of a stopped machine");
        let disk = inspection.ask(check, inspection.backend().save(id, method)).await?;
        digests.push(read(inspection, check, disk).await?);
        let machine = inspection.ask(check, inspection.backend().machine(id)).await?;
        ensure(check, machine.state == MachineState::Stopped, format!("the machine is {:?} then", machine.state))?;
    }
    ensure(check, digests.windows(2).all(|pair| pair[0] == pair[1]), "a disk at rest was saved with two contents")
}

/// All bytes; answers their digest.
async fn read(
    inspection: &Inspection<'_>,
    check: &'static str,
    mut disk: SavedDisk,
) -> Result<disk_image::ContentDigest, Violation> {
    let least = inspection.candidate.image.size;
    ensure(check, disk.size >= least, format!("a disk of {} bytes, its image has {least}", disk.size))?;
    let mut digest = disk_image::ContentHasher::default();
    let mut read = 0;
    while let Some(chunk) = next(inspection, check, &mut disk).await? {
        read += chunk.len() as u64;
        ensure(check, chunk.len() <= LARGEST_CHUNK, format!("a chunk of {} bytes", chunk.len()))?;
        ensure(check, read <= disk.size, format!("more than the {} bytes that were announced", disk.size))?;
        digest.update(disk_image::Piece::Data(&chunk));
    }
    ensure(check, read == disk.size, format!("{read} bytes, {} were announced", disk.size))?;
    Ok(digest.finish())
}

async fn give_up(inspection: &Inspection<'_>, check: &'static str, mut disk: SavedDisk) -> Result<(), Violation> {
    let first = next(inspection, check, &mut disk).await?;
    ensure(check, first.is_some(), "not one byte was saved")
}

async fn next(
    inspection: &Inspection<'_>,
    check: &'static str,
    disk: &mut SavedDisk,
) -> Result<Option<bytes::Bytes>, Violation> {
    let next = async {
        disk.bytes.next().await.transpose().map_err(|error| BackendError::Failed(format!("reading the disk: {error}")))
    };
    let chunk = inspection.ask(check, next).await?;
    if chunk.as_ref().is_some_and(bytes::Bytes::is_empty) {
        // A stream of such would never end.
        return Err(broken(check, "an empty chunk"));
    }
    Ok(chunk)
}
