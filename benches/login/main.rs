//! What it costs to know who asks: the same GET without and with credentials, at the same rate, in the same run.
//! `scripts/bench-login` runs it.

#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that cannot go on ends, and says where")]

mod cost;
mod credentials;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/load.rs"]
mod load;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/process.rs"]
mod process;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/report.rs"]
mod report;
mod server;
mod way;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/wire.rs"]
mod wire;

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::{credentials::Provider, report::Report, server::Server, way::Way};

/// Measures what it costs to know who asks.
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests a second
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rate: u32,
    /// How long each round takes, of each way of asking
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds, in each of which all ways have their turn; medians are shown
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=99))]
    rounds: u64,
    /// Only these ways of asking, beside the anonymous one
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Way>,
    /// Print one JSON document instead of the text
    #[arg(long)]
    json: bool,
    /// The program to measure
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl Arguments {
    /// The ways to be measured, the anonymous one first.
    fn ways(&self) -> Vec<Way> {
        let wanted = |way: &&Way| self.only.is_empty() || **way == Way::Anonymous || self.only.contains(way);
        Way::ALL.iter().filter(wanted).copied().collect()
    }

    fn round(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() {
    let arguments = Arguments::parse();
    // What is given, or what was built beside this program.
    let program = arguments
        .program
        .clone()
        .unwrap_or_else(|| std::env::current_exe().expect("the path of this program").with_file_name("tombolo"));
    let about = format!("{} rounds of {} s, all ways in turn", arguments.rounds, arguments.seconds);
    let mut report = Report::new(arguments.json, &about);
    let provider = arguments.ways().contains(&Way::Jwt).then(Provider::start);
    let server = Server::start(&program, provider.as_ref());
    for way in arguments.ways() {
        server.check(way);
    }
    for question in server::QUESTIONS {
        cost::at_a_rate(&arguments, &server, question, &mut report);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for question in server::QUESTIONS {
        cost::at_full_speed(&runtime, &arguments, &server, question, &mut report);
    }
    report.print(arguments.json);
}
