//! End to end: the real binary, spoken to over HTTP as clients do.

mod command_line;
mod compute;
mod durability;
mod faults;
mod login;
mod machine;
mod query;
mod server;
