//! What everybody may know of a machine, and how it is asked for something.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backend::{Console, Endpoint, Machine, MachineId, MachineState, RestartMethod, StopMethod};
use disk_image::ContentDigest;
use tokio::sync::{mpsc, oneshot, watch};

use super::means::Means;
use crate::{
    NodeError,
    machine_directory::{MachineDirectory, Record, VNC_SOCKET},
};

/// A machine as seen from outside its keeper.
pub(super) struct Card {
    pub(super) id: MachineId,
    pub(super) image: ContentDigest,
    tag: backend::IntentTag,
    facts: Mutex<Facts>,
    asks: mpsc::Sender<Ask>,
}

#[derive(Clone)]
pub(super) struct Facts {
    pub(super) state: MachineState,
    pub(super) detail: Option<String>,
    /// Where a running machine is reached.
    pub(super) ssh_port: Option<u16>,
    pub(super) heard: Option<watch::Receiver<bool>>,
}

/// What a keeper is asked for, and where it answers that it will be done.
pub(super) struct Ask {
    pub(super) wish: Wish,
    pub(super) answer: oneshot::Sender<Result<(), NodeError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Start,
    Stop(StopMethod),
    Restart(RestartMethod),
    /// Answered when nothing is left.
    Delete,
}

impl Wish {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Delete => "delete",
        }
    }
}

impl Card {
    pub(super) fn new(record: &Record, asks: mpsc::Sender<Ask>) -> Self {
        let facts = Facts { state: MachineState::Building, detail: None, ssh_port: None, heard: None };
        Self { id: record.id.clone(), image: record.image, tag: record.tag, facts: Mutex::new(facts), asks }
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn ask(&self, wish: Wish) -> Result<(), NodeError> {
        let (answer, answered) = oneshot::channel();
        // A keeper that is gone has deleted its machine, or the driver closes.
        let gone = |()| NodeError::UnknownMachine(self.id.clone());
        self.asks.send(Ask { wish, answer }).await.map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }

    pub(super) fn show(&self, means: &Means) -> Machine {
        let facts = self.facts().clone();
        let on = matches!(facts.state, MachineState::Running | MachineState::Stopping | MachineState::Suspended);
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
        }
    }
}
