//! Stored images, as backends are offered them.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use backend::{ImageOffer, ImageSource};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::stream::{self, BoxStream, StreamExt};
use image_store::{ImageStore, StoredImage};

const CHUNK: u64 = 1 << 20;

/// The image as an offer to a backend.
///
/// # Errors
/// In words: the store does not have it.
pub fn offer(store: &Arc<ImageStore>, digest: ContentDigest) -> Result<ImageOffer, String> {
    match store.get(&digest) {
        Ok(Some(image)) => {
            let size = image.size;
            Ok(ImageOffer { digest, size, source: Arc::new(Stored { image }) })
        }
        Ok(None) => Err(format!("image {digest} is not in the catalogue's store any more; publish it again")),
        Err(error) => Err(error.to_string()),
    }
}

struct Stored {
    image: StoredImage,
}

impl ImageSource for Stored {
    fn local_path(&self) -> Option<&Path> {
        Some(&self.image.path)
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let path = self.image.path.clone();
        let open = async move { in_background(move || std::fs::File::open(path)).await };
        stream::once(open)
            .flat_map(|opened| match opened {
                Ok(file) => stream::try_unfold(file, |file| in_background(move || next_chunk(file))).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }
}

fn next_chunk(file: std::fs::File) -> io::Result<Option<(Bytes, std::fs::File)>> {
    let mut chunk = Vec::new();
    (&file).take(CHUNK).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), file)))
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
