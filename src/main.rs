//! Tombolo: one OCCI endpoint and one catalogue in front of many virtual machine managers.
//!
//! A request passes the rooms in this order: `http` (door), `login` (who), `broker` (what), `dispatch` (when),
//! an adapter (where). `store` is what is remembered, `shelf` what is handed out of images,
//! `download` what is fetched from strangers. `log`, `measured` and `request` are for those who watch.

mod broker;
mod cli;
mod config;
mod dispatch;
mod download;
mod http;
mod log;
mod login;
mod measured;
mod request;
mod shelf;
mod store;
mod trust;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Cli::parse().run().await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("tombolo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
