//! What callers ask for. The answer is the `Result` of the call, in JSON.

use disk_image::ContentDigest;
use serde::{Deserialize, Serialize};

use crate::{
    AddressId, AddressSpec, AttachmentSpec, BackendError, ConsoleKind, CopyPurpose, IntentTag, InterfaceSpec,
    MachineId, MachineSize, MachineSpec, NetworkId, NetworkSpec, RestartMethod, Rule, SaveMethod, SecurityGroupId,
    SecurityGroupSpec, SnapshotId, StopMethod, SuspendMethod, VolumeId, VolumeSpec,
    request::RequestId,
    simulator::{Command, Operation},
};

pub(super) type Answer<T> = Result<T, BackendError>;

/// A call, and on whose behalf it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) request: Option<RequestId>,
    pub(super) call: Call,
}

/// The calls of the contract, and those of tests.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    Describe,
    HoldImage {
        digest: ContentDigest,
        size: u64,
    },
    FindImage(ContentDigest),
    DeleteImage(ContentDigest),
    Create(Box<MachineSpec>),
    Machine(MachineId),
    FindByTag(IntentTag),
    Machines,
    Start(MachineId),
    Stop(MachineId, StopMethod),
    Restart(MachineId, RestartMethod),
    Suspend(MachineId, SuspendMethod),
    Resize(MachineId, MachineSize),
    Save(MachineId, SaveMethod),
    Console(MachineId, ConsoleKind),
    Quota,
    TakeSnapshot(MachineId, IntentTag),
    Snapshots(MachineId),
    RevertSnapshot(MachineId, SnapshotId),
    RemoveSnapshot(MachineId, SnapshotId),
    Delete(MachineId),
    CreateVolume(VolumeSpec),
    Volume(VolumeId),
    FindVolumeByTag(IntentTag),
    Volumes,
    SetVolumeOnline(VolumeId, bool),
    ResizeVolume(VolumeId, u64),
    CopyVolume(VolumeId, CopyPurpose, IntentTag),
    DeleteVolume(VolumeId),
    Attach(MachineId, AttachmentSpec),
    Detach(MachineId, IntentTag),
    CreateNetwork(NetworkSpec),
    Network(NetworkId),
    FindNetworkByTag(IntentTag),
    Networks,
    SetNetworkUp(NetworkId, bool),
    ChangeNetwork(NetworkId, NetworkSpec),
    DeleteNetwork(NetworkId),
    Plug(MachineId, InterfaceSpec),
    Unplug(MachineId, IntentTag),
    ReserveAddress(AddressSpec),
    Address(AddressId),
    FindAddressByTag(IntentTag),
    ReleaseAddress(AddressId),
    CreateSecurityGroup(SecurityGroupSpec),
    SecurityGroup(SecurityGroupId),
    FindSecurityGroupByTag(IntentTag),
    ChangeSecurityGroup(SecurityGroupId, Vec<Rule>),
    DeleteSecurityGroup(SecurityGroupId),
    ApplySecurityGroup(MachineId, SecurityGroupId),
    LiftSecurityGroup(MachineId, SecurityGroupId),
    /// Which optional parts of the contract there are.
    Parts,
    Obey(Command),
    Inventory,
    Objects,
    MachineSpec(IntentTag),
    LastRequest(Operation),
}

/// A saved disk: zeros, with a mark at the begin of the last sector.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) size: u64,
    pub(super) mark: String,
}
