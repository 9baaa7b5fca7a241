//! Points in a machine's time to which it can go back.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BackendError, IntentTag, Listing, MachineId, SnapshotId};

/// A backend's facts about one snapshot of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The backend's own name for it, among those of its machine.
    pub id: SnapshotId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// Whether it is there already.
    pub is_complete: bool,
}

/// What the broker may ask of a backend that keeps snapshots of machines. The rules of [`crate::Backend`] hold.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Asks for a snapshot of disks, and of memory where the machine runs and the backend can. One that carries the
    /// tag already is returned instead of a second one.
    async fn take(&self, machine: &MachineId, tag: IntentTag) -> Result<Snapshot, BackendError>;

    /// All snapshots of the machine.
    async fn snapshots(&self, machine: &MachineId) -> Result<Listing<Snapshot>, BackendError>;

    /// Asks the machine to go back to the snapshot.
    async fn revert(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError>;

    /// Destroys the snapshot; an unknown one, or one of an unknown machine, is a success.
    async fn remove(&self, machine: &MachineId, snapshot: &SnapshotId) -> Result<(), BackendError>;
}
