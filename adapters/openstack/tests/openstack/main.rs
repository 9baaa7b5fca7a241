//! The adapter against a recorded OpenStack, and against a real one where there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod creates;
mod faults;
mod lists;
mod login;
mod options;
mod real;
mod recorded;
