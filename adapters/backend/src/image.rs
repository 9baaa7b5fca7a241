use std::{fmt, io, path::Path, sync::Arc};

use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::stream::BoxStream;

/// An image that the broker can hand over.
#[derive(Clone)]
pub struct ImageOffer {
    /// The digest of what a guest sees; the backend names its copy by it.
    pub digest: ContentDigest,
    /// Guest-visible size, in bytes.
    pub size: u64,
    /// Where the bytes come from.
    pub source: Arc<dyn ImageSource>,
}

impl fmt::Debug for ImageOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageOffer").field("digest", &self.digest).field("size", &self.size).finish_non_exhaustive()
    }
}

/// The bytes of an offered image, as a guest sees them.
pub trait ImageSource: Send + Sync {
    /// A raw file on this very host that holds exactly the offered bytes and never changes. A backend on the same
    /// host may link it instead of copying.
    fn local_path(&self) -> Option<&Path>;

    /// All bytes from the first to the last, in chunks of at most 1 MiB.
    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>>;
}

/// Takes the number of bytes that are at the backend so far.
pub type Progress<'a> = dyn Fn(u64) + Send + Sync + 'a;
