//! The contract between the broker and every kind of backend.
//!
//! A *backend* manages the machines of one site. The broker reaches it through an adapter, which is an
//! implementation of [`Backend`]. Adapters report facts (states, addresses, limits) and know nothing of OCCI.
//!
//! The calls that change a machine *ask* for the change and return; [`Backend::machine`] shows when it has
//! happened. That is how every manager in the field behaves, and it keeps waiting, pacing and deadlines in one
//! place: the broker's dispatch.

mod address;
mod contract;
mod description;
mod error;
mod image;
mod listing;
mod machine;
mod name;
mod network;
pub mod request;
mod security_group;
pub mod simulator;
pub mod suite;
mod volume;

pub use address::{AddressSpec, Addresses, ReservedAddress};
pub use contract::Backend;
pub use description::{Description, Limits};
pub use error::{BackendError, InvalidName};
pub use image::{ImageOffer, ImageSource, Progress};
pub use listing::{Listing, MalformedList};
pub use machine::{
    Architecture, Console, Endpoint, IntentTag, Machine, MachineSize, MachineSpec, MachineState, RestartMethod,
    SaveMethod, SavedDisk, StopMethod, SuspendMethod,
};
pub use name::{AddressId, MachineId, NetworkId, SecurityGroupId, VolumeId};
pub use network::{
    Interface, InterfaceSpec, InterfaceTarget, MacAddress, Network, NetworkSpec, NetworkState, Networks, Subnet,
};
pub use security_group::{Direction, Protocol, Rule, SecurityGroup, SecurityGroupSpec, SecurityGroups};
pub use volume::{Attachment, AttachmentSpec, CopyPurpose, Volume, VolumeSpec, VolumeState, Volumes};
