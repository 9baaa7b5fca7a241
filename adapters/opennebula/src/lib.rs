//! OpenNebula as a backend, over XML-RPC.
//!
//! Versions 5.12 to 7.x. `oned` is asked and answers at once; what its drivers do then shows in states, and every call
//! here that changes something ends when it shows.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them"))]

mod addresses;
mod check;
mod clock;
mod create;
mod delete;
mod describe;
mod document;
mod facts;
mod images;
mod interfaces;
mod life;
mod names;
mod networks;
mod oned;
mod opennebula_backend;
mod options;
mod pool;
mod quota;
#[cfg(test)]
mod recordings;
mod rpc;
mod rules;
mod save;
mod security_groups;
mod session;
mod site;
mod snapshots;
mod state;
mod subnet;
mod version;
mod volumes;
mod waiting;
mod xml;

pub use opennebula_backend::OpenNebulaBackend;
pub use options::{NewNetworks, OpenNebulaOptions, Visible};
