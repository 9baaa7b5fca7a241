//! What a backend can do beyond the least, declared so that nobody has to try.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// One thing that not every backend can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Freeze a machine with its memory in memory.
    Suspend,
    /// Freeze a machine with its memory on disk.
    Hibernate,
    /// Copy a root disk while the machine runs.
    SaveHot,
    /// Copy a root disk with the machine switched off meanwhile.
    SaveDeferred,
    /// Give a machine another size.
    Resize,
    /// Keep and restore points in a machine's time ([`crate::Snapshots`]).
    Snapshots,
    /// Show a machine's screen or serial line to somebody with a ticket.
    Console,
    /// Put SSH keys into a guest.
    SshKeys,
    /// Hand user data to a guest.
    UserData,
    /// Fetch an image by itself from a URL.
    ImageByUrl,
    /// Take a volume out of use and into use again.
    VolumeOffline,
    /// Enlarge a volume.
    VolumeResize,
    /// Copy a volume as a backup.
    VolumeBackup,
    /// Copy a volume as a snapshot.
    VolumeSnapshot,
    /// Give an interface the Ethernet address that a client wishes for.
    MacOfChoice,
    /// Give an interface the IP address that a client wishes for.
    AddressOfChoice,
    /// Give a network the VLAN that a client wishes for.
    VlanOfChoice,
    /// Switch a network off and on.
    NetworkDown,
    /// Change the addresses of a network that there is.
    NetworkReaddress,
    /// Reserve the very address that a client wishes for.
    ReservationOfChoice,
    /// Tell what a tenant may use and uses.
    Quota,
    /// Tell of changes without being asked ([`crate::Events`]).
    Events,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::Suspend,
        Self::Hibernate,
        Self::SaveHot,
        Self::SaveDeferred,
        Self::Resize,
        Self::Snapshots,
        Self::Console,
        Self::SshKeys,
        Self::UserData,
        Self::ImageByUrl,
        Self::VolumeOffline,
        Self::VolumeResize,
        Self::VolumeBackup,
        Self::VolumeSnapshot,
        Self::MacOfChoice,
        Self::AddressOfChoice,
        Self::VlanOfChoice,
        Self::NetworkDown,
        Self::NetworkReaddress,
        Self::ReservationOfChoice,
        Self::Quota,
        Self::Events,
    ];

    /// What a backend without it cannot do, to stand behind "cannot".
    #[must_use]
    pub fn deed(self) -> &'static str {
        match self {
            Self::Suspend => "suspend a machine in memory",
            Self::Hibernate => "suspend a machine to disk",
            Self::SaveHot => "save the disk of a running machine",
            Self::SaveDeferred => "save the disk of a machine that it switches off for it",
            Self::Resize => "resize a machine",
            Self::Snapshots => "keep snapshots of a machine",
            Self::Console => "show the console of a machine",
            Self::SshKeys => "put SSH keys into a guest",
            Self::UserData => "hand user data to a guest",
            Self::ImageByUrl => "fetch an image from a URL",
            Self::VolumeOffline => "take a volume out of use",
            Self::VolumeResize => "resize a volume",
            Self::VolumeBackup => "back up a volume",
            Self::VolumeSnapshot => "take a snapshot of a volume",
            Self::MacOfChoice => "give an interface an Ethernet address of choice",
            Self::AddressOfChoice => "give an interface an IP address of choice",
            Self::VlanOfChoice => "give a network a VLAN of choice",
            Self::NetworkDown => "switch a network off",
            Self::NetworkReaddress => "change the addresses of a network",
            Self::ReservationOfChoice => "reserve an address of choice",
            Self::Quota => "tell its quota",
            Self::Events => "tell of changes by itself",
        }
    }

    /// The refusal of a backend that has not got it.
    #[must_use]
    pub fn missing(self) -> crate::BackendError {
        crate::BackendError::Unsupported(self.deed().to_owned())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.deed())
    }
}

/// What a backend can do. A description that says nothing of it is of an older node driver, which could what the
/// contract demanded then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Whether the backend can.
    #[must_use]
    pub fn contain(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// All, in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = Capability> {
        self.0.iter().copied()
    }

    /// The same without these.
    #[must_use]
    pub fn without(mut self, missing: &[Capability]) -> Self {
        self.0.retain(|capability| !missing.contains(capability));
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        use Capability::{
            AddressOfChoice, Hibernate, MacOfChoice, NetworkDown, NetworkReaddress, Resize, SaveDeferred, SaveHot,
            SshKeys, Suspend, UserData, VlanOfChoice, VolumeBackup, VolumeOffline, VolumeResize, VolumeSnapshot,
        };
        Self::from_iter([
            Suspend,
            Hibernate,
            SaveHot,
            SaveDeferred,
            Resize,
            SshKeys,
            UserData,
            VolumeOffline,
            VolumeResize,
            VolumeBackup,
            VolumeSnapshot,
            MacOfChoice,
            AddressOfChoice,
            VlanOfChoice,
            NetworkDown,
            NetworkReaddress,
        ])
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}
