//! The task that keeps one machine: the only one that touches its QEMU, its record and its state.
//!
//! ```text
//!              start                       guest's own power off, or a stop's end
//!   Stopped ──────────▶ Running ─────────────────────────────────────────────────▶ Stopped
//!                         │ ▲
//!            stop/restart ▼ │ end of a stop that was to start again
//!                      Stopping        (killed at its deadline)
//!
//!   Running ─ suspend ▶ Suspended ─ start ▶ Running      (processors halted, memory in QEMU)
//!   Running, Suspended ─ hibernate ▶ Hibernating ─ memory written ▶ Hibernated ─ start ▶ Running
//!
//!   anything ── QEMU dies unasked ──▶ Failed ── start ──▶ Running
//! ```
//! The intent is on disk before it is acted upon, so the next driver goes on where this one was killed.

mod ending;
mod facts;
mod hotplug;
mod job;
mod network;
mod resize;
mod save;
mod suspend;
mod volume;
mod volume_copy;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use backend::{RestartMethod, StopMethod};
use save::Saving;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use volume_copy::VolumeCopy;

use super::{
    card::{Ask, Card, Wish},
    means::{Means, persist},
    run::{Run, switch_on},
};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::process::Ending,
    machine_directory::{Lifecycle, MachineDirectory, QEMU_LOG, Record},
};

/// How often a running machine is looked after when nothing happens.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How often a guest is asked again to stop: one that still boots does not hear it.
const NAG: Duration = Duration::from_secs(5);
const MOST_QEMU_LOG: u64 = 1 << 20;

pub(super) struct Keeper {
    pub(super) means: Arc<Means>,
    pub(super) directory: MachineDirectory,
    pub(super) record: Record,
    pub(super) card: Arc<Card>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) run: Option<Run>,
    /// It was another driver's before.
    pub(super) found_again: bool,
    pub(super) next_look: Instant,
    /// What they do, in QEMU's words, when last seen.
    pub(super) processors: Option<String>,
    /// A copy of the root disk in the making.
    pub(super) saving: Option<Saving>,
    /// A copy of a volume that QEMU makes.
    pub(super) volume_copy: Option<VolumeCopy>,
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
        if self.found_again {
            self.go_on().await;
        }
        self.show().await;
        loop {
            match self.wake().await {
                Wake::Closing => return,
                Wake::Asked(Ask::Change { wish: Wish::Delete, answer }) => {
                    let deleted = self.delete().await;
                    let gone = deleted.is_ok();
                    // Whoever asked may have gone; the machine is deleted all the same.
                    let _ = answer.send(deleted);
                    if gone {
                        return;
                    }
                }
                Wake::Asked(Ask::Change { wish, answer }) => {
                    let accepted = self.accept(wish).await;
                    let _ = answer.send(accepted);
                    self.act().await;
                }
                Wake::Asked(Ask::Save { method, answer }) => {
                    self.save(method, answer).await;
                    self.act().await;
                }
                Wake::Asked(Ask::Attach { spec, answer }) => {
                    let attached = self.attach(&spec).await;
                    let _ = answer.send(attached);
                }
                Wake::Asked(Ask::CopyVolume { tag, purpose, copy, answer }) => {
                    self.copy_volume(tag, purpose, copy, answer).await;
                }
                Wake::Asked(Ask::Plug { spec, answer }) => {
                    let plugged = self.plug_in(&spec).await;
                    let _ = answer.send(plugged);
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

    /// What an earlier driver may have left half done.
    async fn go_on(&mut self) {
        self.clear_copy().await;
        self.clear_job(volume_copy::JOB).await;
        self.finish_volumes().await;
        self.finish_interfaces().await;
        self.act().await;
    }

    /// Writes down what is wanted now; [`Keeper::act`] does it.
    async fn accept(&mut self, wish: Wish) -> Result<(), NodeError> {
        match wish {
            Wish::Start => self.accept_start().await,
            Wish::Stop(method) => self.accept_stop(method).await,
            Wish::Restart(method) => self.accept_restart(method).await,
            Wish::Suspend(method) => self.accept_suspend(method).await,
            Wish::Resize(size) => self.resize(&size).await,
            Wish::Detach(tag) => self.detach(tag).await,
            Wish::Unplug(tag) => self.unplug_interface(tag).await,
            Wish::GrowVolume { tag, size_bytes } => self.grow_volume(tag, size_bytes).await,
            Wish::Delete => Err(self.conflict("delete")),
        }
    }

    async fn accept_start(&mut self) -> Result<(), NodeError> {
        match &self.record.lifecycle {
            Lifecycle::Running => self.wake_up().await,
            Lifecycle::Stopping { then_start: true, .. } => Ok(()),
            Lifecycle::Suspended { .. } => self.intend(Lifecycle::Running).await,
            Lifecycle::Stopped { .. } | Lifecycle::Failed { .. } | Lifecycle::Hibernated if self.run.is_none() => {
                self.means.hypervisor().await?;
                self.means.memory.lease(self.record.hardware.memory_mib).map(drop)?;
                if self.record.lifecycle == Lifecycle::Hibernated {
                    // Said when it is so: until then the kept memory decides.
                    self.start().await;
                    return Ok(());
                }
                self.intend(Lifecycle::Running).await
            }
            _ => Err(self.conflict("start")),
        }
    }

    async fn accept_stop(&mut self, method: StopMethod) -> Result<(), NodeError> {
        let deadline = |patience| Lifecycle::Stopping { deadline: now() + millis(patience), then_start: false };
        let patience = self.means.options.graceful_deadline;
        match (method, &self.record.lifecycle) {
            (_, Lifecycle::Stopped { .. }) => Ok(()),
            (_, Lifecycle::Failed { .. } | Lifecycle::Hibernated) => {
                self.intend(Lifecycle::Stopped { detail: None }).await?;
                self.forget_memory().await
            }
            (StopMethod::AcpiOff, Lifecycle::Running) => self.ask_guest_to_stop().await,
            (StopMethod::Graceful, Lifecycle::Running | Lifecycle::Suspended { .. }) => {
                self.intend(deadline(patience)).await
            }
            (StopMethod::Graceful | StopMethod::AcpiOff, Lifecycle::Stopping { deadline, .. }) => {
                // Under way already; a restart under way becomes a stop.
                self.intend(Lifecycle::Stopping { deadline: *deadline, then_start: false }).await
            }
            (
                StopMethod::PowerOff,
                Lifecycle::Running | Lifecycle::Stopping { .. } | Lifecycle::Suspended { .. } | Lifecycle::Hibernating,
            ) => self.intend(deadline(Duration::ZERO)).await,
            _ => Err(self.conflict("stop")),
        }
    }

    async fn accept_restart(&mut self, method: RestartMethod) -> Result<(), NodeError> {
        if self.record.lifecycle != Lifecycle::Running {
            return Err(self.conflict("restart"));
        }
        match method {
            RestartMethod::Warm => self.reset().await,
            RestartMethod::Cold => self.intend(self.restart_within(Duration::ZERO)).await,
            RestartMethod::Graceful => self.intend(self.restart_within(self.means.options.graceful_deadline)).await,
        }
    }

    fn restart_within(&self, patience: Duration) -> Lifecycle {
        Lifecycle::Stopping { deadline: now() + millis(patience), then_start: true }
    }

    fn conflict(&self, asked: &'static str) -> NodeError {
        let state = match &self.record.lifecycle {
            Lifecycle::Hibernating => "hibernating".to_owned(),
            Lifecycle::Hibernated => "hibernated".to_owned(),
            _ => format!("{:?}", self.card.facts().state).to_lowercase(),
        };
        NodeError::Conflict { asked, id: self.record.id.clone(), state }
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
            (Lifecycle::Suspended { .. }, true) => self.freeze().await,
            (Lifecycle::Hibernating, true) => self.follow_hibernation().await,
            (Lifecycle::Hibernated, true) => self.switch_off().await,
            _ => {}
        }
        self.follow_copy().await;
        self.follow_volume_copy().await;
    }

    async fn start(&mut self) {
        match switch_on(&self.means, &self.directory, &mut self.record).await {
            Ok(run) => {
                self.run = Some(run);
                self.record.lifecycle = Lifecycle::Running;
                self.finish_interfaces().await;
            }
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
        // One that is frozen cannot hear.
        self.wake_up().await?;
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
        self.order(command, Value::Null).await.map(drop)
    }

    /// Lets QEMU do something.
    async fn order(&mut self, command: &'static str, arguments: Value) -> Result<Value, NodeError> {
        let failed = |problem: String| NodeError::Qemu { id: self.record.id.clone(), problem };
        match &mut self.run {
            Some(run) => run.order(command, arguments).await.map_err(|error| failed(error.to_string())),
            None => Err(failed("it does not run".into())),
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
        if self.record.lifecycle == Lifecycle::Hibernating {
            self.follow_hibernation().await;
        }
        self.follow_copy().await;
        self.follow_volume_copy().await;
        self.show().await;
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
            // Or one that was killed before it could let a frozen or restored guest go on.
            Some("prelaunch" | "paused" | "postmigrate") => true,
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
}

/// Milliseconds since 1970: deadlines must mean the same to the next driver.
fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
