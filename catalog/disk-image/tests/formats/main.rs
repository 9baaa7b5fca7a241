//! Readers and writers against an independent judge: `qemu-img`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod hostile;
mod mutation;
mod opening;
mod overlay;
mod qemu;
mod raw;
mod readers;
mod sample;
