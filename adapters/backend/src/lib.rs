//! The contract between the broker and every kind of backend.
//!
//! A *backend* manages the machines of one site. The broker reaches it through an adapter, which is an
//! implementation of [`Backend`]. Adapters report facts (states, addresses, limits) and know nothing of OCCI.
//!
//! The calls that change a machine *ask* for the change and return; [`Backend::machine`] shows when it has
//! happened. That is how every manager in the field behaves, and it keeps waiting, pacing and deadlines in one
//! place: the broker's dispatch.

mod address;
mod capability;
mod console;
mod contract;
mod description;
mod error;
mod events;
mod finding;
mod image;
mod listing;
mod machine;
mod name;
mod network;
mod particulars;
mod quota;
pub mod request;
mod security_group;
pub mod simulator;
mod site_image;
mod snapshot;
pub mod suite;
mod volume;

pub use address::{AddressSpec, Addresses, ReservedAddress};
pub use capability::{Capabilities, Capability};
pub use console::{ConsoleKind, ConsoleTicket};
pub use contract::Backend;
pub use description::{Description, Limits};
pub use error::{BackendError, InvalidName};
pub use events::{Change, Events};
pub use finding::{Finding, Verdict};
pub use image::{ImageOffer, ImageSource, Progress, Rendering};
pub use listing::{Listing, MalformedList};
pub use machine::{
    Architecture, Console, Endpoint, IntentTag, Machine, MachineJoins, MachineSize, MachineSpec, MachineState,
    RestartMethod, SaveMethod, SavedDisk, StopMethod, SuspendMethod,
};
pub use name::{AddressId, MachineId, NetworkId, SecurityGroupId, SnapshotId, VolumeId};
pub use network::{
    Interface, InterfaceSpec, InterfaceTarget, MacAddress, Network, NetworkSpec, NetworkState, Networks, Subnet,
};
pub use particulars::{Firmware, HostFacts, OfferedNetwork, Particulars, Price, Priced, SizeOffer};
pub use quota::{Quota, QuotaEntry, QuotaResource};
pub use security_group::{Direction, Protocol, Rule, SecurityGroup, SecurityGroupSpec, SecurityGroups};
pub use site_image::{SiteImage, SiteImageState};
pub use snapshot::{Snapshot, Snapshots};
pub use volume::{Attachment, AttachmentSpec, CopyPurpose, Volume, VolumeSpec, VolumeState, Volumes};
