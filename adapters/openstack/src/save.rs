//! Saved disks: an image that Nova makes of a machine, read as its guest saw it, and removed again.

use std::{fs::File, io, sync::Arc};

use backend::{BackendError, SaveMethod, SavedDisk};
use bytes::Bytes;
use disk_image::{ImageFormat, ImageReader, Opening};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};

use crate::{
    delivery::drop_later,
    glance::Image,
    life::not_now,
    mark,
    nova::Situation,
    service::Service,
    site::{Site, to_the_end},
};

const CHUNK: u64 = 1 << 20;
/// The property of an image that is a saved disk on its way.
const SAVED_KEY: &str = "tombolo_saved";

#[derive(Deserialize)]
struct Named {
    image_id: String,
}

/// An image of Glance that goes with whoever reads it.
struct Borrowed {
    site: Arc<Site>,
    image: Option<String>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        drop_later(&self.site, self.image.take());
    }
}

impl Site {
    pub(crate) async fn save(self: &Arc<Self>, id: &str, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        let (site, id) = (Arc::clone(self), id.to_owned());
        // A machine that was switched off for it has to come back.
        let image = to_the_end(async move { site.image_of(&id, method).await }).await?;
        let borrowed = Borrowed { site: Arc::clone(self), image: Some(image.id.clone()) };
        let format = image.format().ok_or_else(|| {
            BackendError::Failed(format!("image {} of Glance has no format that can be read", image.id))
        })?;
        match format {
            ImageFormat::Raw => self.streamed(image, borrowed).await,
            format => self.spooled(image, borrowed, format).await,
        }
    }

    /// An image of the machine's root disk, at rest if asked for.
    async fn image_of(self: &Arc<Self>, id: &str, method: SaveMethod) -> Result<Image, BackendError> {
        let _turn = self.turns.of(format!("machine {id}")).await;
        let server = self.server(id).await?;
        if server.boots_from_volume() {
            return Err(BackendError::Unsupported("save a root disk that is a volume".into()));
        }
        let situation = server.situation();
        let runs = match situation {
            Situation::Active => true,
            Situation::Off | Situation::Paused | Situation::Suspended => false,
            other => return Err(not_now(id, "be saved", other)),
        };
        let must_rest = runs && method == SaveMethod::Deferred;
        if must_rest {
            self.stop(id).await?;
            self.arrives(id, Situation::Off).await?;
        }
        let saved = self.make_image(&server.id).await;
        if must_rest {
            self.start(id).await?;
        }
        saved
    }

    async fn arrives(&self, id: &str, wanted: Situation) -> Result<(), BackendError> {
        self.await_effect(&format!("machine {id}"), || async {
            Ok((self.server(id).await?.situation() == wanted).then_some(()))
        })
        .await
    }

    async fn make_image(self: &Arc<Self>, server: &str) -> Result<Image, BackendError> {
        // The image inherits what the machine's own image says of itself.
        let words = json!({ (SAVED_KEY): server, (mark::DIGEST_KEY): "none", (mark::SIZE_KEY): "none" });
        let action = json!({ "createImage": { "name": "tombolo saved disk", "metadata": words } });
        let Named { image_id } = self.act_for(server, action).await?.json()?;
        let mut borrowed = Borrowed { site: Arc::clone(self), image: Some(image_id.clone()) };
        let image = self.arrival(&image_id, &|_| ()).await?;
        // Nova still works on the machine for a moment after the image has all its bytes.
        self.await_effect(&format!("machine {server} after its save"), || async {
            let task = self.server(server).await?.task;
            Ok((!task.unwrap_or_default().starts_with("image_")).then_some(()))
        })
        .await?;
        borrowed.image = None;
        Ok(image)
    }

    async fn streamed(self: &Arc<Self>, image: Image, borrowed: Borrowed) -> Result<SavedDisk, BackendError> {
        let about = format!("image {} of Glance", image.id);
        let size = image.size.ok_or_else(|| BackendError::Failed(format!("{about} has no length")))?;
        let path = ["images", &image.id, "file"];
        let download = self.cloud.get(Service::Image, &path, about).download().await?;
        let patience = self.cloud.options.patience.image();
        let state = (download.bytes, borrowed, size);
        let bytes = stream::try_unfold(state, move |(mut bytes, borrowed, left)| async move {
            loop {
                let next = timeout(patience, bytes.next()).await;
                match next.map_err(|_| io::Error::other("Glance sends no more"))? {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(chunk) => {
                        let chunk = chunk?;
                        let too_much = || io::Error::other("Glance sends more than it has announced");
                        let left = left.checked_sub(chunk.len() as u64).ok_or_else(too_much)?;
                        return Ok(Some((chunk, (bytes, borrowed, left))));
                    }
                    None if left == 0 => return Ok(None),
                    None => return Err(io::Error::other(format!("Glance ends {left} bytes before the end"))),
                }
            }
        });
        Ok(SavedDisk { size, bytes: bytes.boxed() })
    }

    async fn spooled(
        self: &Arc<Self>,
        image: Image,
        mut borrowed: Borrowed,
        format: ImageFormat,
    ) -> Result<SavedDisk, BackendError> {
        let about = format!("image {} of Glance", image.id);
        let unwritable = |error: io::Error| BackendError::Failed(format!("a saved disk cannot be kept here: {error}"));
        let file = match &self.cloud.options.spool {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let mut file = tokio::fs::File::from_std(file.map_err(unwritable)?);
        let path = ["images", &image.id, "file"];
        let mut download = self.cloud.get(Service::Image, &path, &about).download().await?;
        let patience = self.cloud.options.patience.image();
        let mut left = image.size.unwrap_or_default();
        let broken = |why: &str| BackendError::Unreachable(format!("{about}: {why}"));
        while let Some(chunk) = timeout(patience, download.bytes.next()).await.map_err(|_| broken("no more comes"))? {
            let chunk = chunk.map_err(|error| broken(&error.to_string()))?;
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| broken("more comes than was announced"))?;
            file.write_all(&chunk).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        let file = file.into_std().await;
        // Its bytes are here: nothing has to stay there.
        let id = borrowed.image.take().unwrap_or_default();
        self.drop_image(&id).await?;
        if left > 0 {
            return Err(broken("its end is missing"));
        }
        let disk = opened(file, format).await.map_err(|why| BackendError::Failed(format!("{about}: {why}")))?;
        let (size, chunks) = (disk.size(), read(disk));
        let bytes = stream::unfold(chunks, |mut chunks| async move { Some((chunks.recv().await?, chunks)) });
        Ok(SavedDisk { size, bytes: bytes.boxed() })
    }
}

async fn opened(file: File, format: ImageFormat) -> Result<Box<dyn ImageReader>, String> {
    let open = move || Opening::new().declared(Some(format)).open_file(file);
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())?;
    opened.map_err(|error| error.to_string())
}

/// Reads the disk from its first to its last byte, no faster than it is taken.
fn read(disk: Box<dyn ImageReader>) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut offset = 0;
        while offset < disk.size() {
            let length = CHUNK.min(disk.size() - offset);
            let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
            let outcome = disk.read_at(offset, &mut chunk).map(|()| chunk.into()).map_err(io::Error::other);
            let failed = outcome.is_err();
            if sender.blocking_send(outcome).is_err() || failed {
                return;
            }
            offset += length;
        }
    });
    receiver
}
