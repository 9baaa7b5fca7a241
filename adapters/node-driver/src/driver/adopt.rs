//! Finding the machines of an earlier driver again.

use std::sync::Arc;

use backend::MachineId;
use futures_util::future::join_all;

use super::{Inner, run::Run};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::process::Process,
    limits,
    machine_directory::{self, HALF_MEMORY, Lifecycle, MEMORY, MachineDirectory, RECORD, Record},
};

/// A machine that is found again, before it has a keeper.
struct Adopted {
    directory: MachineDirectory,
    record: Record,
    run: Option<Run>,
}

impl Inner {
    pub(super) async fn adopt_all(self: &Arc<Self>) -> Result<(), NodeError> {
        let machines = self.means.machines.clone();
        let found = blocking(move || machine_directory::all(&machines)).await?;
        let adopted = join_all(found.into_iter().map(|(id, directory)| self.adopt(id, directory))).await;
        let mut kept = adopted.into_iter().collect::<Result<Vec<_>, _>>()?;
        let volumes = kept.iter().flatten().flat_map(|adopted| &adopted.record.volumes);
        let attached = volumes.map(|inserted| (inserted.volume.clone(), inserted.tag)).collect();
        let interfaces = kept.iter().flatten().flat_map(|adopted| &adopted.record.interfaces);
        let plugged = interfaces.map(|plugged| (plugged.network.clone(), plugged.tag)).collect();
        for Adopted { directory, record, run } in kept.drain(..).flatten() {
            self.keep(directory, record, run, true);
        }
        self.release_strays(attached).await?;
        self.dismiss_strays(plugged).await
    }

    async fn adopt(&self, id: MachineId, directory: MachineDirectory) -> Result<Option<Adopted>, NodeError> {
        let process = Process::find(&directory, &id);
        if process.is_none() {
            limits::clear(&directory, &id);
        }
        if !directory.file(RECORD).exists() {
            return clear(&id, &directory, process).await.map(|()| None);
        }
        let mut record = match directory.read_record() {
            Ok(record) => record,
            Err(error) => {
                // Not ours to judge: a disk may be in there.
                tracing::error!(machine = %id, %error, "left alone");
                return Ok(None);
            }
        };
        let run = match (&record.lifecycle, process) {
            (Lifecycle::Creating, process) => return clear(&id, &directory, process).await.map(|()| None),
            (Lifecycle::Hibernated, process) if directory.file(MEMORY).exists() => {
                // Its memory is whole, and it has not run since.
                destroy(&id, process).await;
                None
            }
            (
                Lifecycle::Running
                | Lifecycle::Stopping { .. }
                | Lifecycle::Suspended { .. }
                | Lifecycle::Hibernating
                | Lifecycle::Hibernated,
                Some(process),
            ) => {
                if record.lifecycle == Lifecycle::Hibernated {
                    // It has its memory back already.
                    record.lifecycle = Lifecycle::Running;
                }
                tracing::info!(machine = %id, pid = process.pid(), "found running");
                Some(Run::adopt(&self.means, &directory, &record, process).await)
            }
            (Lifecycle::Hibernating, None) if directory.file(MEMORY).exists() => {
                record.lifecycle = Lifecycle::Hibernated;
                None
            }
            (
                Lifecycle::Running | Lifecycle::Suspended { .. } | Lifecycle::Hibernating | Lifecycle::Hibernated,
                None,
            ) => {
                let detail = Some("it was found switched off when the node driver started".into());
                record.lifecycle = Lifecycle::Stopped { detail };
                None
            }
            (Lifecycle::Stopping { then_start, .. }, None) => {
                // A restart goes on; a stop is done.
                let start = *then_start;
                record.lifecycle = if start { Lifecycle::Running } else { Lifecycle::Stopped { detail: None } };
                None
            }
            (Lifecycle::Stopped { .. } | Lifecycle::Failed { .. }, process) => {
                destroy(&id, process).await;
                None
            }
        };
        let (place, written) = (directory.clone(), record.clone());
        blocking(move || {
            place.write_record(&written)?;
            if !matches!(written.lifecycle, Lifecycle::Hibernating | Lifecycle::Hibernated | Lifecycle::Failed { .. }) {
                // Of another time than the disk.
                place.discard(HALF_MEMORY)?;
                place.discard(MEMORY)?;
            }
            Ok(())
        })
        .await?;
        Ok(Some(Adopted { directory, record, run }))
    }
}

/// Nobody was ever told of this machine.
async fn clear(id: &MachineId, directory: &MachineDirectory, process: Option<Process>) -> Result<(), NodeError> {
    tracing::info!(machine = %id, "half made, removed");
    destroy(id, process).await;
    let place = directory.clone();
    blocking(move || place.remove()).await
}

async fn destroy(id: &MachineId, process: Option<Process>) {
    if let Some(mut process) = process {
        let bound = limits::adopt(process.pid(), id);
        process.destroy().await;
        drop(bound);
    }
}
