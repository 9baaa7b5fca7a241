//! The speed of the OCCI door over a store of many computes, against a peer that answers fixed bytes in the same run:
//! the most that this web server could reach on this machine. `scripts/bench-occi` runs it.

#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that cannot go on ends, and says where")]

mod broker;
mod create;
mod listing;
mod load;
mod parsing;
mod peer;
#[allow(dead_code, reason = "shared with bench-dispatch")]
mod process;
mod read;
mod report;
mod wire;

use std::time::Duration;

use clap::Parser;

use crate::{broker::Broker, peer::Peer, report::Report};

/// Measures the OCCI door.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many computes the store holds
    #[arg(long, default_value_t = 20_000)]
    computes: usize,
    /// How long each round of a measurement takes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds of each measurement, of both sides in turn; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    rounds: u64,
    /// Connections that read at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    readers: u16,
    /// Connections that create at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    writers: u16,
    /// Only these parts: parse, get, latency, list, create
    #[arg(long, value_delimiter = ',', value_parser = ["parse", "get", "latency", "list", "create"])]
    only: Vec<String>,
    /// Print one JSON document instead of the text
    #[arg(long)]
    json: bool,
    /// The program to measure
    #[arg(long, value_name = "FILE")]
    program: Option<std::path::PathBuf>,
    /// Serve as the peer, with the answer in this file
    #[arg(long, hide = true)]
    peer: Option<std::path::PathBuf>,
}

impl Arguments {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// What is given, or what was built beside this program.
    fn program(&self) -> std::path::PathBuf {
        self.program
            .clone()
            .unwrap_or_else(|| std::env::current_exe().expect("the path of this program").with_file_name("tombolo"))
    }

    fn round(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(answer) = &arguments.peer {
        return peer::serve(answer);
    }
    let about = format!("medians of {} rounds of {} s, both sides in turn", arguments.rounds, arguments.seconds);
    let mut report = Report::new(arguments.json, &about);
    if arguments.wants("parse") {
        parsing::measure(&mut report);
    }
    if ["get", "latency", "list", "create"].iter().any(|part| arguments.wants(part)) {
        measure_server(&arguments, &mut report);
    }
    report.print(arguments.json);
}

fn measure_server(arguments: &Arguments, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut broker = Broker::start(&arguments.program());
    let filling = runtime.block_on(broker.fill(arguments.computes));
    filling.report(&broker, report);
    let peer = Peer::start(&broker);
    if arguments.wants("get") {
        read::throughput(&runtime, arguments, &broker, &peer, report);
    }
    if arguments.wants("latency") {
        read::latency(arguments, &broker, &peer, report);
    }
    if arguments.wants("list") {
        listing::measure(arguments, &broker, report);
    }
    // Last, since it changes what is listed and read.
    if arguments.wants("create") {
        create::measure(&runtime, arguments, &broker, &peer, report);
    }
}
