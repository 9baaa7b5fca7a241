use std::{fmt, str::FromStr};

use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::InvalidName;

/// The intent behind a create. It travels to the backend as the machine's tag, so that an unanswered call can be
/// found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IntentTag(pub Uuid);

impl fmt::Display for IntentTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IntentTag {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What the backend itself calls a machine: 1 to 128 characters of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineId(String);

impl MachineId {
    const MOST: usize = 128;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MachineId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // A leading dot would make `..` a legal name, and some backends use the name as a path segment.
        if text.is_empty() || text.len() > Self::MOST || text.starts_with('.') || !text.chars().all(plain) {
            return Err(InvalidName {
                what: "a machine's name",
                most: Self::MOST,
                allowed: "A-Z a-z 0-9 . _ -, not starting with a dot",
            });
        }
        Ok(Self(text))
    }
}

impl FromStr for MachineId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.to_owned().try_into()
    }
}

impl From<MachineId> for String {
    fn from(id: MachineId) -> Self {
        id.0
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A guest's processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86",
            Self::X86_64 => "x86_64",
        })
    }
}

/// The machine that the broker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// The intent that asks.
    pub tag: IntentTag,
    /// For people.
    pub name: String,
    /// The guest's own name, a DNS name; the backend chooses when there is none.
    pub hostname: Option<String>,
    /// Virtual cores, at least 1.
    pub cores: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Least size of the root disk, in bytes; a larger image stays as large as it is.
    pub disk_bytes: u64,
    /// The guest's architecture.
    pub architecture: Architecture,
    /// What the root disk starts as.
    pub image: ContentDigest,
    /// OpenSSH public keys, one line each, let in as the image's default user.
    pub ssh_keys: Vec<String>,
    /// Handed to the guest as it is: a script, a cloud-config, or anything that the guest understands.
    pub user_data: Option<Vec<u8>>,
}

/// A backend's facts about one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The backend's own name for it.
    pub id: MachineId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// Where it stands.
    pub state: MachineState,
    /// More about the state, for people; mandatory for [`MachineState::Failed`] in spirit.
    pub detail: Option<String>,
    /// Ways in that a client may use.
    pub endpoints: Vec<Endpoint>,
    /// How the screen is reached from the backend's host.
    pub console: Option<Console>,
    /// Whether the guest itself has been heard (an SSH banner); `None` when the backend cannot tell.
    pub guest_answers: Option<bool>,
}

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Being made or started.
    Building,
    /// Its processors run.
    Running,
    /// Asked to stop, still running.
    Stopping,
    /// Off, with its disk kept.
    Stopped,
    /// Frozen, memory kept.
    Suspended,
    /// Cannot go on by itself.
    Failed,
}

/// A way into the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The service: `ssh`.
    pub service: String,
    /// An address or name that the broker's clients can use.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A machine's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Console {
    /// VNC on a Unix socket of the backend's host.
    VncSocket {
        /// The socket's absolute path.
        path: String,
    },
}

/// How to stop (OCCI's values of `method`, GFD.224 section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum StopMethod {
    /// Ask the guest, and switch off when it has not stopped within the backend's deadline.
    #[default]
    Graceful,
    /// Ask the guest, and leave it at that.
    AcpiOff,
    /// Switch off.
    PowerOff,
}

/// How to restart (OCCI's values of `method`, GFD.224 section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum RestartMethod {
    /// Stop gracefully, then start.
    #[default]
    Graceful,
    /// Reset without power loss.
    Warm,
    /// Switch off, then on.
    Cold,
}
