//! Copies of the root disk: by QEMU while the guest goes on, or of the file while it is off.
//!
//! Either way the copy is an overlay like the machine's own, over the same image, and holds only what the machine has
//! written. It loses its name as soon as it is complete, so nothing is left when its reader ends, however that happens.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use backend::SaveMethod;
use disk_image::{
    ImageFormat,
    qcow2::{OverlaySpec, create_overlay},
};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Keeper;
use crate::{
    NodeError, host,
    image_cache::blocking,
    machine_directory::{DISK, Lifecycle, SAVED},
    overlay_view::virtual_size,
    saved_disk::Saved,
    sparse_copy,
};

/// The name of QEMU's job and of its target.
const JOB: &str = "saved";

/// Who waits for a copy.
pub(in crate::driver) struct Waiting {
    answer: oneshot::Sender<Result<Saved, NodeError>>,
    permit: OwnedSemaphorePermit,
}

/// A copy in the making.
pub(in crate::driver) enum Saving {
    /// QEMU copies.
    Copying(Waiting),
    /// The guest is being stopped for it.
    AwaitingStop(Waiting),
}

impl Keeper {
    pub(super) async fn save(&mut self, method: SaveMethod, answer: oneshot::Sender<Result<Saved, NodeError>>) {
        let permit = match self.may_save(method) {
            Ok(permit) => permit,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let waiting = Waiting { answer, permit };
        match (method, self.run.is_some()) {
            (_, false) => self.copy_at_rest(waiting).await,
            (SaveMethod::Hot, true) => match self.begin_copy().await {
                Ok(()) => self.saving = Some(Saving::Copying(waiting)),
                Err(error) => {
                    self.clear_copy().await;
                    let _ = waiting.answer.send(Err(error));
                }
            },
            (SaveMethod::Deferred, true) => {
                match self.intend(self.restart_within(self.means.options.graceful_deadline)).await {
                    Ok(()) => self.saving = Some(Saving::AwaitingStop(waiting)),
                    Err(error) => drop(waiting.answer.send(Err(error))),
                }
            }
        }
    }

    fn may_save(&self, method: SaveMethod) -> Result<OwnedSemaphorePermit, NodeError> {
        let possible = match &self.record.lifecycle {
            Lifecycle::Running | Lifecycle::Stopped { .. } | Lifecycle::Failed { .. } => true,
            // Its memory holds what the disk lacks, and belongs to the disk as it is.
            Lifecycle::Suspended { .. } | Lifecycle::Hibernated => method == SaveMethod::Hot,
            _ => false,
        };
        if !possible {
            return Err(self.conflict("save"));
        }
        if self.saving.is_some() {
            return Err(self.busy("save", "being saved already: try again later"));
        }
        self.ensure_room_for_copy()?;
        self.means.saves.clone().try_acquire_owned().map_err(|_| {
            NodeError::NoRoom("as many disks are being saved as this node does at a time: try again later".into())
        })
    }

    pub(super) fn busy(&self, asked: &'static str, state: &str) -> NodeError {
        NodeError::Conflict { asked, id: self.record.id.clone(), state: state.to_owned() }
    }

    /// What the copy may take, in bytes: what the overlay takes.
    fn ensure_room_for_copy(&self) -> Result<(), NodeError> {
        let overlay = self.directory.file(DISK);
        let stored = overlay.metadata().map_err(NodeError::file("look at", &overlay))?.blocks().saturating_mul(512);
        host::ensure_room(&self.means.options.data_dir, stored, self.means.options.disk_reserve_bytes)
    }

    async fn begin_copy(&mut self) -> Result<(), NodeError> {
        let (image, _) = self.means.image(&self.record.image)?;
        let (overlay, target) = (self.directory.file(DISK), self.directory.file(SAVED));
        blocking(move || {
            let size = File::open(&overlay).and_then(|file| virtual_size(&file));
            let virtual_size = size.map_err(NodeError::file("read", &overlay))?;
            let spec = OverlaySpec { path: &target, backing: &image, backing_format: ImageFormat::Raw, virtual_size };
            Ok(create_overlay(&spec)?)
        })
        .await?;
        let node = json!({
            "driver": "qcow2", "node-name": JOB, "backing": "image",
            "file": { "driver": "file", "filename": SAVED },
        });
        self.order("blockdev-add", node).await?;
        // The image below is the same for both, so only what is above it is copied.
        let job = json!({ "job-id": JOB, "device": "disk", "target": JOB, "sync": "top", "auto-dismiss": false });
        self.order("blockdev-backup", job).await.map(drop)
    }

    /// Looks how far QEMU's copy is. Events wake us for it.
    pub(super) async fn follow_copy(&mut self) {
        let Some(Saving::Copying(waiting)) = &self.saving else { return };
        let problem = if waiting.answer.is_closed() {
            Some("nobody waits for it".to_owned())
        } else {
            match self.job_end(JOB).await {
                Some(end) => end.err(),
                None => return,
            }
        };
        let Some(Saving::Copying(waiting)) = self.saving.take() else { return };
        let failed = |problem: String| NodeError::Qemu { id: self.record.id.clone(), problem };
        let outcome = match problem {
            Some(problem) => Err(failed(format!("the copy of its disk failed: {problem}"))),
            None => self.end_job(JOB).await,
        };
        match outcome {
            Ok(()) => self.hand_over(waiting).await,
            Err(error) => {
                self.clear_copy().await;
                let _ = waiting.answer.send(Err(error));
            }
        }
    }

    /// After a run: a copy that waited for it is made, one that QEMU made is lost.
    pub(super) async fn copy_at_rest_or_give_up(&mut self) {
        match self.saving.take() {
            Some(Saving::AwaitingStop(waiting)) => self.copy_at_rest(waiting).await,
            Some(Saving::Copying(waiting)) => {
                self.clear_copy().await;
                let problem = "it ended before its disk was copied".to_owned();
                let _ = waiting.answer.send(Err(NodeError::Qemu { id: self.record.id.clone(), problem }));
            }
            None => {}
        }
    }

    async fn copy_at_rest(&mut self, waiting: Waiting) {
        let copied = match self.ensure_room_for_copy() {
            Ok(()) => {
                let (from, to) = (self.directory.file(DISK), self.directory.file(SAVED));
                let closing = self.means.closing.clone();
                blocking(move || {
                    let source = File::open(&from).map_err(NodeError::file("open", &from))?;
                    let copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&to);
                    copy.and_then(|copy| sparse_copy::copy(&source, &copy, || !closing.is_cancelled()))
                        .map_err(NodeError::file("write", &to))
                })
                .await
            }
            Err(error) => Err(error),
        };
        match copied {
            Ok(()) => self.hand_over(waiting).await,
            Err(error) => {
                self.clear_copy().await;
                let _ = waiting.answer.send(Err(error));
            }
        }
    }

    async fn hand_over(&self, waiting: Waiting) {
        let Waiting { answer, permit } = waiting;
        let image = self.means.image(&self.record.image);
        let directory = self.directory.clone();
        let least = self.record.hardware.disk_bytes;
        let saved = blocking(move || Saved::take(&directory, &image?.0, least, permit)).await;
        let _ = answer.send(saved);
    }

    /// Removes a copy that nobody will read, in QEMU as well. There may be none.
    pub(super) async fn clear_copy(&mut self) {
        self.clear_job(JOB).await;
        let directory = self.directory.clone();
        if let Err(error) = blocking(move || directory.discard(SAVED)).await {
            tracing::warn!(machine = %self.record.id, %error, "a copy of its disk is left until the next start");
        }
    }
}
