//! The data directory: made private, and owned by one server at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, bail};

use crate::{config::Config, store::Db};

/// Makes the directory, readable by nobody else, unless it is there.
pub fn prepare(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(|| {
        format!("cannot make the data directory {}; choose another with --data-dir", directory.display())
    })
}

/// Opens the store of a data directory, for commands beside a running server.
pub async fn open_store(config: &Config) -> anyhow::Result<Db> {
    prepare(&config.data_dir)?;
    let address = config.database_address();
    tokio::task::spawn_blocking(move || Db::open(&address)).await?.map_err(Into::into)
}

/// The right to serve from a data directory; given back when it is dropped or the process dies.
pub struct Ownership {
    _lock: File,
}

impl Ownership {
    /// Takes the directory, unless another process serves from it.
    pub fn take(directory: &Path) -> anyhow::Result<Self> {
        Self::lock(&directory.join("serve.lock"), directory)
    }

    /// Takes a database that is a file somewhere else, unless another process serves with it.
    pub fn take_database(file: &Path) -> anyhow::Result<Self> {
        let mut lock = file.as_os_str().to_owned();
        lock.push(".serve.lock");
        Self::lock(Path::new(&lock), file)
    }

    fn lock(path: &Path, owned: &Path) -> anyhow::Result<Self> {
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = (&lock).take(20).read_to_string(&mut owner);
                bail!(
                    "another tombolo (process {}) serves from {}; stop it, or choose another directory with --data-dir",
                    owner.trim(),
                    owned.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { _lock: lock })
    }
}
