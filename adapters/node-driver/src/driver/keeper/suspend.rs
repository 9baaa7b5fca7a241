//! Freezing a guest with its memory kept: in QEMU, or in a file.
//!
//! The file `memory` is there only while the guest has not run since it was written: it is renamed to that name when it
//! is complete, and removed before the guest goes on. So a disk is never joined with a memory of another time.

use backend::SuspendMethod;
use serde_json::{Value, json};

use super::{Keeper, Saving};
use crate::{
    NodeError, host,
    image_cache::blocking,
    machine_directory::{HALF_MEMORY, Lifecycle, MEMORY, sync_directory},
};

/// In bytes per second; QEMU's default holds a migration back as if it went over a network.
const NO_BOUND: u64 = 1 << 40;

impl Keeper {
    pub(super) async fn accept_suspend(&mut self, method: SuspendMethod) -> Result<(), NodeError> {
        match (method, &self.record.lifecycle) {
            (SuspendMethod::Suspend, Lifecycle::Running) => self.intend(Lifecycle::Suspended { detail: None }).await,
            (SuspendMethod::Suspend, Lifecycle::Suspended { .. } | Lifecycle::Hibernated) => Ok(()),
            (_, Lifecycle::Hibernating | Lifecycle::Hibernated) => Ok(()),
            (SuspendMethod::Hibernate, Lifecycle::Running | Lifecycle::Suspended { .. }) => self.hibernate().await,
            _ => Err(self.conflict("suspend")),
        }
    }

    /// Halts the processors of a guest that is meant to be frozen.
    pub(super) async fn freeze(&mut self) {
        if let Some(run) = &mut self.run
            && run.qmp.is_none()
        {
            run.reconnect(&self.directory).await;
        }
        if let Some(run) = &mut self.run
            && run.status().await.as_deref() != Some("paused")
            && let Err(error) = self.command("stop").await
        {
            tracing::warn!(machine = %self.record.id, %error, "the guest cannot be frozen");
        }
        self.show().await;
    }

    async fn hibernate(&mut self) -> Result<(), NodeError> {
        if matches!(self.saving, Some(Saving::Copying(_))) || self.volume_copy.is_some() {
            return Err(self.busy("suspend", "being saved, or a volume of it copied: try again later"));
        }
        let options = &self.means.options;
        // Pages of zeros take no room, but who knows how many there are.
        host::ensure_room(&options.data_dir, self.record.hardware.memory_mib << 20, options.disk_reserve_bytes)?;
        self.intend(Lifecycle::Hibernating).await?;
        if let Err(error) = self.write_memory().await {
            // A QEMU before 8.2 cannot write it to a file.
            self.stay_suspended(&error.to_string()).await;
        }
        Ok(())
    }

    async fn write_memory(&mut self) -> Result<(), NodeError> {
        self.command("stop").await?;
        let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        self.order("migrate-set-capabilities", events).await?;
        self.order("migrate-set-parameters", json!({ "max-bandwidth": NO_BOUND })).await?;
        self.order("migrate", json!({ "uri": format!("file:{HALF_MEMORY}") })).await.map(drop)
    }

    /// Looks how far the memory's way to the file is. Events wake us for it.
    pub(super) async fn follow_hibernation(&mut self) {
        if let Some(run) = &mut self.run
            && run.qmp.is_none()
        {
            run.reconnect(&self.directory).await;
        }
        let Ok(progress) = self.order("query-migrate", Value::Null).await else { return };
        match progress["status"].as_str() {
            Some("completed") => {
                let directory = self.directory.clone();
                let kept = blocking(move || {
                    let (half, whole) = (directory.file(HALF_MEMORY), directory.file(MEMORY));
                    let named = std::fs::File::open(&half).and_then(|file| file.sync_all());
                    let named = named.and_then(|()| std::fs::rename(&half, &whole));
                    named.map_err(NodeError::file("keep", &half))?;
                    sync_directory(directory.path())
                });
                let kept = match kept.await {
                    Ok(()) => self.intend(Lifecycle::Hibernated).await,
                    Err(error) => Err(error),
                };
                match kept {
                    Ok(()) => self.switch_off().await,
                    Err(error) => self.stay_suspended(&error.to_string()).await,
                }
            }
            Some("failed" | "cancelled") => {
                let why = progress["error-desc"].as_str().unwrap_or("QEMU does not say why").to_owned();
                self.stay_suspended(&why).await;
            }
            // A driver that was killed before it could begin.
            None => {
                if let Err(error) = self.write_memory().await {
                    self.stay_suspended(&error.to_string()).await;
                }
            }
            Some(_) => {}
        }
    }

    async fn stay_suspended(&mut self, problem: &str) {
        tracing::warn!(machine = %self.record.id, problem, "cannot be hibernated");
        if let Err(error) = self.forget_memory().await {
            tracing::error!(machine = %self.record.id, %error, "a guest's memory stays on the disk");
        }
        let detail = Some(format!("its memory could not be written to the disk and stays where it is: {problem}"));
        self.record.lifecycle = Lifecycle::Suspended { detail };
        self.settle().await;
    }

    /// Removes what was kept of the guest's memory, if anything was.
    pub(super) async fn forget_memory(&mut self) -> Result<(), NodeError> {
        let directory = self.directory.clone();
        blocking(move || {
            directory.discard(HALF_MEMORY)?;
            directory.discard(MEMORY)
        })
        .await
    }
}
