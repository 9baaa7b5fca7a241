//! End to end: the real binary, spoken to over HTTP as clients do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod command_line;
mod compute;
mod durability;
mod faults;
mod login;
mod machine;
mod query;
mod server;
mod user_mixin;
