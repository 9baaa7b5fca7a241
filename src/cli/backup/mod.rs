//! Copies of the database, and back.

mod postgres;
mod sqlite;
mod unfinished;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};

use super::data_dir;
use crate::{
    config::Config,
    store::{
        Db, backup,
        event::{self, Fault, NewEvent, Verification},
    },
};

/// What `tombolo backup` takes.
#[derive(clap::Args)]
#[command(after_help = "\
Copies the database, also while the server runs. Images are not in it: copy the directory `images` of the data
directory as well, at any time after; its files never change.")]
pub struct BackupArgs {
    /// The new file
    file: PathBuf,
}

/// What `tombolo restore` takes.
#[derive(clap::Args)]
#[command(after_help = "\
Stop every server of the database first. What was made at the sites since the backup is not in it: the server finds it
when it starts again, and lists it as orphans.")]
pub struct RestoreArgs {
    /// What `tombolo backup` has written
    file: PathBuf,
    /// Restore it although its log of events is not as it was sealed
    #[arg(long)]
    despite_faults: bool,
}

pub async fn backup(config: &Config, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let exists = args.file.symlink_metadata().is_ok();
    ensure!(!exists, "{} exists already; name a new file", args.file.display());
    let address = config.database_address();
    let verification = match backup::sqlite_file(&address) {
        Some(database) => sqlite::backup(&database, &args.file).await?,
        None => Some(postgres::backup(config, &address, &args.file).await?),
    };
    let Some(verification) = verification else {
        println!("{}: a copy of a database that an older version has made", args.file.display());
        return Ok(ExitCode::SUCCESS);
    };
    let Verification { events, unsealed, last_seal, .. } = &verification;
    println!("{}: {} events, the last one sealed {last_seal}", args.file.display(), events + unsealed);
    let faults = faults(&verification);
    for fault in &faults {
        println!("{fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub async fn restore(config: &Config, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let shown = args.file.display();
    let found = args.file.metadata().with_context(|| format!("cannot read {shown}"))?;
    ensure!(found.is_file(), "{shown} is not a file");
    data_dir::prepare(&config.data_dir)?;
    let _ownership = data_dir::Ownership::take(&config.data_dir)?;
    let address = config.database_address();
    let kept = match backup::sqlite_file(&address) {
        Some(database) => sqlite::restore(&args.file, &database, args.despite_faults).await?,
        None => {
            postgres::restore(&address, &args.file).await?;
            None
        }
    };
    note_restored(config).await?;
    match kept {
        Some(former) => println!("restored {shown}; the former database is {}", former.display()),
        None => println!("restored {shown}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The log tells that it goes on from an older state. This is also the first time that the database is opened.
async fn note_restored(config: &Config) -> anyhow::Result<()> {
    let db: Db = data_dir::open_store(config).await.context("the restored database cannot be opened")?;
    db.write(|connection| {
        let mut event = NewEvent { kind: "database.restored", ..NewEvent::default() };
        event.body.insert("events".into(), event::last_position(connection)?.into());
        event::record(connection, &event)
    })
    .await?;
    Ok(())
}

/// What is wrong with a copy. Whether its events were sealed is nobody's matter until it is in use.
fn faults(verification: &Verification) -> Vec<String> {
    let of_log = verification.faults.iter().filter(|fault| !matches!(fault, Fault::Unsealed { .. }));
    of_log.map(ToString::to_string).chain(verification.differences.iter().map(ToString::to_string)).collect()
}

/// The directory that a file is in.
fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
