//! The speed of dispatch, on both databases: light requests beside a queue, sagas a second, what they cost over the
//! backend's own time, how soon others take over, and memory. `scripts/bench-dispatch` runs it.

#![allow(clippy::expect_used, clippy::panic, reason = "a measurement that cannot go on ends, and says where")]

mod capacity;
mod database;
mod light;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/load.rs"]
mod load;
mod memory;
mod overhead;
mod postgres;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/process.rs"]
mod process;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/report.rs"]
mod report;
mod resume;
mod rig;
mod simulator;
mod throughput;
#[allow(dead_code, reason = "shared with bench-occi")]
#[path = "../occi/wire.rs"]
mod wire;

use std::path::PathBuf;

use clap::Parser;

use crate::{database::Kind, postgres::Postgres, report::Report, rig::Rig};

const PARTS: [&str; 5] = ["light", "throughput", "overhead", "resume", "memory"];

/// Measures dispatch.
#[derive(Debug, Parser)]
struct Arguments {
    /// On which database
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    database: Databases,
    /// Only these parts
    #[arg(long, value_delimiter = ',', value_parser = PARTS)]
    only: Vec<String>,
    /// How many creates the throughput is measured with
    #[arg(long, default_value_t = 6_000)]
    creates: usize,
    /// How many live entities memory is measured with
    #[arg(long, default_value_t = 20_000)]
    entities: usize,
    /// How many creates wait while light requests are measured
    #[arg(long, default_value_t = 1_000)]
    waiting: usize,
    /// Print one JSON document instead of the text
    #[arg(long)]
    json: bool,
    /// The program to measure
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

/// What every part of the measurement needs.
struct Bench<'a> {
    arguments: &'a Arguments,
    runtime: &'a tokio::runtime::Runtime,
    program: PathBuf,
    kind: Kind,
    postgres: Option<&'a Postgres>,
}

impl Bench<'_> {
    /// An empty database and what a server on it needs.
    fn rig(&self, name: &str, configuration: &str) -> Rig {
        Rig::new(&self.program, self.kind, self.postgres, name, configuration)
    }

    /// The name of a goal on this database.
    fn on(&self, what: &str) -> String {
        format!("{}: {what}", self.kind.name())
    }

    fn wants(&self, part: &str) -> bool {
        self.arguments.only.is_empty() || self.arguments.only.iter().any(|only| only == part)
    }
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let program = arguments
        .program
        .clone()
        .unwrap_or_else(|| std::env::current_exe().expect("the path of this program").with_file_name("tombolo"));
    let mut report = Report::new(arguments.json, "load, server and database share them");
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let is_wanted = match arguments.database {
            Databases::Sqlite => kind == Kind::Sqlite,
            Databases::Postgres => kind == Kind::Postgres,
            Databases::Both => true,
        };
        if !is_wanted {
            continue;
        }
        let postgres = (kind == Kind::Postgres).then(Postgres::start);
        let bench = Bench {
            arguments: &arguments,
            runtime: &runtime,
            program: program.clone(),
            kind,
            postgres: postgres.as_ref(),
        };
        measure(&bench, &mut report);
    }
    report.print(arguments.json);
}

fn measure(bench: &Bench<'_>, report: &mut Report) {
    report.line(format!("\n{}", bench.kind.name()));
    if bench.wants("light") {
        light::measure(bench, report);
    }
    if bench.wants("throughput") {
        throughput::measure(bench, report);
    }
    if bench.wants("overhead") {
        overhead::measure(bench, report);
    }
    if bench.wants("resume") && bench.kind == Kind::Postgres {
        resume::measure(bench, report);
    }
    if bench.wants("memory") {
        memory::measure(bench, report);
    }
}
