//! End to end: the real binary, spoken to over HTTP as clients do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod backup;
#[expect(dead_code, reason = "for the tests of the login doors")]
mod browser;
mod command_line;
mod compute;
mod conformance;
mod durability;
mod event_log;
mod events;
mod faults;
mod health;
mod image;
mod keystone;
mod link;
mod login;
mod machine;
mod metrics;
mod network;
mod postgres;
#[expect(dead_code, reason = "for the tests of the login doors")]
mod provider;
mod provider_rig;
mod query;
mod request_id;
mod security_group;
mod server;
mod storage;
mod transcripts;
mod user_mixin;
