//! The node driver against a real QEMU, under TCG. Tests that start one have `qemu` in their names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod door;
mod faults;
mod findings;
mod guests;
mod leaks;
mod life;
mod networks;
mod node;
mod real_guest;
mod resize;
mod save;
mod survival;
mod suspend;
mod volumes;
