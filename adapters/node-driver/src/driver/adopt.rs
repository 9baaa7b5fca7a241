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
    machine_directory::{self, Lifecycle, MachineDirectory, RECORD},
};

impl Inner {
    pub(super) async fn adopt_all(self: &Arc<Self>) -> Result<(), NodeError> {
        let machines = self.means.machines.clone();
        let found = blocking(move || machine_directory::all(&machines)).await?;
        let adopted = join_all(found.into_iter().map(|(id, directory)| self.adopt(id, directory))).await;
        adopted.into_iter().collect()
    }

    async fn adopt(&self, id: MachineId, directory: MachineDirectory) -> Result<(), NodeError> {
        let process = Process::find(&directory, &id);
        if process.is_none() {
            limits::clear(&directory, &id);
        }
        if !directory.file(RECORD).exists() {
            return clear(&id, &directory, process).await;
        }
        let mut record = match directory.read_record() {
            Ok(record) => record,
            Err(error) => {
                // Not ours to judge: a disk may be in there.
                tracing::error!(machine = %id, %error, "left alone");
                return Ok(());
            }
        };
        let run = match (&record.lifecycle, process) {
            (Lifecycle::Creating, process) => return clear(&id, &directory, process).await,
            (Lifecycle::Running | Lifecycle::Stopping { .. }, Some(process)) => {
                tracing::info!(machine = %id, pid = process.pid(), "found running");
                Some(Run::adopt(&self.means, &directory, &record, process).await)
            }
            (Lifecycle::Running, None) => {
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
        blocking(move || place.write_record(&written)).await?;
        self.keep(directory, record, run);
        Ok(())
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
