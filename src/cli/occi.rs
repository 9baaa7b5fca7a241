use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use occi_check::{Credentials, Mode, Options, Selection};
use tokio::signal::unix::{SignalKind, signal};

/// What `tombolo occi` can do.
#[derive(Subcommand)]
pub enum OcciCommand {
    /// Test any OCCI server against the numbered rules of the documents, from outside
    #[command(after_help = "\
It makes computes, networks, storages and mixins on the server, and removes them at its end, also after Ctrl-C. \
Whole collections are emptied only with --destructive, or when they hold nothing that others made.

The last line of the text report is the summary: rules kept of those that say something about this server.
Exit status: 0 when every MUST and every rule of interoperability is kept, 1 when not, 2 when the server could not \
be tested.")]
    Check(CheckArgs),
}

/// What `tombolo occi check` takes.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// The server's address, such as <http://127.0.0.1:8787>
    url: String,
    /// Who asks: none, basic:USER:PASSWORD, bearer:TOKEN, token:TOKEN (X-Auth-Token), or @FILE that holds one of these
    #[arg(long, env = "TOMBOLO_OCCI_AUTH", hide_env_values = true, default_value = "none")]
    auth: String,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    report: ReportFormat,
    /// Where the report is written, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these checks, such as C-001,C-084..C-121
    #[arg(long, value_name = "NUMBERS")]
    only: Option<String>,
    /// Only these sections of the list, such as A,M
    #[arg(long, value_name = "LETTERS")]
    section: Option<String>,
    /// Whom to follow where documents and clients in use disagree: interop or strict
    #[arg(long, default_value = "interop")]
    mode: Mode,
    /// The OS template of new computes, as scheme#term; the first one offered when not given
    #[arg(long, value_name = "IDENTIFIER")]
    os_tpl: Option<String>,
    /// The size template of new computes, as scheme#term
    #[arg(long, value_name = "IDENTIFIER")]
    resource_tpl: Option<String>,
    /// Seconds that one request may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Seconds that a state may take to arrive
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
    /// Allow to empty whole collections, whoever made what is in them, and to leave a saved template behind
    #[arg(long)]
    destructive: bool,
    /// Certificates to trust besides the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Take any certificate for the server's
    #[arg(long)]
    insecure: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ReportFormat {
    /// For a terminal
    Text,
    /// One page for a browser
    Html,
    /// For programs
    Json,
}

pub async fn run(command: OcciCommand) -> anyhow::Result<()> {
    let OcciCommand::Check(args) = command;
    let status = match check(&args).await {
        Ok(is_conformant) => i32::from(!is_conformant),
        Err(error) => {
            eprintln!("tombolo: {error:#}");
            2
        }
    };
    // Scripts tell three ends apart, and nothing is left to be done.
    std::process::exit(status);
}

async fn check(args: &CheckArgs) -> anyhow::Result<bool> {
    let options = options(args)?;
    let report = occi_check::check(&options).await?;
    let text = match args.report {
        ReportFormat::Text => report.text(),
        ReportFormat::Html => report.html(),
        ReportFormat::Json => report.json(),
    };
    match &args.output {
        Some(file) => {
            std::fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}", report.summary());
        }
        None => std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write the report")?,
    }
    if !matches!(args.report, ReportFormat::Text) && args.output.is_none() && std::io::stderr().is_terminal() {
        eprintln!("{}", report.summary());
    }
    Ok(report.is_conformant())
}

fn options(args: &CheckArgs) -> anyhow::Result<Options> {
    let mut selection = Selection::default();
    if let Some(numbers) = &args.only {
        selection.add_numbers(numbers).map_err(|problem| anyhow::anyhow!("--only: {problem}"))?;
    }
    if let Some(letters) = &args.section {
        selection.add_sections(letters).map_err(|problem| anyhow::anyhow!("--section: {problem}"))?;
    }
    Ok(Options {
        credentials: credentials(&args.auth)?,
        mode: args.mode,
        selection,
        os_tpl: args.os_tpl.clone(),
        resource_tpl: args.resource_tpl.clone(),
        timeout: Duration::from_secs(args.timeout),
        patience: Duration::from_secs(args.patience),
        destructive: args.destructive,
        ca_file: args.ca_file.clone(),
        insecure: args.insecure,
        interrupted: interrupted_by_ctrl_c()?,
        ..Options::new(&args.url)?
    })
}

fn credentials(text: &str) -> anyhow::Result<Credentials> {
    let text = match text.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(Path::new(file)).with_context(|| format!("--auth: cannot read {file}"))?
        }
        None => text.to_owned(),
    };
    text.parse().map_err(|problem| anyhow::anyhow!("--auth: {problem}"))
}

/// A flag that Ctrl-C sets, so that what was made on the server is removed before the command ends.
fn interrupted_by_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        interrupt.recv().await;
        flag.store(true, Ordering::Relaxed);
    });
    Ok(interrupted)
}
