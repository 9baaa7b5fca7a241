use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use disk_image::ImageFormat;
use serde::{Deserialize, Serialize};

use crate::{Architecture, BackendError, Capabilities, Capability, Description, Limits, QuotaResource};

/// How a [`super::Simulator`] behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// What it says of itself, and the limits, sizes and capabilities by which it goes.
    pub description: Description,
    /// Which optional parts of the contract it has.
    pub parts: Parts,
    /// The most that all machines together may have of something.
    pub quota: BTreeMap<QuotaResource, u64>,
    /// How long things take.
    pub delays: Delays,
    /// What fails, per operation, in this order.
    pub faults: BTreeMap<Operation, VecDeque<Fault>>,
    /// Whether one tag makes one object however often it is asked for; otherwise it makes another one each time.
    pub idempotent_create: bool,
    /// How long something new is neither listed nor found by its tag.
    pub listing_lag: Duration,
    /// How many entries of each list cannot be read.
    pub unreadable_in_lists: usize,
    /// Every call is [`BackendError::Unauthorized`].
    pub credentials_revoked: bool,
    /// Every call is [`BackendError::Unreachable`], at once.
    pub connections_refused: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            description: Description {
                software: "simulator".into(),
                hypervisor: "none, this backend is a simulator".into(),
                architectures: vec![Architecture::X86_64, Architecture::X86],
                image_formats: vec![ImageFormat::Raw],
                limits: Limits { cores: 64, memory_mib: 256 * 1024, disk_bytes: 1 << 42, volume_bytes: 1 << 42 },
                obstacle: None,
                // It has nothing to fetch with.
                capabilities: Capabilities::from_iter(Capability::ALL).without(&[Capability::ImageByUrl]),
                sizes: Vec::new(),
                particulars: crate::Particulars::default(),
            },
            parts: Parts::default(),
            quota: BTreeMap::new(),
            delays: Delays::default(),
            faults: BTreeMap::new(),
            idempotent_create: true,
            listing_lag: Duration::ZERO,
            unreadable_in_lists: 0,
            credentials_revoked: false,
            connections_refused: false,
        }
    }
}

impl Behaviour {
    /// What it says of itself, which follows from the parts that it has.
    pub(super) fn describe(&self) -> Description {
        let mut description = self.description.clone();
        if !self.parts.volumes {
            description.limits.volume_bytes = 0;
        }
        description.capabilities = description.capabilities.without(&self.parts.missing());
        description
    }

    pub(super) fn can(&self, capability: Capability) -> bool {
        self.description.capabilities.contain(capability) && !self.parts.missing().contains(&capability)
    }

    /// What cannot be is said at once.
    pub(super) fn must(&self, capability: Capability) -> Result<(), BackendError> {
        if self.can(capability) { Ok(()) } else { Err(capability.missing()) }
    }

    /// How a call is received: after which delay, and with which fault. Faults are not used up by callers that do not
    /// get in.
    pub(super) fn reception(&mut self, operation: Operation) -> Result<(Duration, Option<Fault>), BackendError> {
        if self.connections_refused {
            return Err(BackendError::Unreachable("the simulator refuses connections to order".into()));
        }
        let fault = if self.credentials_revoked {
            Some(Fault::Before(BackendError::Unauthorized("they were revoked to order".into())))
        } else {
            self.faults.get_mut(&operation).and_then(VecDeque::pop_front)
        };
        Ok((self.delays.call, fault))
    }
}

/// The optional parts of the contract; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// [`crate::Volumes`].
    pub volumes: bool,
    /// [`crate::Networks`].
    pub networks: bool,
    /// [`crate::Addresses`].
    pub addresses: bool,
    /// [`crate::SecurityGroups`].
    pub security_groups: bool,
    /// [`crate::Snapshots`].
    pub snapshots: bool,
    /// [`crate::Events`].
    pub events: bool,
}

impl Parts {
    /// Machines and nothing else.
    pub const NONE: Self = Self {
        volumes: false,
        networks: false,
        addresses: false,
        security_groups: false,
        snapshots: false,
        events: false,
    };

    /// What cannot be without these parts.
    pub(super) fn missing(self) -> Vec<Capability> {
        use Capability::{
            AddressOfChoice, Events, MacOfChoice, NetworkDown, NetworkReaddress, ReservationOfChoice, Snapshots,
            VlanOfChoice, VolumeBackup, VolumeOffline, VolumeResize, VolumeSnapshot,
        };
        [
            (self.volumes, &[VolumeOffline, VolumeResize, VolumeBackup, VolumeSnapshot][..]),
            (self.networks, &[MacOfChoice, AddressOfChoice, VlanOfChoice, NetworkDown, NetworkReaddress][..]),
            (self.addresses, &[ReservationOfChoice][..]),
            (self.snapshots, &[Snapshots][..]),
            (self.events, &[Events][..]),
        ]
        .into_iter()
        .filter(|(there, _)| !there)
        .flat_map(|(_, capabilities)| capabilities.iter().copied())
        .collect()
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self { volumes: true, networks: true, addresses: true, security_groups: true, snapshots: true, events: true }
    }
}

/// How long things take; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delays {
    /// Every call.
    pub call: Duration,
    /// The delivery of an image, on top.
    pub image: Duration,
    /// From a create or start to the running machine.
    pub boot: Duration,
    /// From a stop to the stopped machine, unless it is switched off hard.
    pub stop: Duration,
    /// From a suspend to the suspended machine.
    pub suspend: Duration,
    /// The saving of a disk, on top of the call.
    pub save: Duration,
    /// From the create, resize or copy of a volume to the volume that can be used.
    pub volume: Duration,
    /// From the create of a network to the network that is up.
    pub network: Duration,
    /// From the ask for a snapshot to the snapshot that is complete.
    pub snapshot: Duration,
}

/// The calls of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the call of the same name, of the part that its own name names")]
pub enum Operation {
    Describe,
    ProvideImage,
    FindImage,
    DeleteImage,
    Create,
    Machine,
    FindByTag,
    Machines,
    Start,
    Stop,
    Restart,
    Suspend,
    Resize,
    Save,
    Console,
    Quota,
    TakeSnapshot,
    Snapshots,
    RevertSnapshot,
    RemoveSnapshot,
    FollowEvents,
    Delete,
    CreateVolume,
    Volume,
    FindVolumeByTag,
    Volumes,
    SetVolumeOnline,
    ResizeVolume,
    CopyVolume,
    DeleteVolume,
    Attach,
    Detach,
    CreateNetwork,
    Network,
    FindNetworkByTag,
    Networks,
    SetNetworkUp,
    ChangeNetwork,
    DeleteNetwork,
    Plug,
    Unplug,
    ReserveAddress,
    Address,
    FindAddressByTag,
    ReleaseAddress,
    CreateSecurityGroup,
    SecurityGroup,
    FindSecurityGroupByTag,
    ChangeSecurityGroup,
    DeleteSecurityGroup,
    ApplySecurityGroup,
    LiftSecurityGroup,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Fails, and nothing has happened.
    Before(BackendError),
    /// Everything has happened, but the caller hears this.
    After(BackendError),
    /// Everything has happened, but the caller hears [`BackendError::Unreachable`].
    AnswerLost,
    /// Never answers, and nothing happens.
    Hang,
}
