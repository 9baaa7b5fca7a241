//! Copies of a volume in this machine: of the file while it is off, by QEMU while it runs.

use std::path::Path;

use backend::{CopyPurpose, IntentTag};
use disk_image::{
    ImageFormat,
    qcow2::{OverlaySpec, create_overlay},
};
use serde_json::{Value, json};

use super::{super::card::Answer, Keeper};
use crate::{NodeError, image_cache::blocking, kvm::hotplug::Volume, volumes::Copying};

/// The name of QEMU's job and of its target.
pub(super) const JOB: &str = "volume-copy";
/// What an empty qcow2 of ours rests on: nothing.
const NOTHING: &str = "/dev/null";

/// A copy that QEMU makes.
pub(in crate::driver) struct VolumeCopy {
    attachment: IntentTag,
    copying: Copying,
    answer: Answer<()>,
}

impl Keeper {
    pub(super) async fn copy_volume(
        &mut self,
        attachment: IntentTag,
        purpose: CopyPurpose,
        copy: IntentTag,
        answer: Answer<()>,
    ) {
        let begun = if self.run.is_none() {
            self.copy_resting_volume(attachment, purpose, copy).await.map(|()| None)
        } else {
            self.begin_volume_copy(attachment, purpose, copy).await
        };
        match begun {
            Ok(Some(copying)) => self.volume_copy = Some(VolumeCopy { attachment, copying, answer }),
            Ok(None) => drop(answer.send(Ok(()))),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    async fn copy_resting_volume(
        &self,
        attachment: IntentTag,
        purpose: CopyPurpose,
        copy: IntentTag,
    ) -> Result<(), NodeError> {
        let inserted = self.inserted(attachment)?;
        let (volumes, machine) = (self.means.volumes.clone(), self.record.id.clone());
        let closing = self.means.closing.clone();
        blocking(move || volumes.copy(&inserted.volume, Some(&machine), purpose, copy, || !closing.is_cancelled()))
            .await
    }

    async fn begin_volume_copy(
        &mut self,
        attachment: IntentTag,
        purpose: CopyPurpose,
        copy: IntentTag,
    ) -> Result<Option<Copying>, NodeError> {
        self.ensure_awake("copy a volume of")?;
        if self.volume_copy.as_ref().is_some_and(|other| other.attachment != attachment) {
            return Err(self.busy("copy a volume of", "having another one copied: try again later"));
        }
        let inserted = self.inserted(attachment)?;
        let (volumes, machine, volume) = (self.means.volumes.clone(), self.record.id.clone(), inserted.volume.clone());
        let copying = blocking(move || {
            let Some(copying) = volumes.begin_copy(&volume, Some(&machine), purpose, copy)? else { return Ok(None) };
            let virtual_size = volumes.show(&volume)?.size_bytes;
            create_overlay(&OverlaySpec {
                path: copying.path(),
                backing: Path::new(NOTHING),
                backing_format: ImageFormat::Raw,
                virtual_size,
            })?;
            Ok(Some(copying))
        });
        let Some(copying) = copying.await? else { return Ok(None) };
        let node = json!({
            "driver": "qcow2", "node-name": JOB, "backing": Value::Null,
            "file": { "driver": "file", "filename": copying.path().to_string_lossy() },
        });
        let source = Volume::name(inserted.slot);
        let job = json!({ "job-id": JOB, "device": source, "target": JOB, "sync": "full", "auto-dismiss": false });
        let begun = match self.order("blockdev-add", node).await {
            Ok(_) => self.order("blockdev-backup", job).await,
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            self.clear_job(JOB).await;
            return Err(error);
        }
        Ok(Some(copying))
    }

    /// Looks how far QEMU's copy is. It goes on to its end when nobody waits for it.
    pub(super) async fn follow_volume_copy(&mut self) {
        if self.volume_copy.is_none() {
            return;
        }
        let Some(end) = self.job_end(JOB).await else { return };
        let Some(VolumeCopy { copying, answer, .. }) = self.volume_copy.take() else { return };
        let ended = match end {
            Ok(()) => self.end_job(JOB).await,
            Err(problem) => {
                self.clear_job(JOB).await;
                let problem = format!("the copy of a volume failed: {problem}");
                Err(NodeError::Qemu { id: self.record.id.clone(), problem })
            }
        };
        let finished = match ended {
            Ok(()) => blocking(move || copying.finish(ImageFormat::Qcow2)).await,
            Err(error) => Err(error),
        };
        let _ = answer.send(finished);
    }

    /// After a run: what QEMU was copying is lost.
    pub(super) fn give_up_volume_copy(&mut self) {
        if let Some(VolumeCopy { answer, .. }) = self.volume_copy.take() {
            let problem = "it ended before its volume was copied".to_owned();
            let _ = answer.send(Err(NodeError::Qemu { id: self.record.id.clone(), problem }));
        }
    }

    pub(super) fn ensure_not_copied(&self, attachment: IntentTag) -> Result<(), NodeError> {
        match &self.volume_copy {
            Some(copy) if copy.attachment == attachment => {
                Err(self.busy("change a volume of", "having it copied: try again later"))
            }
            _ => Ok(()),
        }
    }
}
