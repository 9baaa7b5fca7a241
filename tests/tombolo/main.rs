//! End to end: the real binary, spoken to over HTTP as clients do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

mod backup;
mod browser;
mod canary;
mod client;
mod command_line;
mod compute;
mod conformance;
mod device;
mod durability;
mod event_log;
mod events;
mod faults;
mod health;
mod image;
mod image_door;
mod keystone;
mod link;
mod listening;
mod login;
mod login_bearer;
mod login_browser;
mod login_client;
mod login_flood;
mod login_membership;
mod login_provider;
mod machine;
mod marketplace;
mod metrics;
mod network;
mod people;
mod person;
mod postgres;
mod provider;
mod provider_rig;
mod query;
mod request_id;
mod school;
mod security_group;
mod server;
mod sites;
mod storage;
mod transcripts;
mod user_mixin;
