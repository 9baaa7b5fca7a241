//! Our own node driver, seen from the broker: the driver's HTTP interface as a [`backend::Backend`].

mod client;
mod node_backend;
mod packing;

pub use client::NodeAddress;
pub use node_backend::NodeBackend;
