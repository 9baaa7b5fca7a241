//! Changes that a backend tells of by itself.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{BackendError, MachineId, NetworkId, VolumeId};

/// Something has changed; what it is like now, a look at it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum Change {
    /// A machine.
    Machine(MachineId),
    /// A volume.
    Volume(VolumeId),
    /// A network.
    Network(NetworkId),
    /// Changes were lost: everything is to be looked at.
    Lost,
}

/// What the broker may ask of a backend that tells of changes.
#[async_trait]
pub trait Events: Send + Sync {
    /// All changes from now on. The stream ends with its first error; what happened until it is followed again is
    /// lost, and found by looking.
    async fn follow(&self) -> Result<BoxStream<'static, Result<Change, BackendError>>, BackendError>;
}
