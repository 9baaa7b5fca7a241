//! The images at this node.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use backend::{SiteImage, SiteImageState};
use bytes::Bytes;
use disk_image::{ContentDigest, ImageFormat};
use futures_util::Stream;

use super::{Driver, lock};
use crate::{NodeError, image_cache::blocking};

impl Driver {
    /// Takes an image from a raw file on this host that never changes.
    ///
    /// # Errors
    /// As [`crate::ImageCache::link`].
    pub async fn link_image(&self, digest: ContentDigest, size: u64, source: PathBuf) -> Result<(), NodeError> {
        self.0.means.images.link(digest, size, source).await
    }

    /// Takes an image from a stream of its raw bytes, compressed by zstd.
    ///
    /// # Errors
    /// As [`crate::ImageCache::receive`].
    pub async fn receive_image<E: std::fmt::Display>(
        &self,
        digest: ContentDigest,
        size: u64,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), NodeError> {
        self.0.means.images.receive(digest, size, stream).await
    }

    /// Whether the image is here, with this size.
    #[must_use]
    pub fn has_image(&self, digest: &ContentDigest, size: u64) -> bool {
        self.0.means.images.find(digest).is_some_and(|(_, found)| found == size)
    }

    /// Removes the images that no machine's disk rests on, and tells which.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub async fn remove_unused_images(&self) -> Result<Vec<ContentDigest>, NodeError> {
        let _alone = self.0.images_in_use.write().await;
        let used: HashSet<_> = lock(&self.0.machines).values().map(|card| card.image).collect();
        let images = Arc::clone(&self.0.means.images);
        blocking(move || images.remove_unused(&used)).await
    }

    /// The facts of an image that is here.
    #[must_use]
    pub fn image(&self, digest: &ContentDigest) -> Option<SiteImage> {
        let (_, size) = self.0.means.images.find(digest)?;
        Some(SiteImage {
            digest: *digest,
            id: digest.to_string(),
            state: SiteImageState::Ready,
            format: Some(ImageFormat::Raw),
            stored_bytes: Some(size),
        })
    }

    /// Removes an image. One that is not here is a success.
    ///
    /// # Errors
    /// [`NodeError::ImageInUse`] while a machine's disk rests on it, [`NodeError::File`].
    pub async fn delete_image(&self, digest: ContentDigest) -> Result<(), NodeError> {
        let _alone = self.0.images_in_use.write().await;
        let user = lock(&self.0.machines).values().find(|card| card.image == digest).map(|card| card.id.clone());
        if let Some(machine) = user {
            return Err(NodeError::ImageInUse { digest, machine });
        }
        let images = Arc::clone(&self.0.means.images);
        images.remove(digest).await
    }
}
