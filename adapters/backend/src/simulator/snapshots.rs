//! Snapshots of machines.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Operation, Simulator, State, unknown};
use crate::{
    BackendError, Capability, IntentTag, InvalidName, Listing, MachineId, MachineState, Snapshot, SnapshotId, Snapshots,
};

pub(super) struct SimulatedSnapshot {
    pub(super) id: SnapshotId,
    pub(super) tag: IntentTag,
    pub(super) complete_at: Instant,
    /// The machine's at that moment.
    pub(super) state: MachineState,
}

impl SimulatedSnapshot {
    pub(super) fn facts(&self, now: Instant) -> Snapshot {
        Snapshot { id: self.id.clone(), tag: self.tag, is_complete: self.complete_at <= now }
    }
}

impl State {
    fn take_snapshot(&mut self, machine: &MachineId, tag: IntentTag, now: Instant) -> Result<Snapshot, BackendError> {
        self.behaviour.must(Capability::Snapshots)?;
        let complete_at = now + self.behaviour.delays.snapshot;
        let idempotent = self.behaviour.idempotent_create;
        let one = self.machine_mut(machine)?;
        if let Some(existing) = one.snapshots.iter().find(|snapshot| snapshot.tag == tag && idempotent) {
            return Ok(existing.facts(now));
        }
        let name = format!("snap-{tag}-{}", one.snapshots.len());
        let id = name.try_into().map_err(|error: InvalidName| BackendError::Failed(error.to_string()))?;
        one.take_snapshot(id, tag, now, complete_at)
    }

    fn revert(&mut self, machine: &MachineId, id: &SnapshotId, now: Instant) -> Result<(), BackendError> {
        self.behaviour.must(Capability::Snapshots)?;
        let running_at = now + self.behaviour.delays.boot;
        let one = self.machine_mut(machine)?;
        let snapshot = one.snapshots.iter().find(|snapshot| snapshot.id == *id);
        let snapshot = snapshot.ok_or_else(|| unknown("a snapshot", id))?;
        if snapshot.complete_at > now {
            return Err(BackendError::Conflict(format!("snapshot {id} is not complete yet: wait for it")));
        }
        let state = snapshot.state;
        one.revert(state, running_at);
        self.tell_of_machine(machine);
        Ok(())
    }
}

#[async_trait]
impl Snapshots for Simulator {
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Result<Snapshot, BackendError> {
        self.perform(Operation::TakeSnapshot, |state, now| state.take_snapshot(machine, tag, now)).await
    }

    async fn snapshots(&self, machine: &MachineId) -> Result<Listing<Snapshot>, BackendError> {
        let list = |state: &mut State, now| {
            state.behaviour.must(Capability::Snapshots)?;
            Ok(state.machine(machine)?.snapshots.iter().map(|snapshot| snapshot.facts(now)).collect())
        };
        self.perform(Operation::Snapshots, list).await
    }

    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        self.perform(Operation::RevertSnapshot, |state, now| state.revert(machine, snapshot, now)).await
    }

    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        let remove = |state: &mut State, _| {
            state.behaviour.must(Capability::Snapshots)?;
            if let Ok(one) = state.machine_mut(machine) {
                one.snapshots.retain(|kept| kept.id != *snapshot);
            }
            Ok(())
        };
        self.perform(Operation::RemoveSnapshot, remove).await
    }
}
