//! Stored images, as backends are offered them.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use backend::{BackendError, ImageOffer, ImageSource, Rendering};
use bytes::Bytes;
use disk_image::{ContentDigest, ImageError, ImageFormat};
use futures_util::stream::{self, BoxStream, StreamExt};
use image_store::{StoreError, StoredImage};

use crate::shelf::{self, Destination, Shelf};

const CHUNK: u64 = 1 << 20;

/// The image as an offer to a site's backend.
///
/// # Errors
/// In words: the store does not have it.
pub fn offer(shelf: &Shelf, site: &Destination, digest: ContentDigest) -> Result<ImageOffer, String> {
    match shelf.store().get(&digest) {
        Ok(Some(image)) => {
            let size = image.size;
            let source = Stored { image, shelf: shelf.clone(), site: site.clone() };
            Ok(ImageOffer { digest, size, source: Arc::new(source) })
        }
        Ok(None) => Err(format!("image {digest} is not in the catalogue's store any more; publish it again")),
        Err(error) => Err(error.to_string()),
    }
}

struct Stored {
    image: StoredImage,
    shelf: Shelf,
    site: Destination,
}

#[async_trait]
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

    async fn render(&self, format: ImageFormat) -> io::Result<Option<Rendering>> {
        let (renderings, digest) = (self.shelf.renderings().clone(), self.image.digest);
        let opened = in_background(move || Ok(renderings.open(&digest, format))).await?;
        let rendered = match opened {
            Ok(rendered) => rendered,
            // A disk beyond what the format can have is offered in others still.
            Err(error) if is_unfit(&error) => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        let length = rendered.length();
        let url = self.shelf.url_for(&self.site, digest, format);
        Ok(Some(Rendering { format, length, url, bytes: shelf::read(rendered, 0..length) }))
    }
}

fn is_unfit(error: &StoreError) -> bool {
    matches!(error, StoreError::Image(ImageError::Unwritable { .. } | ImageError::Unsupported { .. }))
}

/// What a backend said about an image that it was to take, without the address that it may have been told.
pub fn without_tickets(error: BackendError) -> BackendError {
    let shown = |text: String| shelf::withhold(&text).into_owned();
    match error {
        BackendError::Unreachable(text) => BackendError::Unreachable(shown(text)),
        BackendError::Unauthorized(text) => BackendError::Unauthorized(shown(text)),
        BackendError::Refused(text) => BackendError::Refused(shown(text)),
        BackendError::Capacity(text) => BackendError::Capacity(shown(text)),
        BackendError::Unsupported(text) => BackendError::Unsupported(shown(text)),
        BackendError::NotFound(text) => BackendError::NotFound(shown(text)),
        BackendError::Conflict(text) => BackendError::Conflict(shown(text)),
        BackendError::Failed(text) => BackendError::Failed(shown(text)),
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

#[cfg(test)]
mod tests {
    use image_store::ImageStore;

    use super::*;
    use crate::login::secret::Secret;

    #[tokio::test]
    async fn an_offer_has_every_format_and_the_sites_own_address() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(ImageStore::open(directory.path()).unwrap());
        let image = store.receive(1 << 20, [Ok(vec![7; 1 << 20])]).unwrap();
        let config = "[images]\nurl = \"https://broker.example\"";
        let shelf = Shelf::new(Arc::clone(&store), Secret::from_bytes([7; 32]), &toml::from_str(config).unwrap());
        let lab = Destination { name: "lab".into(), image_url: None };
        let offer = offer(&shelf, &lab, image.digest).unwrap();
        for format in ImageFormat::ALL {
            let rendering = offer.source.render(format).await.unwrap().unwrap();
            let chunks: Vec<_> = rendering.bytes.map(Result::unwrap).collect().await;
            assert!(chunks.iter().all(|chunk| chunk.len() <= 1 << 20));
            assert_eq!(chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>(), rendering.length, "{format}");
            let url = rendering.url.unwrap();
            let (place, ticket) = url.split_once("?ticket=").unwrap();
            assert_eq!(place, format!("https://broker.example/images/{}.{format}", image.digest));
            assert_eq!(shelf.holder(ticket, image.digest, format), Some(shelf::Holder::Site("lab".into())));
        }
        let plain = super::offer(&Shelf::from(&store), &lab, image.digest).unwrap();
        assert_eq!(plain.source.render(ImageFormat::Raw).await.unwrap().unwrap().url, None);
    }
}
