//! What goes through the door: JSON bodies of the node's HTTP interface.

use backend::{
    Architecture, BackendError, CopyPurpose, IntentTag, MachineJoins, MachineSpec, RestartMethod, SaveMethod,
    StopMethod, SuspendMethod,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `Content-Type` of an image or a saved disk that is sent: its raw bytes, compressed by zstd.
pub const PACKED_IMAGE: &str = "application/zstd";
/// The header of an answer to `POST /machines/{id}/save` that holds the size of the raw bytes.
pub const DISK_SIZE: &str = "tombolo-disk-size";

/// Body of `POST /machines`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMachine {
    /// The intent that asks.
    pub tag: IntentTag,
    /// For people.
    pub name: String,
    /// The guest's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Virtual cores.
    pub cores: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Least size of the root disk, in bytes.
    pub disk_bytes: u64,
    /// The guest's architecture.
    pub architecture: Architecture,
    /// What the root disk starts as.
    pub image: ContentDigest,
    /// OpenSSH public keys.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// User data, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// What it is joined with from its first moment.
    #[serde(default)]
    pub joins: MachineJoins,
}

/// User data that is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("user_data must be base64")]
pub struct InvalidUserData;

impl From<MachineSpec> for NewMachine {
    fn from(spec: MachineSpec) -> Self {
        Self {
            tag: spec.tag,
            name: spec.name,
            hostname: spec.hostname,
            cores: spec.cores,
            memory_mib: spec.memory_mib,
            disk_bytes: spec.disk_bytes,
            architecture: spec.architecture,
            image: spec.image,
            ssh_keys: spec.ssh_keys,
            user_data: spec.user_data.map(|data| STANDARD.encode(data)),
            joins: spec.joins,
        }
    }
}

impl TryFrom<NewMachine> for MachineSpec {
    type Error = InvalidUserData;

    fn try_from(wanted: NewMachine) -> Result<Self, InvalidUserData> {
        let user_data = wanted.user_data.map(|data| STANDARD.decode(data)).transpose().map_err(|_| InvalidUserData)?;
        Ok(Self {
            tag: wanted.tag,
            name: wanted.name,
            hostname: wanted.hostname,
            cores: wanted.cores,
            memory_mib: wanted.memory_mib,
            disk_bytes: wanted.disk_bytes,
            architecture: wanted.architecture,
            image: wanted.image,
            ssh_keys: wanted.ssh_keys,
            user_data,
            joins: wanted.joins,
        })
    }
}

/// Body of `POST /machines/{id}/stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Stop {
    /// How.
    #[serde(default)]
    pub method: StopMethod,
}

/// Body of `POST /machines/{id}/restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Restart {
    /// How.
    #[serde(default)]
    pub method: RestartMethod,
}

/// Body of `POST /machines/{id}/suspend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Suspend {
    /// How.
    #[serde(default)]
    pub method: SuspendMethod,
}

/// Body of `POST /machines/{id}/save`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Save {
    /// How.
    #[serde(default)]
    pub method: SaveMethod,
}

/// Body of `POST /volumes/{id}/online`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Online {
    /// In use, or out of it.
    pub online: bool,
}

/// Body of `POST /volumes/{id}/resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeSize {
    /// Capacity, in bytes.
    pub size_bytes: u64,
}

/// Body of `POST /volumes/{id}/copies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCopy {
    /// The intent that asks.
    pub tag: IntentTag,
    /// What for.
    pub purpose: CopyPurpose,
}

/// Body of `POST /networks/{id}/up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Up {
    /// Whether the network carries traffic.
    pub up: bool,
}

/// Query of `GET /machines`, `GET /volumes` and `GET /networks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Selection {
    /// Only the one that carries this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<IntentTag>,
}

/// Query of `GET /images/{digest}`: with a size, only whether the image is here with it; without, its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSize {
    /// Guest-visible size, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Query of `PUT /images/{digest}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Guest-visible size, in bytes.
    pub size: u64,
}

/// JSON body of `PUT /images/{digest}`, on a Unix socket only: the image lies on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageLink {
    /// An absolute path of a raw file that never changes.
    pub link: String,
}

/// Answer to `DELETE /images/unused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedImages {
    /// The images that are gone.
    pub removed: Vec<ContentDigest>,
}

/// What kind of failure an answer tells of: the variants of [`BackendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// [`BackendError::Unreachable`].
    Unreachable,
    /// [`BackendError::Unauthorized`].
    Unauthorized,
    /// [`BackendError::Refused`].
    Refused,
    /// [`BackendError::Capacity`].
    Capacity,
    /// [`BackendError::Unsupported`].
    Unsupported,
    /// [`BackendError::NotFound`].
    NotFound,
    /// [`BackendError::Conflict`].
    Conflict,
    /// [`BackendError::Failed`].
    Failed,
}

/// Body of every answer that tells of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What to do next follows from it.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        let (kind, message) = match error {
            BackendError::Unreachable(message) => (FailureKind::Unreachable, message),
            BackendError::Unauthorized(message) => (FailureKind::Unauthorized, message),
            BackendError::Refused(message) => (FailureKind::Refused, message),
            BackendError::Capacity(message) => (FailureKind::Capacity, message),
            BackendError::Unsupported(message) => (FailureKind::Unsupported, message),
            BackendError::NotFound(message) => (FailureKind::NotFound, message),
            BackendError::Conflict(message) => (FailureKind::Conflict, message),
            BackendError::Failed(message) => (FailureKind::Failed, message),
        };
        Self { kind, message }
    }
}

impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::Unauthorized => Self::Unauthorized,
            FailureKind::Refused => Self::Refused,
            FailureKind::Capacity => Self::Capacity,
            FailureKind::Unsupported => Self::Unsupported,
            FailureKind::NotFound => Self::NotFound,
            FailureKind::Conflict => Self::Conflict,
            FailureKind::Failed => Self::Failed,
        };
        kind(failure.message)
    }
}

#[cfg(test)]
mod tests {
    use backend::{Architecture, AttachmentSpec, IntentTag, MachineJoins, MachineSpec};
    use disk_image::ContentDigest;
    use uuid::Uuid;

    use super::NewMachine;

    #[test]
    fn a_machine_passes_the_wire_unchanged() {
        let spec = MachineSpec {
            tag: IntentTag(Uuid::from_u128(7)),
            name: "name".into(),
            hostname: None,
            cores: 2,
            memory_mib: 256,
            disk_bytes: 1 << 30,
            architecture: Architecture::X86_64,
            image: ContentDigest::from_bytes([3; 32]),
            ssh_keys: vec!["ssh-ed25519 AAAA".into()],
            user_data: Some(vec![0, 255, b'\n']),
            joins: MachineJoins {
                volumes: vec![AttachmentSpec {
                    tag: IntentTag(Uuid::from_u128(8)),
                    volume: "v-1".parse().unwrap(),
                    device: None,
                }],
                ..MachineJoins::default()
            },
        };
        let text = serde_json::to_string(&NewMachine::from(spec.clone())).unwrap();
        let back: NewMachine = serde_json::from_str(&text).unwrap();
        assert_eq!(MachineSpec::try_from(back).unwrap(), spec);
        assert!(serde_json::from_str::<NewMachine>(&text.replace("\"cores\"", "\"corse\"")).is_err());
    }
}
