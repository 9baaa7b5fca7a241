//! The adapter, spoken to by the contract suite, against a real Tombolo and against simulators of other servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod chain;
mod contract;
mod dialects;
mod door;
mod tombolo;
