//! How a run ends: by wish, by itself, by force.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Keeper, NAG};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::{accelerator, process::Ending},
    machine_directory::Lifecycle,
};

/// How long QEMU may take to end itself before it is killed.
const QUIT_PATIENCE: Duration = Duration::from_secs(3);

impl Keeper {
    /// Ends QEMU: by its own means, so that the disk is in order, or by force.
    pub(super) async fn switch_off(&mut self) {
        let Some(run) = &mut self.run else { return };
        let asked = run.execute("quit").await.is_ok();
        let ended = if asked { timeout(QUIT_PATIENCE, run.process.ended()).await.ok() } else { None };
        let ended = match ended {
            Some(ending) => Some(ending),
            None => run.process.destroy().await,
        };
        match ended {
            Some(ending) => self.ended(ending).await,
            None => {
                tracing::error!(machine = %self.record.id, pid = run.process.pid(), "QEMU cannot be killed");
                self.next_look = Instant::now() + NAG;
            }
        }
    }

    pub(super) async fn ended(&mut self, ending: Ending) {
        let Some(mut run) = self.run.take() else { return };
        // What it said at last may still be in the socket.
        let _ = timeout(Duration::from_secs(1), run.told.wait_for(|told| told.closed)).await;
        let reason = run.told.borrow().shutdown.clone();
        run.release().await;
        self.record.lifecycle = match &self.record.lifecycle {
            Lifecycle::Stopping { then_start: true, .. } => Lifecycle::Running,
            Lifecycle::Stopping { .. } => Lifecycle::Stopped { detail: None },
            Lifecycle::Hibernated => Lifecycle::Hibernated,
            _ => self.verdict(&ending, reason.as_deref()),
        };
        self.settle().await;
        if self.record.lifecycle != Lifecycle::Hibernated
            && let Err(error) = self.forget_memory().await
        {
            tracing::error!(machine = %self.record.id, %error, "a guest's memory stays on the disk");
        }
        self.copy_at_rest_or_give_up().await;
        self.give_up_volume_copy();
        if self.record.lifecycle == Lifecycle::Running {
            self.start().await;
        }
    }

    /// What an end that nobody asked for means.
    fn verdict(&self, ending: &Ending, reason: Option<&str>) -> Lifecycle {
        let stopped = |detail: &str| Lifecycle::Stopped { detail: Some(detail.into()) };
        match (ending, reason) {
            (Ending::Well | Ending::Unknown, Some("guest-shutdown" | "guest-panic")) => {
                stopped("the guest switched itself off")
            }
            (Ending::Well | Ending::Unknown, Some(reason)) => {
                stopped(&format!("QEMU was told to end by somebody else ({reason})"))
            }
            (ending, _) => {
                let how = match ending {
                    Ending::Badly(how) => how.as_str(),
                    Ending::Well | Ending::Unknown => "without a word",
                };
                let words = self.directory.last_words();
                Lifecycle::Failed { detail: format!("QEMU ended ({how}): {words}") }
            }
        }
    }

    /// The processor's help failed in the middle of a guest.
    pub(super) async fn give_up_on_kvm(&mut self) {
        let Some(run) = self.run.take() else { return };
        run.destroy().await;
        let words = self.directory.last_words();
        if let Ok(hypervisor) = self.means.hypervisor().await {
            accelerator::distrust_kvm(&hypervisor, &self.means.options.data_dir);
        }
        let detail = format!(
            "KVM failed inside the guest ({words}): restart the node driver to go on with TCG, or set the accelerator"
        );
        self.record.lifecycle = Lifecycle::Failed { detail };
        self.settle().await;
    }

    pub(super) async fn delete(&mut self) -> Result<(), NodeError> {
        if let Some(mut run) = self.run.take() {
            if run.process.destroy().await.is_none() {
                self.run = Some(run);
                let problem = "it cannot be killed; look at the host's log".into();
                return Err(NodeError::Qemu { id: self.record.id.clone(), problem });
            }
            run.release().await;
        }
        self.record.lifecycle = Lifecycle::Stopped { detail: Some("being deleted".into()) };
        self.show().await;
        let directory = self.directory.clone();
        blocking(move || directory.remove()).await?;
        self.release_volumes().await;
        self.release_interfaces().await;
        Ok(())
    }
}
