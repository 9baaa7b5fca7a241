//! The contract between the broker and every kind of backend.
//!
//! A *backend* manages the machines of one site. The broker reaches it through an adapter, which is an
//! implementation of [`Backend`]. Adapters report facts (states, addresses, limits) and know nothing of OCCI.
//!
//! The calls that change a machine *ask* for the change and return; [`Backend::machine`] shows when it has
//! happened. That is how every manager in the field behaves, and it keeps waiting, pacing and deadlines in one
//! place: the broker's dispatch.

mod contract;
mod description;
mod error;
mod image;
mod machine;
pub mod simulator;
pub mod suite;

pub use contract::Backend;
pub use description::{Description, Limits};
pub use error::{BackendError, InvalidName};
pub use image::{ImageOffer, ImageSource, Progress};
pub use machine::{
    Architecture, Console, Endpoint, IntentTag, Machine, MachineId, MachineSpec, MachineState, RestartMethod,
    StopMethod,
};
