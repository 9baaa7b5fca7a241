use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use tokio::{signal, task::spawn_blocking};

use super::unfinished::Unfinished;
use crate::store::{Timestamp, backup, event::Verification};

pub async fn backup(database: &Path, file: &Path) -> anyhow::Result<Option<Verification>> {
    ensure!(database.exists(), "there is no database {} yet; `tombolo serve` makes it", database.display());
    let copy = Unfinished::make(file)?;
    let (from, to) = (database.to_owned(), copy.path().to_owned());
    let copying = spawn_blocking(move || {
        backup::copy_sqlite(&from, &to)?;
        backup::check_sqlite(&to)
    });
    let verification = tokio::select! {
        copied = copying => copied??,
        // The unfinished copy goes with this.
        _ = signal::ctrl_c() => bail!("cancelled; {} was not made", file.display()),
    };
    copy.finish()?;
    Ok(verification)
}

/// Answers where the former database is, if there was one.
pub async fn restore(file: &Path, database: &Path, despite_faults: bool) -> anyhow::Result<Option<PathBuf>> {
    let log = with_suffix(file, "-wal");
    ensure!(
        !log.exists(),
        "{} belongs to {}: it is a database in use, and not all of it is in the file; restore what `tombolo backup` \
         has written",
        log.display(),
        file.display()
    );
    let copy = Unfinished::make(database)?;
    let (from, to) = (file.to_owned(), copy.path().to_owned());
    // The copy is looked at, and not the file, which somebody might change in between.
    let verification = spawn_blocking(move || {
        let mut writing = OpenOptions::new().write(true).open(&to)?;
        io::copy(&mut fs::File::open(&from)?, &mut writing)?;
        anyhow::Ok(backup::check_sqlite(&to))
    })
    .await?
    .with_context(|| format!("cannot copy {}", file.display()))?
    .with_context(|| format!("{} cannot be restored; nothing was changed", file.display()))?;
    let faults = verification.as_ref().map(super::faults).unwrap_or_default();
    if let Some(first) = faults.first() {
        ensure!(
            despite_faults,
            "{}: {first}, and {} more faults; nothing was changed. Take another backup, or add --despite-faults",
            file.display(),
            faults.len() - 1
        );
    }
    let former = keep_former(database).await?;
    copy.replace()?;
    Ok(former)
}

/// Gives the present database another name besides its own, complete, so that the other one can take its place.
async fn keep_former(database: &Path) -> anyhow::Result<Option<PathBuf>> {
    let (log, index) = (with_suffix(database, "-wal"), with_suffix(database, "-shm"));
    let time = Timestamp::now().to_string().replace(['-', ':'], "");
    let former = with_suffix(database, &format!(".before-restore-{time}"));
    if !database.exists() {
        // Whoever has removed it may have left these, which would be taken for parts of the new one.
        for rest in [log, index] {
            remove(&rest)?;
        }
        return Ok(None);
    }
    let path = database.to_owned();
    match spawn_blocking(move || backup::settle_sqlite(&path)).await? {
        Ok(alone) => ensure!(
            alone,
            "another process has {} open; end it, and restore again. Nothing was changed",
            database.display()
        ),
        // Broken as it is, it is kept as it is.
        Err(error) => tracing::warn!(%error, "the present database cannot be read; it is kept as it is"),
    }
    fs::hard_link(database, &former).with_context(|| format!("cannot make {}", former.display()))?;
    if log.exists() {
        fs::rename(&log, with_suffix(&former, "-wal")).with_context(|| format!("cannot move {}", log.display()))?;
    }
    remove(&index)?;
    Ok(Some(former))
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path: OsString = path.into();
    path.push(suffix);
    path.into()
}
