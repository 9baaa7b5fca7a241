use std::{path::PathBuf, sync::Arc};

use super::{
    line::Line,
    wire::{Answer, Call},
};
use crate::{
    IntentTag, MachineSpec,
    request::RequestId,
    simulator::{Command, Inventory, Operation, TaggedObject},
};

/// A simulator in another process, as tests see it: past the contract, and not subject to what was ordered. Every call
/// fails with [`crate::BackendError::Unreachable`] when nobody answers.
#[derive(Clone)]
pub struct SimulatorControl {
    line: Arc<Line>,
}

#[allow(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl SimulatorControl {
    /// Of the simulator behind this socket. Nothing is called yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self::over(Arc::new(Line::to(socket.into())))
    }

    pub(super) fn over(line: Arc<Line>) -> Self {
        Self { line }
    }

    /// See [`crate::simulator::Simulator::obey`].
    pub async fn obey(&self, command: Command) -> Answer<()> {
        self.line.call(Call::Obey(command)).await
    }

    /// Everything that can be counted, at one moment.
    pub async fn inventory(&self) -> Answer<Inventory> {
        self.line.call(Call::Inventory).await
    }

    /// All objects, by tag.
    pub async fn objects(&self) -> Answer<Vec<TaggedObject>> {
        self.line.call(Call::Objects).await
    }

    /// A machine as it was ordered, and since then resized; the oldest one of the tag.
    pub async fn machine_spec(&self, tag: IntentTag) -> Answer<Option<MachineSpec>> {
        self.line.call(Call::MachineSpec(tag)).await
    }

    /// On whose behalf the last call of an operation was, if it said so.
    pub async fn last_request(&self, operation: Operation) -> Answer<Option<RequestId>> {
        self.line.call(Call::LastRequest(operation)).await
    }
}
