//! A simulator of OpenNebula's daemon, `oned` 7.4, for tests.
//!
//! It speaks XML-RPC on a port of its own, keeps everything in memory, writes its documents by forms that were cut from
//! recorded answers of a real daemon, and goes through the state sequences that were seen there. It is no OpenNebula:
//! nothing runs. What it leaves out stands in its README.

mod daemon;
pub mod faults;
mod form;
mod settings;
mod simulator;
mod template;
mod wire;

pub use daemon::events::DriverAction;
pub use settings::{Delays, Settings};
pub use simulator::{NewApp, Simulator};
