//! What is shown of a machine.

use backend::MachineState;

use super::{super::card::Facts, Keeper, Run};
use crate::machine_directory::Lifecycle;

impl Keeper {
    /// Brings the card up to date, after a look at what the processors do.
    pub(super) async fn show(&mut self) {
        if let (Lifecycle::Running | Lifecycle::Suspended { .. }, Some(run)) = (&self.record.lifecycle, &mut self.run) {
            let status = run.status().await;
            self.processors = status;
        }
        self.announce();
    }

    /// Brings the card up to date with what is known.
    pub(in crate::driver) fn announce(&mut self) {
        let mut facts = Facts::before_all(&self.record);
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
            Lifecycle::Suspended { detail } => {
                // Until the processors stand still it is only meant to be.
                let frozen = self.processors.as_deref() != Some("running");
                facts.state = if frozen { MachineState::Suspended } else { MachineState::Running };
                facts.detail.clone_from(detail);
            }
            Lifecycle::Hibernated if self.run.is_none() => {
                facts.state = MachineState::Suspended;
                facts.detail = Some("its memory is on the disk".into());
            }
            Lifecycle::Hibernating | Lifecycle::Hibernated => {
                facts.state = MachineState::Running;
                facts.detail = Some("its memory is being written to the disk".into());
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
