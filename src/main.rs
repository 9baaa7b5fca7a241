//! Tombolo: one OCCI endpoint and one catalogue in front of many virtual machine managers.
//!
//! A request passes the rooms in this order: `http` (door), `login` (who), `broker` (what), `dispatch` (when),
//! an adapter (where). `store` is what is remembered.

mod broker;
mod cli;
mod config;
mod dispatch;
mod http;
mod login;
mod store;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("TOMBOLO_LOG").unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let is_read_by_a_person = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_read_by_a_person)
        .with_writer(std::io::stderr)
        .init();
    match cli::Cli::parse().run().await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("tombolo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
