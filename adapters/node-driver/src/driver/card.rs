//! What everybody may know of a machine, and how it is asked for something.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backend::{
    Attachment, AttachmentSpec, Console, CopyPurpose, Endpoint, IntentTag, Interface, InterfaceSpec, Machine,
    MachineId, MachineSize, MachineState, RestartMethod, SaveMethod, StopMethod, SuspendMethod,
};
use disk_image::ContentDigest;
use tokio::sync::{mpsc, oneshot, watch};

use super::means::Means;
use crate::{
    NodeError,
    machine_directory::{MachineDirectory, Record, VNC_SOCKET},
    saved_disk::Saved,
};

/// A machine as seen from outside its keeper.
pub(super) struct Card {
    pub(super) id: MachineId,
    pub(super) image: ContentDigest,
    tag: IntentTag,
    name: String,
    facts: Mutex<Facts>,
    asks: mpsc::Sender<Ask>,
}

#[derive(Clone)]
pub(super) struct Facts {
    pub(super) state: MachineState,
    pub(super) detail: Option<String>,
    pub(super) size: MachineSize,
    /// Where a running machine is reached.
    pub(super) ssh_port: Option<u16>,
    pub(super) heard: Option<watch::Receiver<bool>>,
}

/// Where a keeper answers.
pub(super) type Answer<T> = oneshot::Sender<Result<T, NodeError>>;

/// What a keeper is asked for.
pub(super) enum Ask {
    /// Answered when it will be done.
    Change { wish: Wish, answer: Answer<()> },
    /// Answered when the copy is complete.
    Save { method: SaveMethod, answer: Answer<Saved> },
    /// Answered when the volume is in.
    Attach { spec: AttachmentSpec, answer: Answer<Attachment> },
    /// Of an attachment; answered when the copy is complete.
    CopyVolume { tag: IntentTag, purpose: CopyPurpose, copy: IntentTag, answer: Answer<()> },
    /// Answered when the interface is in.
    Plug { spec: InterfaceSpec, answer: Answer<Interface> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop(StopMethod),
    Restart(RestartMethod),
    Suspend(SuspendMethod),
    Resize(MachineSize),
    /// Answered when the volume is out.
    Detach(IntentTag),
    /// Answered when the interface is out.
    Unplug(IntentTag),
    /// Of an attachment.
    GrowVolume {
        tag: IntentTag,
        size_bytes: u64,
    },
    /// Answered when nothing is left.
    Delete,
}

impl Facts {
    /// What is known of a machine before anybody has looked.
    pub(super) fn before_all(record: &Record) -> Self {
        let size = record.hardware.size();
        Self { state: MachineState::Building, detail: None, size, ssh_port: None, heard: None }
    }
}

impl Card {
    pub(super) fn new(record: &Record, asks: mpsc::Sender<Ask>) -> Self {
        let facts = Mutex::new(Facts::before_all(record));
        Self { id: record.id.clone(), image: record.image, tag: record.tag, name: record.name.clone(), facts, asks }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn change(&self, wish: Wish) -> Result<(), NodeError> {
        self.ask(|answer| Ask::Change { wish, answer }).await
    }

    pub(super) async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, NodeError> {
        let (answer, answered) = oneshot::channel();
        // A keeper that is gone has deleted its machine, or the driver closes.
        let gone = |()| NodeError::UnknownMachine(self.id.clone());
        self.asks.send(ask(answer)).await.map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }

    pub(super) fn show(&self, means: &Means) -> Machine {
        let facts = self.facts().clone();
        let shown = matches!(facts.state, MachineState::Running | MachineState::Stopping | MachineState::Suspended);
        // One that hibernates has no QEMU.
        let on = shown && facts.ssh_port.is_some();
        let host = means.options.advertised_host.clone();
        let endpoint = facts.ssh_port.filter(|_| on).map(|port| Endpoint {
            service: "ssh".into(),
            host: host.unwrap_or_else(|| means.options.forward_host.to_string()),
            port,
        });
        let screen = MachineDirectory::of(&means.machines, &self.id).file(VNC_SOCKET);
        Machine {
            id: self.id.clone(),
            tag: self.tag,
            state: facts.state,
            detail: facts.detail,
            endpoints: endpoint.into_iter().collect(),
            console: on.then(|| Console::VncSocket { path: screen.to_string_lossy().into_owned() }),
            guest_answers: Some(on && facts.heard.is_some_and(|heard| *heard.borrow())),
            name: Some(self.name.clone()),
            size: Some(facts.size),
        }
    }
}
