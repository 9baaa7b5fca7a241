use std::{
    fs::{self, DirEntry, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use disk_image::Piece;

/// How the names of unfinished imports begin.
const PREFIX: &str = "incoming-";
/// Zeros are looked for in units of this, the block of most file systems.
const BLOCK: usize = 4096;
const MOST_NAMES_TRIED: u32 = 10_000;

/// An image on its way in: a file under a name of its own, locked as long as its process lives, and gone when this is
/// dropped before it is published.
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    at: u64,
}

impl Incoming {
    /// Makes and locks a new, empty file in the store's directory.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        for _ in 0..MOST_NAMES_TRIED {
            let name = format!("{PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = root.join(name);
            let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Another process may sweep between the two calls; then the name is gone, and we take the next one.
            let locked = file.try_lock();
            if is_at(&file, &path)? && locked.is_ok() {
                return Ok(Self { file, path, at: 0 });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name for a new file is free"))
    }

    /// Appends a piece of the guest's disk, and leaves holes for zeros.
    pub(crate) fn append(&mut self, piece: Piece<'_>) -> io::Result<()> {
        if let Piece::Data(bytes) = piece {
            self.append_data(bytes)?;
        }
        self.at += piece.length();
        Ok(())
    }

    fn append_data(&self, bytes: &[u8]) -> io::Result<()> {
        let mut pending = 0..0;
        for (index, block) in bytes.chunks(BLOCK).enumerate() {
            let start = index * BLOCK;
            if is_zero(block) {
                continue;
            }
            if pending.end != start {
                self.write(bytes, pending)?;
                pending = start..start;
            }
            pending.end = start + block.len();
        }
        self.write(bytes, pending)
    }

    fn write(&self, bytes: &[u8], part: std::ops::Range<usize>) -> io::Result<()> {
        self.file.write_all_at(&bytes[part.clone()], self.at + part.start as u64)
    }

    /// Makes everything durable, and gives the file its lasting name.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        self.file.set_len(self.at)?;
        self.file.set_permissions(Permissions::from_mode(0o444))?;
        self.file.sync_all()?;
        // From here on there is nothing under the old name, so that the drop finds nothing to remove.
        fs::rename(&self.path, path)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // When it fails, the next opening of the store sweeps it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the unfinished imports of processes that are no more. Those of living ones are locked, and stay.
pub(crate) fn sweep(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_file() {
            sweep_one(&entry)?;
        }
    }
    Ok(())
}

fn sweep_one(entry: &DirEntry) -> io::Result<()> {
    let path = entry.path();
    let file = match File::open(&path) {
        // Published or removed since the directory was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) if is_at(&file, &path)? => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the open file is still the one under this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_zero(block: &[u8]) -> bool {
    // Words of 16 bytes are compared several at a time by the processor's vector unit.
    let (words, rest) = block.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
