//! The fault harness with processes: real servers that are killed, stopped and starved, over a simulated site that
//! outlives them. Its sibling within one process is `src/dispatch/faults`; `scripts/faults` runs both and adds up what
//! they print.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod accepted;
mod clocks;
mod consumers;
mod database;
mod failing_database;
mod invariants;
mod killed;
mod moment;
mod overload;
mod paused;
mod repeated;
mod restored;
mod seed;
mod silent;
mod world;

#[path = "../tombolo/client.rs"]
mod client;
#[path = "../tombolo/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "shared with the other tests, which need more of it")]
#[path = "../tombolo/server.rs"]
mod server;
