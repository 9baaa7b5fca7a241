use std::{io, path::PathBuf};

use backend::{BackendError, MachineId, NetworkId, VolumeId};
use disk_image::{ContentDigest, ImageError};
use thiserror::Error;

/// What can go wrong on a node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Another driver keeps the machines of this directory.
    #[error("another node driver already works in {}: stop it, or use another data directory", .0.display())]
    DataDirectoryTaken(PathBuf),
    /// The operating system refused an operation on a file.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The root disk could not be made.
    #[error("cannot make the disk: {0}")]
    Disk(#[from] ImageError),
    /// The request itself is wrong.
    #[error("{0}")]
    Refused(String),
    /// No QEMU on this host.
    #[error("{0}")]
    HypervisorMissing(String),
    /// No room at present.
    #[error("{0}")]
    NoRoom(String),
    /// No such volume here.
    #[error("a volume named {0}")]
    UnknownVolume(VolumeId),
    /// The volume's state forbids the request.
    #[error("cannot {asked} volume {id}: it is {state}")]
    VolumeConflict {
        /// What was asked, as a verb.
        asked: &'static str,
        /// Of which volume.
        id: VolumeId,
        /// How it is, and what to do.
        state: String,
    },
    /// No such network here.
    #[error("a network named {0}")]
    UnknownNetwork(NetworkId),
    /// The network's state forbids the request.
    #[error("cannot {asked} network {id}: it is {state}")]
    NetworkConflict {
        /// What was asked, as a verb.
        asked: &'static str,
        /// Of which network.
        id: NetworkId,
        /// How it is, and what to do.
        state: String,
    },
    /// No such machine here.
    #[error("a machine named {0}")]
    UnknownMachine(MachineId),
    /// The image was not provided yet.
    #[error("image {0}; provide it first")]
    UnknownImage(ContentDigest),
    /// A machine rests on the image.
    #[error("image {digest} is under the disk of machine {machine}: delete the machine first")]
    ImageInUse {
        /// Which image.
        digest: ContentDigest,
        /// Which machine, or one of them.
        machine: MachineId,
    },
    /// The machine's state forbids the request.
    #[error("cannot {asked} machine {id}: it is {state}")]
    Conflict {
        /// What was asked, as a verb.
        asked: &'static str,
        /// Of which machine.
        id: MachineId,
        /// What it is doing.
        state: String,
    },
    /// The image's bytes are not what was announced.
    #[error("image {digest}: {problem}")]
    BadImage {
        /// As announced.
        digest: ContentDigest,
        /// What is wrong.
        problem: String,
    },
    /// QEMU did not become a running machine.
    #[error("QEMU for machine {id}: {problem}")]
    Qemu {
        /// Whose QEMU.
        id: MachineId,
        /// What happened, with QEMU's own last words.
        problem: String,
    },
    /// The driver is being closed.
    #[error("the node driver is closing; ask again when it runs")]
    Closing,
    /// A defect of the driver.
    #[error("{0}")]
    Internal(String),
}

impl NodeError {
    /// For `map_err` on a file operation.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }

    fn is_full(&self) -> bool {
        let full =
            |source: &io::Error| matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            Self::File { source, .. } | Self::Disk(ImageError::File { source, .. }) => full(source),
            _ => false,
        }
    }
}

impl From<&NodeError> for BackendError {
    fn from(error: &NodeError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_full() => Self::Capacity(format!("no disk space on the node: {message}")),
            NodeError::Refused(_) | NodeError::HypervisorMissing(_) => Self::Refused(message),
            NodeError::NoRoom(_) => Self::Capacity(message),
            NodeError::UnknownMachine(_)
            | NodeError::UnknownVolume(_)
            | NodeError::UnknownNetwork(_)
            | NodeError::UnknownImage(_) => Self::NotFound(message),
            NodeError::Conflict { .. }
            | NodeError::VolumeConflict { .. }
            | NodeError::NetworkConflict { .. }
            | NodeError::ImageInUse { .. } => Self::Conflict(message),
            NodeError::Closing => Self::Unreachable(message),
            _ => Self::Failed(message),
        }
    }
}
