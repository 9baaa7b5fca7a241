use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use disk_image::{ContentDigest, ContentHasher, DiskView, ImageFormat, Piece, content_digest, for_each_piece};

use crate::{
    StoreError,
    incoming::{Incoming, sweep},
};

const SUFFIX: &str = ".raw";
/// The unit of `st_blocks`, whatever the file system's own.
const STAT_BLOCK: u64 = 512;
/// The largest image that a store takes unless told otherwise, in bytes.
const LARGEST_IMAGE: u64 = 2 << 40;

/// Images in a local directory. Cheap to open, and free to be shared between threads.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
    largest_image: u64,
}

/// Facts about an image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// What it is named by.
    pub digest: ContentDigest,
    /// What a guest sees, in bytes.
    pub size: u64,
    /// What it takes in the store, in bytes.
    pub stored_bytes: u64,
    /// Where the store keeps it. Ask [`StoredImage::local_path`] for a file to be used.
    pub path: PathBuf,
}

impl StoredImage {
    /// A raw file on this host with exactly the image's bytes, if the store keeps one. It is read-only, and whoever
    /// holds it open or linked keeps it when the image is removed.
    #[must_use]
    pub fn local_path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

impl ImageStore {
    /// Opens the store in this directory, makes the directory if there is none (for its owner alone), and removes
    /// what imports of dead processes left.
    ///
    /// # Errors
    /// [`StoreError::File`] when the directory cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into(), largest_image: LARGEST_IMAGE };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&store.root)
            .map_err(|error| store.failed("make the image store", &store.root, error))?;
        sweep(&store.root).map_err(|error| store.failed("sweep the image store", &store.root, error))?;
        Ok(store)
    }

    /// The same store, for images of at most so many guest-visible bytes.
    #[must_use]
    pub fn largest_image(self, bytes: u64) -> Self {
        Self { largest_image: bytes, ..self }
    }

    /// Stores what the view shows, in one pass, and durably when this returns. An image that is there already is not
    /// stored again. `progress` is told the bytes done, and all.
    ///
    /// A failed import leaves nothing. To cancel one, let it read through a [`disk_image::Cancellable`].
    ///
    /// # Errors
    /// [`StoreError::Image`] when the view fails, [`StoreError::Empty`], [`StoreError::TooLarge`],
    /// [`StoreError::Full`], or [`StoreError::File`].
    pub fn import(&self, view: &dyn DiskView, progress: &dyn Fn(u64, u64)) -> Result<StoredImage, StoreError> {
        let size = view.size();
        if size == 0 {
            return Err(StoreError::Empty);
        }
        if size > self.largest_image {
            return Err(StoreError::TooLarge { size, most: self.largest_image });
        }
        let mut arrival = self.begin_arrival()?;
        for_each_piece(view, |offset, piece| {
            arrival.take(piece)?;
            progress(offset + piece.length(), size);
            Ok::<(), StoreError>(())
        })?;
        arrival.finish(size)
    }

    /// Stores the bytes of a disk as they come, in order; the last one ends it. Otherwise as [`ImageStore::import`].
    ///
    /// # Errors
    /// As for an import, and [`StoreError::Incomplete`] when there are more or less bytes than `size`.
    pub fn receive(
        &self,
        size: u64,
        chunks: impl IntoIterator<Item = io::Result<impl AsRef<[u8]>>>,
    ) -> Result<StoredImage, StoreError> {
        if size == 0 {
            return Err(StoreError::Empty);
        }
        if size > self.largest_image {
            return Err(StoreError::TooLarge { size, most: self.largest_image });
        }
        let mut arrival = self.begin_arrival()?;
        let mut received = 0;
        for chunk in chunks {
            let chunk = chunk.map_err(StoreError::Interrupted)?;
            let chunk = chunk.as_ref();
            received += chunk.len() as u64;
            if received > size {
                break;
            }
            arrival.take(Piece::Data(chunk))?;
        }
        if received != size {
            return Err(StoreError::Incomplete { received, size });
        }
        arrival.finish(size)
    }

    fn begin_arrival(&self) -> Result<Arrival<'_>, StoreError> {
        let incoming =
            Incoming::new(&self.root).map_err(|error| self.failed("write an image into", &self.root, error))?;
        Ok(Arrival { store: self, incoming, hasher: ContentHasher::default() })
    }

    /// The image's facts, or `None` when it is not here.
    ///
    /// # Errors
    /// [`StoreError::File`] when the system cannot tell.
    pub fn get(&self, digest: &ContentDigest) -> Result<Option<StoredImage>, StoreError> {
        let path = self.path_of(digest);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(StoredImage {
                digest: *digest,
                size: metadata.len(),
                stored_bytes: metadata.blocks() * STAT_BLOCK,
                path,
            })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("look at", &path, error)),
        }
    }

    /// All images, in the order of their digests.
    ///
    /// # Errors
    /// [`StoreError::File`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<StoredImage>, StoreError> {
        let failed = |error| self.failed("list", &self.root, error);
        let mut images = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).and_then(|text| text.parse().ok());
            if let Some(digest) = digest {
                images.extend(self.get(&digest)?);
            }
        }
        images.sort_unstable_by_key(|image| image.digest);
        Ok(images)
    }

    /// The image's bytes, as a guest sees them.
    ///
    /// # Errors
    /// [`StoreError::Absent`], or [`StoreError::Image`] when it cannot be opened.
    pub fn reader(&self, digest: &ContentDigest) -> Result<Box<dyn DiskView>, StoreError> {
        self.require(digest)?;
        Ok(disk_image::open(&self.path_of(digest), Some(ImageFormat::Raw))?)
    }

    /// Reads the whole image again. `progress` is told the bytes done, and all.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a byte has changed, [`StoreError::Absent`], or [`StoreError::Image`] when the
    /// bytes cannot be read.
    pub fn verify(&self, digest: &ContentDigest, progress: &dyn Fn(u64, u64)) -> Result<(), StoreError> {
        let found = content_digest(&*self.reader(digest)?, progress)?;
        if found == *digest { Ok(()) } else { Err(StoreError::Damaged { digest: *digest, found }) }
    }

    /// Removes the image, durably when this returns, and says whether there was one.
    ///
    /// # Errors
    /// [`StoreError::File`] when the system refuses.
    pub fn remove(&self, digest: &ContentDigest) -> Result<bool, StoreError> {
        let path = self.path_of(digest);
        self.forget_checksums(digest);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_root().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("remove", &path, error)),
        }
    }

    fn require(&self, digest: &ContentDigest) -> Result<StoredImage, StoreError> {
        self.get(digest)?.ok_or(StoreError::Absent(*digest))
    }

    pub(crate) fn checksums_path(&self, digest: &ContentDigest, format: ImageFormat) -> PathBuf {
        self.root.join(format!("{digest}.{format}.checksums"))
    }

    fn path_of(&self, digest: &ContentDigest) -> PathBuf {
        self.root.join(format!("{digest}{SUFFIX}"))
    }

    /// Makes names that came or went durable.
    fn sync_root(&self) -> Result<(), StoreError> {
        File::open(&self.root)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| self.failed("sync", &self.root, error))
    }

    pub(crate) fn failed(&self, operation: &'static str, path: &Path, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { root: self.root.clone(), source }
            }
            _ => StoreError::File { operation, path: path.to_owned(), source },
        }
    }
}

/// An image whose bytes are coming; nothing of it is left when this is dropped before its end.
struct Arrival<'a> {
    store: &'a ImageStore,
    incoming: Incoming,
    hasher: ContentHasher,
}

impl Arrival<'_> {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), StoreError> {
        self.hasher.update(piece);
        self.incoming.append(piece).map_err(|error| self.store.failed("write an image into", &self.store.root, error))
    }

    fn finish(self, size: u64) -> Result<StoredImage, StoreError> {
        let Self { store, incoming, hasher } = self;
        let digest = hasher.finish();
        // One of another length under this name is damaged, and is replaced.
        if let Some(stored) = store.get(&digest)?.filter(|stored| stored.size == size) {
            return Ok(stored);
        }
        let path = store.path_of(&digest);
        incoming.publish(&path).map_err(|error| store.failed("write an image into", &store.root, error))?;
        store.sync_root()?;
        store.require(&digest)
    }
}
