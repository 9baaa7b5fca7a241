//! Our own node driver, seen from the broker: the driver's HTTP interface as a [`backend::Backend`].

mod check;
mod client;
mod network;
mod node_backend;
mod packing;
mod unpacking;
mod volume;

pub use client::NodeAddress;
pub use node_backend::NodeBackend;
