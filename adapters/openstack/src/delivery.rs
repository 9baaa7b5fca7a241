//! Handing images over to Glance. The property [`mark::DIGEST_KEY`] says which image a copy is of; copies that did not
//! arrive are used or removed by whoever comes next. Of what Glance has then, the length is compared: it computes its
//! own checksum of whatever arrives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backend::{BackendError, ImageOffer, Progress};
use backend_http::{Body, Method};
use bytes::Bytes;
use disk_image::ImageFormat;
use futures_util::{StreamExt, stream::BoxStream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    glance::{Condition, Image},
    mark, paging,
    service::Service,
    site::Site,
};

/// No site takes longer than a day for one image.
const LONGEST_UPLOAD: Duration = Duration::from_secs(24 * 3600);
/// Between the making of an image and its first byte, another broker takes less.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(200);

/// How the bytes get to Glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It fetches them from us.
    Fetched,
    /// We send them.
    Sent,
}

/// An image as a file of one format.
struct File {
    format: ImageFormat,
    length: u64,
    url: Option<String>,
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Site {
    /// Makes the image available, in the first format and by the first way that the site takes.
    pub(crate) async fn provide_image(
        self: &Arc<Self>,
        offer: &ImageOffer,
        progress: &Progress<'_>,
    ) -> Result<(), BackendError> {
        let _turn = self.turns.of(format!("image {}", offer.digest)).await;
        if self.is_there_already(offer, progress).await? {
            return Ok(());
        }
        let can_fetch =
            self.cloud.options.web_download && self.import_methods().await?.contains(&"web-download".into());
        let mut refused = None;
        for &format in &self.cloud.options.image_formats {
            for way in [Way::Fetched, Way::Sent] {
                let Some(file) = rendered(offer, format).await? else { break };
                if way == Way::Fetched && (!can_fetch || file.url.is_none()) {
                    continue;
                }
                match self.deliver(offer, file, way, progress).await {
                    Ok(()) => return Ok(()),
                    // Another format or way may be taken.
                    Err(
                        error @ (BackendError::Refused(_) | BackendError::Unsupported(_) | BackendError::Failed(_)),
                    ) => {
                        refused = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            let formats: Vec<_> = self.cloud.options.image_formats.iter().map(|format| format.name()).collect();
            BackendError::Refused(format!(
                "image {} is offered in none of the formats that the site takes ({})",
                offer.digest,
                formats.join(", ")
            ))
        }))
    }

    /// Whether the image is there, after waiting for one that is on its way. What is left of failures goes.
    async fn is_there_already(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<bool, BackendError> {
        for image in self.copies(&offer.digest).await? {
            let arrived = match image.condition() {
                Condition::Ready => true,
                Condition::Arriving => self.arrival(&image.id, progress).await.is_ok(),
                Condition::Withheld => {
                    let (digest, id) = (offer.digest, &image.id);
                    return Err(BackendError::Refused(format!(
                        "image {digest} is deactivated at the site; reactivate image {id} of Glance or delete it"
                    )));
                }
                Condition::Empty => {
                    self.is_taken_up(&image.id).await && self.arrival(&image.id, progress).await.is_ok()
                }
                Condition::Failed | Condition::Gone => false,
            };
            if arrived {
                progress(offer.size);
                return Ok(true);
            }
            self.drop_image(&image.id).await?;
        }
        Ok(false)
    }

    /// Whether somebody else's bytes come, for an image that had none a moment ago.
    async fn is_taken_up(&self, id: &str) -> bool {
        let moves = || async {
            let condition = self.image(id).await?.condition();
            Ok(matches!(condition, Condition::Arriving | Condition::Ready).then_some(()))
        };
        self.await_for(TAKEN_UP_WITHIN, "image", moves).await.is_ok()
    }

    async fn deliver(
        self: &Arc<Self>,
        offer: &ImageOffer,
        file: File,
        way: Way,
        progress: &Progress<'_>,
    ) -> Result<(), BackendError> {
        let image = self.new_image(offer, file.format).await?;
        let mut unfinished = Unfinished { site: Arc::clone(self), image: Some(image.id.clone()) };
        // Another broker may have begun at the same moment: the first one goes on.
        let copies = self.copies(&offer.digest).await?;
        if let Some(first) = copies.first().filter(|first| first.id != image.id) {
            self.drop_image(&image.id).await?;
            unfinished.finish();
            return self.arrival(&first.id, progress).await.map(drop);
        }
        let length = file.length;
        let outcome = async {
            match way {
                Way::Fetched => self.import(&image.id, file.url.as_deref().unwrap_or_default()).await?,
                Way::Sent => self.send(&image.id, file, progress).await?,
            }
            let arrived = self.arrival(&image.id, progress).await?;
            if arrived.size != Some(length) {
                let (id, size) = (&image.id, arrived.size);
                return Err(BackendError::Failed(format!("image {id} of Glance has {size:?} of {length} bytes")));
            }
            Ok(())
        };
        let outcome = outcome.await;
        if outcome.is_ok() {
            progress(offer.size);
        } else {
            self.drop_image(&image.id).await?;
        }
        unfinished.finish();
        outcome
    }

    async fn new_image(&self, offer: &ImageOffer, format: ImageFormat) -> Result<Image, BackendError> {
        let options = &self.cloud.options;
        let digest = offer.digest.to_string();
        let mut image = json!({
            "name": format!("tombolo {}", &digest[..12]),
            "disk_format": format.name(),
            "container_format": "bare",
            "visibility": options.image_visibility.name(),
            "tags": [mark::OURS],
            (mark::DIGEST_KEY): digest,
            (mark::SIZE_KEY): offer.size.to_string(),
        });
        for (name, value) in &options.image_properties {
            image[name] = value.as_str().into();
        }
        let about = format!("new image {}", offer.digest);
        self.cloud.call(Service::Image, Method::POST, &["images"], about).body(image).json().await
    }

    async fn import(&self, id: &str, url: &str) -> Result<(), BackendError> {
        let body = json!({ "method": { "name": "web-download", "uri": url } });
        let about = format!("import of image {id} of Glance");
        let call = self.cloud.call(Service::Image, Method::POST, &["images", id, "import"], about).body(body);
        call.send().await.map(drop)
    }

    /// Sends the bytes. It may take any time, as long as they move.
    async fn send(&self, id: &str, file: File, progress: &Progress<'_>) -> Result<(), BackendError> {
        let about = format!("bytes of image {id} of Glance");
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let counted = file.bytes.inspect(move |chunk| {
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            counter.fetch_add(length, Ordering::Relaxed);
        });
        let call = self.cloud.call(Service::Image, Method::PUT, &["images", id, "file"], &about);
        let upload = call.upload(Body::wrap_stream(counted), file.length, LONGEST_UPLOAD);
        let patience = self.cloud.options.patience.image();
        let watch = async {
            let (mut last, mut moved) = (0, Instant::now());
            loop {
                sleep(STEP).await;
                let now = sent.load(Ordering::Relaxed);
                if now != last {
                    (last, moved) = (now, Instant::now());
                    progress(now);
                } else if moved.elapsed() >= patience {
                    return BackendError::Unreachable(format!("{about}: none were taken for {} s", patience.as_secs()));
                }
            }
        };
        tokio::select! {
            outcome = upload => outcome,
            stalled = watch => Err(stalled),
        }
    }

    /// Waits until the image is there, as long as something moves.
    pub(crate) async fn arrival(&self, id: &str, progress: &Progress<'_>) -> Result<Image, BackendError> {
        let patience = self.cloud.options.patience;
        let (mut last, mut moved) = (None, Instant::now());
        loop {
            let image = self.image(id).await?;
            match image.condition() {
                Condition::Ready => return Ok(image),
                Condition::Failed | Condition::Gone | Condition::Withheld => {
                    return Err(BackendError::Failed(format!("image {id} of Glance: {}", self.why_failed(id).await)));
                }
                Condition::Arriving | Condition::Empty => {}
            }
            let seen = Some(image.progress());
            if seen != last {
                (last, moved) = (seen, Instant::now());
                progress(image.size.unwrap_or_default());
            } else if moved.elapsed() >= patience.image() {
                let seconds = patience.image_seconds;
                return Err(BackendError::Failed(format!("image {id} of Glance: nothing has moved for {seconds} s")));
            }
            if image.condition() == Condition::Empty
                && let Some(why) = self.failed_task(id).await
            {
                return Err(BackendError::Failed(format!("image {id} of Glance: {why}")));
            }
            sleep(patience.look()).await;
        }
    }

    async fn why_failed(&self, id: &str) -> String {
        let told = self.failed_task(id).await;
        told.unwrap_or_else(|| "its bytes did not arrive, and Glance does not say why".into())
    }

    /// What Glance says of an import that failed (its tasks, since version 2.12).
    async fn failed_task(&self, id: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Task {
            status: String,
            #[serde(default)]
            message: Option<String>,
        }
        let call = self.cloud.get(Service::Image, &["images", id, "tasks"], "tasks of an image");
        let tasks: Vec<Task> = paging::all(call, "tasks").await.ok()?;
        let failed = tasks.into_iter().find(|task| task.status == "failure")?;
        Some(backend_http::quoted(&failed.message.unwrap_or_else(|| "the import failed".into())))
    }

    /// How Glance takes images beside what is sent to it.
    pub(crate) async fn import_methods(&self) -> Result<Vec<String>, BackendError> {
        let call = self.cloud.get(Service::Image, &["info", "import"], "import methods of Glance");
        let answer: Value = match call.json().await {
            Ok(answer) => answer,
            // Before the interoperable import there were none.
            Err(BackendError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let methods = answer["import-methods"]["value"].as_array().cloned().unwrap_or_default();
        Ok(methods.iter().filter_map(Value::as_str).map(backend_http::quoted).collect())
    }
}

/// The image as a file of this format; raw bytes come by the stream always.
async fn rendered(offer: &ImageOffer, format: ImageFormat) -> Result<Option<File>, BackendError> {
    let unreadable = |error| BackendError::Failed(format!("image {} cannot be read here: {error}", offer.digest));
    if let Some(rendering) = offer.source.render(format).await.map_err(unreadable)? {
        let backend::Rendering { format, length, url, bytes } = rendering;
        return Ok(Some(File { format, length, url, bytes }));
    }
    let raw = || File { format, length: offer.size, url: None, bytes: offer.source.stream() };
    Ok((format == ImageFormat::Raw).then(raw))
}

/// An image that goes again when nobody finishes its delivery.
struct Unfinished {
    site: Arc<Site>,
    image: Option<String>,
}

impl Unfinished {
    fn finish(&mut self) {
        self.image = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop_later(&self.site, self.image.take());
    }
}

/// Deletes the image of Glance in the background, where there is one to do so.
pub(crate) fn drop_later(site: &Arc<Site>, image: Option<String>) {
    if let (Some(id), Ok(runtime)) = (image, tokio::runtime::Handle::try_current()) {
        let site = Arc::clone(site);
        runtime.spawn(async move {
            // What stays is removed by the next delivery or save.
            let _ = site.drop_image(&id).await;
        });
    }
}
