use std::{fmt, io, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use disk_image::{ContentDigest, ImageFormat};
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
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// A raw file on this very host that holds exactly the offered bytes and never changes. A backend on the same
    /// host may link it instead of copying.
    fn local_path(&self) -> Option<&Path>;

    /// All bytes from the first to the last, in chunks of at most 1 MiB.
    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>>;

    /// The image as a file of this format; `None` where it is not offered in that one. Raw bytes come by
    /// [`ImageSource::stream`] always.
    ///
    /// # Errors
    /// The image could not be read.
    async fn render(&self, _format: ImageFormat) -> io::Result<Option<Rendering>> {
        Ok(None)
    }
}

/// An image as a file of one format, which need not lie anywhere.
pub struct Rendering {
    /// The file's format.
    pub format: ImageFormat,
    /// The file's length, in bytes.
    pub length: u64,
    /// Where the file can be fetched, by ranges too, without any other credentials. It holds for some hours at least.
    pub url: Option<String>,
    /// All its bytes from the first to the last, in chunks of at most 1 MiB.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

// The URL is a credential.
impl fmt::Debug for Rendering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendering")
            .field("format", &self.format)
            .field("length", &self.length)
            .field("has_url", &self.url.is_some())
            .finish_non_exhaustive()
    }
}

/// Takes the number of bytes that are at the backend so far.
pub type Progress<'a> = dyn Fn(u64) + Send + Sync + 'a;
