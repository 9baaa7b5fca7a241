use std::{io, path::PathBuf};

use disk_image::{ContentDigest, ImageError};
use thiserror::Error;

/// Why the store cannot do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The image that is to be imported, or a stored one, cannot be read. An import that was
    /// [cancelled](ImageError::Cancelled) is reported so, too.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image has no bytes.
    #[error("the image is empty: it has no disk to store")]
    Empty,
    /// The image is beyond what this store takes.
    #[error("the image's disk has {size} bytes, and this store takes at most {most}")]
    TooLarge {
        /// The guest-visible size, in bytes.
        size: u64,
        /// The bound, in bytes.
        most: u64,
    },
    /// Whoever sends the bytes failed on the way.
    #[error("the image did not come to its end: {0}")]
    Interrupted(#[source] io::Error),
    /// What came is not what was announced.
    #[error("{received} bytes came of a disk of {size}")]
    Incomplete {
        /// What came, in bytes.
        received: u64,
        /// What was announced, in bytes.
        size: u64,
    },
    /// There is no room, by space or by quota.
    #[error("no room in the image store {}; free some space or remove images ({source})", root.display())]
    Full {
        /// The store's directory.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No such image.
    #[error("the image store has no image {0}")]
    Absent(ContentDigest),
    /// Stored bytes are not any more what was stored.
    #[error("the stored image {digest} is damaged (its bytes are now {found}); remove it and import it again")]
    Damaged {
        /// Which image.
        digest: ContentDigest,
        /// The digest of the bytes found.
        found: ContentDigest,
    },
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
