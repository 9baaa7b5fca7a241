use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// A file beside the one that it becomes, readable by nobody else, and gone unless it does.
pub struct Unfinished {
    path: PathBuf,
    becomes: PathBuf,
}

impl Unfinished {
    /// Makes it, empty.
    pub fn make(becomes: &Path) -> anyhow::Result<Self> {
        let Some(name) = becomes.file_name() else { bail!("{} is no name of a file", becomes.display()) };
        let name = format!(".{}.unfinished-{}", name.to_string_lossy(), std::process::id());
        let path = super::directory(becomes).join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot make a file in {}", super::directory(becomes).display()))?;
        Ok(Self { path, becomes: becomes.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, unless there is a file of that name.
    pub fn finish(self) -> anyhow::Result<()> {
        self.sync()?;
        renameat_with(CWD, &self.path, CWD, &self.becomes, RenameFlags::NOREPLACE)
            .map_err(io::Error::from)
            .with_context(|| format!("cannot make {}", self.becomes.display()))?;
        self.sync_directory()
    }

    /// Puts it in the place of the file of its name, in one step.
    pub fn replace(self) -> anyhow::Result<()> {
        self.sync()?;
        std::fs::rename(&self.path, &self.becomes)
            .with_context(|| format!("cannot replace {}", self.becomes.display()))?;
        self.sync_directory()
    }

    fn sync(&self) -> anyhow::Result<()> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn sync_directory(&self) -> anyhow::Result<()> {
        let directory = super::directory(&self.becomes);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.with_context(|| format!("cannot write {}", directory.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has another name by now, if all went well.
        let _ = std::fs::remove_file(&self.path);
    }
}
