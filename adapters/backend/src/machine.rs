use std::{fmt, io, str::FromStr};

use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use uuid::Uuid;

use crate::{AttachmentSpec, InterfaceSpec, MachineId, SecurityGroupId};

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
    /// What it is joined with from its first moment.
    #[serde(default)]
    pub joins: MachineJoins,
}

/// What a machine is joined with when it is made. Each join carries its own tag, and can be asked for again, seen and
/// undone by the calls that join machines later. A backend that cannot join at a create joins right after it; one that
/// cannot do that either refuses the create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineJoins {
    /// Interfaces. Where there is none, the backend gives the machine its usual network, if it has one.
    pub interfaces: Vec<InterfaceSpec>,
    /// Volumes.
    pub volumes: Vec<AttachmentSpec>,
    /// Security groups.
    pub security_groups: Vec<SecurityGroupId>,
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
    /// What it is called for people, if the backend remembers: at most [`Machine::MOST_NAME_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded_name")]
    pub name: Option<String>,
    /// How large it was ordered, and since then made, if the backend remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<MachineSize>,
}

impl Machine {
    /// The longest name that is read, in bytes.
    pub const MOST_NAME_BYTES: usize = 1024;
}

/// A longer name is no name but an attack or a defect.
fn bounded_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let most = Machine::MOST_NAME_BYTES;
    match name.as_ref().map(String::len).filter(|length| *length > most) {
        Some(length) => Err(D::Error::custom(format!("a name of {length} bytes, {most} are the most"))),
        None => Ok(name),
    }
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

impl MachineState {
    /// Whether it stays so until somebody asks for something else.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        !matches!(self, Self::Building | Self::Stopping)
    }
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

/// How to suspend (OCCI's values of `method`, GFD.224 section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum SuspendMethod {
    /// Keep the memory in memory.
    #[default]
    Suspend,
    /// Keep the memory on disk, and give the host's memory back.
    Hibernate,
}

/// How to save the root disk as a new image (OCCI's values of `method`, GFD.224 section 3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum SaveMethod {
    /// While the machine goes on running: the disk as after a power cut at this moment.
    #[default]
    Hot,
    /// With the machine switched off meanwhile, if it runs: a disk at rest.
    Deferred,
}

/// How large a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSize {
    /// Virtual cores, at least 1.
    pub cores: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Least size of the root disk, in bytes. A disk never shrinks.
    pub disk_bytes: u64,
}

/// The bytes of a saved root disk, as its guest saw them.
pub struct SavedDisk {
    /// How many there are.
    pub size: u64,
    /// All of them from the first to the last, in chunks of at most 1 MiB. Dropping it ends the save and leaves nothing
    /// behind at the backend.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

impl fmt::Debug for SavedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedDisk").field("size", &self.size).finish_non_exhaustive()
    }
}
