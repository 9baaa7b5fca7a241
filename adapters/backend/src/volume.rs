//! Volumes: disks with a life of their own.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BackendError, IntentTag, Listing, MachineId, VolumeId};

/// The volume that the broker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The intent that asks.
    pub tag: IntentTag,
    /// For people.
    pub name: String,
    /// Capacity, in bytes, a multiple of 512.
    pub size_bytes: u64,
}

/// A backend's facts about one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The backend's own name for it.
    pub id: VolumeId,
    /// The intent that made it.
    pub tag: IntentTag,
    /// Where it stands.
    pub state: VolumeState,
    /// Capacity, in bytes.
    pub size_bytes: u64,
    /// More about the state, for people.
    pub detail: Option<String>,
}

/// Where a volume stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeState {
    /// Being made.
    Building,
    /// Ready for use.
    Online,
    /// Kept, and not to be used.
    Offline,
    /// Being copied or resized; it comes back to where it was.
    Busy,
    /// Cannot go on by itself.
    Failed,
}

/// What a copy of a volume is for (the 1.1 actions, GFD.184 section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyPurpose {
    /// To be put back after a loss.
    Backup,
    /// A point in time.
    Snapshot,
}

/// A volume in a machine, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentSpec {
    /// The intent that asks; it names the attachment.
    pub tag: IntentTag,
    /// Which volume.
    pub volume: VolumeId,
    /// The device that the client wishes for; the backend may choose another one.
    pub device: Option<String>,
}

/// A volume in a machine, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The intent that made it.
    pub tag: IntentTag,
    /// Which volume.
    pub volume: VolumeId,
    /// The device under which the guest sees it: `/dev/vdb`.
    pub device: String,
}

/// What the broker may ask of a backend that has volumes. The rules of [`crate::Backend`] hold; the calls that change
/// something ask for it, and [`Volumes::volume`] shows when it has happened.
#[async_trait]
pub trait Volumes: Send + Sync {
    /// Asks for a volume. One that carries the tag already is returned instead of a second one; one past the limits is
    /// a [`BackendError::Refused`]. It comes online by itself.
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError>;

    /// The present facts of one volume.
    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError>;

    /// The volume that carries this tag.
    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError>;

    /// All volumes that carry a tag of ours.
    async fn volumes(&self) -> Result<Listing<Volume>, BackendError>;

    /// Puts the volume into use, or out of it, which is a [`BackendError::Conflict`] while a machine has it. Where it
    /// is already, it is left alone.
    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError>;

    /// Asks for a capacity of this many bytes. A volume never shrinks: [`BackendError::Refused`]. A capacity that it
    /// has already is a success.
    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError>;

    /// Asks for a copy that stays at the backend. The same tag asks for the same copy, while it is made and after.
    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError>;

    /// Destroys the volume and its copies; an unknown one is a success, an attached one a
    /// [`BackendError::Conflict`].
    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError>;

    /// Puts the volume into the machine. The same tag again answers what is there. An offline volume, or one in another
    /// machine, is a [`BackendError::Conflict`].
    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError>;

    /// Takes the volume out of the machine; an unknown attachment or machine is a success.
    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError>;
}
