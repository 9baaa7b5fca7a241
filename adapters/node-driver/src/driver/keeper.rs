//! The task that keeps one machine: the only one that touches its QEMU, its record and its state.
//!
//! ```text
//!              start                       guest's own power off, or a stop's end
//!   Stopped ──────────▶ Running ─────────────────────────────────────────────────▶ Stopped
//!                         │ ▲
//!            stop/restart ▼ │ end of a stop that was to start again
//!                      Stopping        (killed at its deadline)
//!   anything ── QEMU dies unasked ──▶ Failed ── start ──▶ Running
//! ```
//! The intent is on disk before it is acted upon, so the next driver goes on where this one was killed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backend::{MachineState, RestartMethod, StopMethod};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    card::{Ask, Card, Facts, Wish},
    means::{Means, persist},
    run::{Run, switch_on},
};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::{accelerator, process::Ending},
    machine_directory::{Lifecycle, MachineDirectory, QEMU_LOG, Record},
};

/// How often a running machine is looked after when nothing happens.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How often a guest is asked again to stop: one that still boots does not hear it.
const NAG: Duration = Duration::from_secs(5);
/// How long QEMU may take to end itself before it is killed.
const QUIT_PATIENCE: Duration = Duration::from_secs(3);
const MOST_QEMU_LOG: u64 = 1 << 20;

pub(super) struct Keeper {
    pub(super) means: Arc<Means>,
    pub(super) directory: MachineDirectory,
    pub(super) record: Record,
    pub(super) card: Arc<Card>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) run: Option<Run>,
    pub(super) next_look: Instant,
    /// What they do, in QEMU's words, when last seen.
    pub(super) processors: Option<String>,
}

enum Wake {
    Closing,
    Asked(Ask),
    Ended(Ending),
    Told,
    Clock,
}

impl Keeper {
    /// Keeps the machine until it is deleted or the driver closes, which leaves QEMU running.
    pub(super) async fn keep(mut self) {
        self.show().await;
        loop {
            match self.wake().await {
                Wake::Closing => return,
                Wake::Asked(Ask { wish: Wish::Delete, answer }) => {
                    let deleted = self.delete().await;
                    let gone = deleted.is_ok();
                    // Whoever asked may have gone; the machine is deleted all the same.
                    let _ = answer.send(deleted);
                    if gone {
                        return;
                    }
                }
                Wake::Asked(Ask { wish, answer }) => {
                    let accepted = self.accept(wish).await;
                    let _ = answer.send(accepted);
                    self.act().await;
                }
                Wake::Ended(ending) => self.ended(ending).await,
                Wake::Told => self.told().await,
                Wake::Clock => self.act().await,
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let Self { means, asks, run, next_look, .. } = self;
        let asked = async {
            match asks.recv().await {
                Some(ask) => Wake::Asked(ask),
                None => Wake::Closing,
            }
        };
        let Some(Run { process, told, qmp, .. }) = run else {
            return tokio::select! {
                () = means.closing.cancelled() => Wake::Closing,
                wake = asked => wake,
            };
        };
        tokio::select! {
            biased;
            () = means.closing.cancelled() => Wake::Closing,
            ending = process.ended() => Wake::Ended(ending),
            Ok(()) = told.changed(), if qmp.is_some() => Wake::Told,
            wake = asked => wake,
            () = sleep_until(*next_look) => Wake::Clock,
        }
    }

    /// Writes down what is wanted now; [`Keeper::act`] does it.
    async fn accept(&mut self, wish: Wish) -> Result<(), NodeError> {
        let lifecycle = self.record.lifecycle.clone();
        let deadline = |patience| Lifecycle::Stopping { deadline: now() + millis(patience), then_start: false };
        let patience = self.means.options.graceful_deadline;
        match (wish, &lifecycle) {
            (Wish::Start, Lifecycle::Running) => self.wake_up().await,
            (Wish::Start, Lifecycle::Stopping { then_start: true, .. }) => Ok(()),
            (Wish::Start, Lifecycle::Stopped { .. } | Lifecycle::Failed { .. }) => {
                self.means.hypervisor().await?;
                self.means.memory.lease(self.record.hardware.memory_mib).map(drop)?;
                self.intend(Lifecycle::Running).await
            }
            (Wish::Stop(_), Lifecycle::Stopped { .. }) => Ok(()),
            (Wish::Stop(_), Lifecycle::Failed { .. }) => self.intend(Lifecycle::Stopped { detail: None }).await,
            (Wish::Stop(StopMethod::AcpiOff), Lifecycle::Running) => self.ask_guest_to_stop().await,
            (Wish::Stop(StopMethod::Graceful), Lifecycle::Running) => self.intend(deadline(patience)).await,
            (Wish::Stop(StopMethod::Graceful | StopMethod::AcpiOff), Lifecycle::Stopping { deadline, .. }) => {
                // Under way already; a restart under way becomes a stop.
                self.intend(Lifecycle::Stopping { deadline: *deadline, then_start: false }).await
            }
            (Wish::Stop(StopMethod::PowerOff), Lifecycle::Running | Lifecycle::Stopping { .. }) => {
                self.intend(deadline(Duration::ZERO)).await
            }
            (Wish::Restart(RestartMethod::Warm), Lifecycle::Running) => self.reset().await,
            (Wish::Restart(method), Lifecycle::Running) => {
                let patience = if method == RestartMethod::Cold { Duration::ZERO } else { patience };
                self.intend(Lifecycle::Stopping { deadline: now() + millis(patience), then_start: true }).await
            }
            _ => {
                let state = format!("{:?}", self.card.facts().state).to_lowercase();
                Err(NodeError::Conflict { asked: wish.verb(), id: self.record.id.clone(), state })
            }
        }
    }

    async fn intend(&mut self, lifecycle: Lifecycle) -> Result<(), NodeError> {
        let before = std::mem::replace(&mut self.record.lifecycle, lifecycle);
        if let Err(error) = persist(&self.directory, &self.record).await {
            self.record.lifecycle = before;
            return Err(error);
        }
        self.show().await;
        Ok(())
    }

    /// Does what the record says is to be done now.
    async fn act(&mut self) {
        self.next_look = Instant::now() + HOUSEKEEPING;
        match (&self.record.lifecycle, self.run.is_some()) {
            (Lifecycle::Running, false) => self.start().await,
            (Lifecycle::Running, true) => self.look_after().await,
            (Lifecycle::Stopping { deadline, .. }, true) => {
                let left = Duration::from_millis(deadline.saturating_sub(now()));
                if left.is_zero() {
                    self.switch_off().await;
                } else {
                    if let Err(error) = self.ask_guest_to_stop().await {
                        tracing::warn!(machine = %self.record.id, %error, "the guest cannot be asked to stop");
                    }
                    self.next_look = Instant::now() + left.min(NAG);
                }
            }
            _ => {}
        }
    }

    pub(super) async fn start(&mut self) {
        match switch_on(&self.means, &self.directory, &mut self.record).await {
            Ok(run) => self.run = Some(run),
            Err(error) => self.record.lifecycle = Lifecycle::Failed { detail: error.to_string() },
        }
        self.settle().await;
    }

    /// Shows a state that was reached, and writes it down as well as possible: it holds in any case.
    async fn settle(&mut self) {
        if let Err(error) = persist(&self.directory, &self.record).await {
            tracing::error!(machine = %self.record.id, %error, "the machine's state is not on disk");
        }
        self.show().await;
    }

    async fn ask_guest_to_stop(&mut self) -> Result<(), NodeError> {
        self.command("system_powerdown").await
    }

    async fn reset(&mut self) -> Result<(), NodeError> {
        self.command("system_reset").await?;
        if let Some(run) = &mut self.run {
            run.listen();
        }
        Ok(())
    }

    /// A guest that sleeps, or was halted, goes on.
    async fn wake_up(&mut self) -> Result<(), NodeError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        match run.status().await.as_deref() {
            Some("suspended") => self.command("system_wakeup").await,
            Some("paused" | "io-error") => self.command("cont").await,
            _ => Ok(()),
        }
    }

    async fn command(&mut self, command: &'static str) -> Result<(), NodeError> {
        let failed = |problem: String| NodeError::Qemu { id: self.record.id.clone(), problem };
        match &mut self.run {
            Some(run) => run.execute(command).await.map(drop).map_err(|error| failed(error.to_string())),
            None => Err(failed("it does not run".into())),
        }
    }

    /// Ends QEMU: by its own means, so that the disk is in order, or by force.
    async fn switch_off(&mut self) {
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

    async fn ended(&mut self, ending: Ending) {
        let Some(mut run) = self.run.take() else { return };
        // What it said at last may still be in the socket.
        let _ = timeout(Duration::from_secs(1), run.told.wait_for(|told| told.closed)).await;
        let reason = run.told.borrow().shutdown.clone();
        run.release().await;
        self.record.lifecycle = match &self.record.lifecycle {
            Lifecycle::Stopping { then_start: true, .. } => Lifecycle::Running,
            Lifecycle::Stopping { .. } => Lifecycle::Stopped { detail: None },
            _ => self.verdict(&ending, reason.as_deref()),
        };
        self.settle().await;
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

    /// QEMU told something: a reset, a halt, the loss of its socket.
    async fn told(&mut self) {
        let Some(run) = &mut self.run else { return };
        let told = run.told.borrow_and_update().clone();
        if told.resets != run.resets {
            run.resets = told.resets;
            run.listen();
        }
        if told.closed {
            run.qmp = None;
            // It ends, or hangs; the end wakes us, and a hanging one is tried again soon.
            self.next_look = Instant::now() + Duration::from_secs(1);
            return;
        }
        if told.stopped && run.status().await.as_deref() == Some("internal-error") {
            self.give_up_on_kvm().await;
        }
        self.show().await;
    }

    /// The processor's help failed in the middle of a guest.
    async fn give_up_on_kvm(&mut self) {
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

    async fn look_after(&mut self) {
        let Some(run) = &mut self.run else { return };
        if run.qmp.is_none() {
            run.reconnect(&self.directory).await;
            self.next_look = Instant::now() + Duration::from_secs(1);
        }
        let status = run.status().await;
        // A driver that was killed between the start of QEMU and that of the processors.
        let resumes = match status.as_deref() {
            Some("prelaunch") => true,
            Some("io-error") => self.means.shortage().is_none(),
            _ => false,
        };
        if resumes && let Err(error) = run.execute("cont").await {
            tracing::warn!(machine = %self.record.id, %error, "the guest cannot go on");
        }
        let log = self.directory.file(QEMU_LOG);
        let bounded = blocking(move || {
            let too_long = log.metadata().is_ok_and(|facts| facts.len() > MOST_QEMU_LOG);
            // QEMU appends, so it goes on at the new end.
            let emptied = if too_long { std::fs::File::options().write(true).open(&log) } else { return Ok(()) };
            emptied.and_then(|file| file.set_len(0)).map_err(NodeError::file("empty", &log))
        });
        if let Err(error) = bounded.await {
            tracing::warn!(machine = %self.record.id, %error, "QEMU's log grows");
        }
        self.show().await;
    }

    async fn delete(&mut self) -> Result<(), NodeError> {
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
        blocking(move || directory.remove()).await
    }

    /// Brings the card up to date, after a look at what the processors do.
    async fn show(&mut self) {
        if let (Lifecycle::Running, Some(run)) = (&self.record.lifecycle, &mut self.run) {
            let status = run.status().await;
            self.processors = status;
        }
        self.announce();
    }

    /// Brings the card up to date with what is known.
    pub(super) fn announce(&mut self) {
        let mut facts = Facts { state: MachineState::Building, detail: None, ssh_port: None, heard: None };
        match &self.record.lifecycle {
            Lifecycle::Creating => {}
            Lifecycle::Running => {
                if self.run.is_some() {
                    (facts.state, facts.detail) = meaning(self.processors.as_deref());
                }
            }
            Lifecycle::Stopping { then_start, .. } => {
                facts.state = MachineState::Stopping;
                facts.detail = then_start.then(|| "restarting".into());
            }
            Lifecycle::Stopped { detail } => {
                facts.state = MachineState::Stopped;
                facts.detail.clone_from(detail);
            }
            Lifecycle::Failed { detail } => {
                facts.state = MachineState::Failed;
                facts.detail = Some(detail.clone());
            }
        }
        facts.ssh_port = self.run.as_ref().map(|_| self.record.ssh_port);
        facts.heard = self.run.as_ref().map(Run::heard);
        *self.card.facts() = facts;
    }
}

/// What QEMU's word for the processors' state means.
fn meaning(status: Option<&str>) -> (MachineState, Option<String>) {
    match status {
        Some("running" | "prelaunch") => (MachineState::Running, None),
        Some("io-error") => {
            (MachineState::Suspended, Some("the node has no disk space: the guest goes on when there is some".into()))
        }
        Some(other) => (MachineState::Suspended, Some(format!("QEMU says: {other}"))),
        None => (MachineState::Running, Some("QEMU does not answer at present".into())),
    }
}

/// Milliseconds since 1970: deadlines must mean the same to the next driver.
fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
