//! The store as its users see it, with processes that die and disks that fill up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

mod disk;
mod faults;
mod images;
mod processes;
mod renderings;
