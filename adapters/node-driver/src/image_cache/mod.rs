//! Images that machines' disks start as: `<data_dir>/images/<digest>.raw`, read-only, shared by overlays.
//!
//! A file has its name only when its bytes were checked and are on disk; until then it is a temporary one, which
//! goes with whatever interrupts its making, a killed driver included.

mod link;
mod receive;

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use disk_image::{ContentDigest, LARGEST_DISK, SECTOR};
use futures_util::{Stream, StreamExt, pin_mut};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    NodeError, host,
    machine_directory::{make_private, sync_directory},
    turns::Turns,
};

/// How long a sender may pause.
const IDLE: Duration = Duration::from_secs(60);
const TEMPORARY: &str = ".incoming-";

/// The images at this node.
pub struct ImageCache {
    directory: PathBuf,
    disk_reserve_bytes: u64,
    turns: Turns<ContentDigest>,
}

impl ImageCache {
    /// Opens the directory, made if need be, and clears it of what was left unfinished.
    ///
    /// # Errors
    /// [`NodeError::File`] when the directory cannot be used.
    pub fn open(directory: PathBuf, disk_reserve_bytes: u64) -> Result<Arc<Self>, NodeError> {
        make_private(&directory)?;
        let failed = |source| NodeError::File { operation: "list", path: directory.clone(), source };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                fs::remove_file(entry.path()).map_err(NodeError::file("remove", entry.path()))?;
            }
        }
        Ok(Arc::new(Self { directory, disk_reserve_bytes, turns: Turns::default() }))
    }

    /// The file and its size in bytes, when the image is here.
    #[must_use]
    pub fn find(&self, digest: &ContentDigest) -> Option<(PathBuf, u64)> {
        let path = self.path_of(digest);
        let size = path.metadata().ok()?.len();
        Some((path, size))
    }

    /// Takes an image from a raw file on this host, by a hard link if possible.
    ///
    /// # Errors
    /// [`NodeError::BadImage`] when the file is not what the digest and the size say; [`NodeError::NoRoom`];
    /// [`NodeError::File`].
    pub async fn link(self: &Arc<Self>, digest: ContentDigest, size: u64, source: PathBuf) -> Result<(), NodeError> {
        let turn = self.turns.take(&digest).await;
        let cache = Arc::clone(self);
        blocking(move || {
            // Lives as long as the work, even if nobody waits for it any more.
            let _turn = turn;
            if cache.settled(digest, size)? {
                return Ok(());
            }
            cache.link_now(digest, size, &source)
        })
        .await
    }

    /// Takes an image from a stream of its raw bytes, compressed by zstd.
    ///
    /// # Errors
    /// As [`ImageCache::link`]; a stream that ends early or is no zstd is [`NodeError::BadImage`].
    pub async fn receive<E: std::fmt::Display>(
        self: &Arc<Self>,
        digest: ContentDigest,
        size: u64,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), NodeError> {
        let turn = self.turns.take(&digest).await;
        if self.settled(digest, size)? {
            return Ok(());
        }
        let (pieces, received) = mpsc::channel(4);
        let (done, outcome) = oneshot::channel();
        let cache = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // Nobody waits any more when the sender side is gone; then there is nobody to tell.
            let _ = done.send(cache.receive_now(digest, size, received));
        });
        pin_mut!(stream);
        let mut interrupted = None;
        loop {
            // A sender that is gone without a word must not keep the image's turn for ever.
            let Ok(next) = timeout(IDLE, stream.next()).await else {
                interrupted = Some(format!("nothing came for {} s", IDLE.as_secs()));
                break;
            };
            let Some(piece) = next else { break };
            match piece {
                Ok(piece) => {
                    if pieces.send(Some(piece)).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    interrupted = Some(error.to_string());
                    break;
                }
            }
        }
        if let Some(problem) = interrupted {
            drop(pieces);
            let _ = work.await;
            return Err(NodeError::BadImage { digest, problem: format!("its transfer broke off: {problem}") });
        }
        let _ = pieces.send(None).await;
        outcome.await.map_err(|_| NodeError::Internal("an image transfer was lost".into()))?
    }

    /// Removes the images that nobody in `used` names, and tells which.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn remove_unused(&self, used: &HashSet<ContentDigest>) -> Result<Vec<ContentDigest>, NodeError> {
        let failed = |source| NodeError::File { operation: "list", path: self.directory.clone(), source };
        let mut removed = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".raw"));
            let Some(digest) = name.and_then(|name| name.parse::<ContentDigest>().ok()) else { continue };
            if !used.contains(&digest) {
                fs::remove_file(&path).map_err(NodeError::file("remove", &path))?;
                removed.push(digest);
            }
        }
        sync_directory(&self.directory)?;
        Ok(removed)
    }

    /// Removes an image, after whatever brings it just now. One that is not here is a success.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub async fn remove(self: &Arc<Self>, digest: ContentDigest) -> Result<(), NodeError> {
        let turn = self.turns.take(&digest).await;
        let cache = Arc::clone(self);
        blocking(move || {
            let _turn = turn;
            let path = cache.path_of(&digest);
            match fs::remove_file(&path) {
                Ok(()) => sync_directory(&cache.directory),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(NodeError::file("remove", &path)(error)),
            }
        })
        .await
    }

    fn path_of(&self, digest: &ContentDigest) -> PathBuf {
        self.directory.join(format!("{digest}.raw"))
    }

    /// Whether the image is here already; an impossible announcement is an error.
    fn settled(&self, digest: ContentDigest, size: u64) -> Result<bool, NodeError> {
        let bad = |problem: String| Err(NodeError::BadImage { digest, problem });
        if size == 0 || !size.is_multiple_of(SECTOR) || size > LARGEST_DISK {
            return bad(format!("{size} bytes cannot be a disk: a multiple of 512 up to {LARGEST_DISK} can"));
        }
        match self.find(&digest) {
            Some((_, found)) if found == size => Ok(true),
            Some((_, found)) => bad(format!("it was announced with {size} bytes, and is here with {found}")),
            None => Ok(false),
        }
    }

    /// Refuses before the file system is full: running machines need what is left.
    fn ensure_room(&self, wanted: u64) -> Result<(), NodeError> {
        host::ensure_room(&self.directory, wanted, self.disk_reserve_bytes)
    }
}

/// A file in the making.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn new(directory: &Path) -> Result<Self, NodeError> {
        let path = directory.join(format!("{TEMPORARY}{}", uuid::Uuid::new_v4()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: file.map_err(NodeError::file("make", &path))?, path })
    }

    /// Gives the finished file its name.
    fn keep(self, size: u64, name: &Path) -> Result<(), NodeError> {
        let finish = || -> io::Result<()> {
            // A tail of zeros was skipped, not written.
            self.file.set_len(size)?;
            self.file.set_permissions(Permissions::from_mode(0o444))?;
            self.file.sync_all()?;
            fs::rename(&self.path, name)
        };
        finish().map_err(NodeError::file("write", &self.path))?;
        name.parent().map_or(Ok(()), sync_directory)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "a temporary file is left until the next start");
            }
            _ => {}
        }
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(NodeError::Internal(format!("work on the disk broke off: {error}"))))
}

#[cfg(test)]
mod tests;
