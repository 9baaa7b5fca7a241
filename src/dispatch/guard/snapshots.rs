use async_trait::async_trait;
use backend::{BackendError, IntentTag, Listing, MachineId, Snapshot, SnapshotId, Snapshots};

use super::{Guarded, call::Call, gone};

impl Guarded {
    fn its_snapshots(&self) -> Result<&dyn Snapshots, BackendError> {
        self.backend.snapshots().ok_or_else(|| gone("snapshots"))
    }
}

#[async_trait]
impl Snapshots for Guarded {
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Result<Snapshot, BackendError> {
        self.call(Call::TakeSnapshot, self.its_snapshots()?.take(machine, tag)).await
    }

    async fn snapshots(&self, machine: &MachineId) -> Result<Listing<Snapshot>, BackendError> {
        self.call(Call::Snapshots, self.its_snapshots()?.snapshots(machine)).await
    }

    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        self.call(Call::RevertSnapshot, self.its_snapshots()?.revert(machine, snapshot)).await
    }

    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError> {
        self.call(Call::RemoveSnapshot, self.its_snapshots()?.remove(machine, snapshot)).await
    }
}
