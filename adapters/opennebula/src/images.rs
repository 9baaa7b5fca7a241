//! Images are brought to the site, and found there.

use std::time::Duration;

use backend::{BackendError, ImageOffer, Progress, SiteImage, SiteImageState};
use disk_image::{ContentDigest, ImageFormat};

use crate::{
    document::{DatastoreDocument, ImageDocument, ImageState},
    names::{self, Id},
    oned::{Allocated, allocated, unless_unknown},
    pool::Pool,
    rpc::Call,
    site::Site,
    waiting::Looks,
    xml::Template,
};

/// For an image of no size; more is added for its bytes.
const ARRIVES: Duration = Duration::from_secs(300);
/// The least speed at which an image is expected to arrive, in bytes per second.
const LEAST_SPEED: u64 = 4 << 20;
/// Until an image is gone.
const GOES: Duration = Duration::from_secs(60);

/// Where the service fetches an image.
struct Origin {
    format: ImageFormat,
    path: String,
}

impl Site {
    pub(crate) async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        self.version().await?;
        let patience = ARRIVES + Duration::from_secs(offer.size / LEAST_SPEED);
        let id = match self.image_document(&offer.digest).await? {
            Some(image) if image.state == ImageState::Error => {
                // What a failed try has left.
                self.remove_image(image.id).await?;
                self.register(offer).await?
            }
            Some(image) => image.id,
            None => self.register(offer).await?,
        };
        self.arrival(id, &offer.digest, patience).await?;
        self.remember_image(offer.digest, id);
        progress(offer.size);
        Ok(())
    }

    pub(crate) async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        Ok(self.image_document(digest).await?.map(|image| SiteImage {
            digest: *digest,
            id: image.id.to_string(),
            state: match image.state {
                state if state.is_usable() => SiteImageState::Ready,
                state if state.is_arriving() => SiteImageState::Arriving,
                _ => SiteImageState::Failed,
            },
            format: image.format,
            stored_bytes: None,
        }))
    }

    pub(crate) async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        match self.image_document(digest).await? {
            Some(image) => self.remove_image(image.id).await,
            None => Ok(()),
        }
    }

    /// The image, ready for machines.
    pub(crate) async fn usable_image(&self, digest: &ContentDigest) -> Result<ImageDocument, BackendError> {
        let missing = || BackendError::NotFound(format!("image {digest}"));
        let image = self.image_document(digest).await?.ok_or_else(missing)?;
        match image.state {
            state if state.is_usable() => Ok(image),
            state if state.is_arriving() => {
                Err(BackendError::Conflict(format!("image {digest} is still arriving at OpenNebula")))
            }
            _ => Err(BackendError::NotFound(format!("image {digest}: OpenNebula's copy, {}, is not usable", image.id))),
        }
    }

    async fn image_document(&self, digest: &ContentDigest) -> Result<Option<ImageDocument>, BackendError> {
        let is_it = |image: &ImageDocument| image.digest == Some(*digest) && image.state != ImageState::Delete;
        if let Some(id) = self.remembered_image(digest) {
            let image: Option<ImageDocument> = self.oned.object_if_known("one.image.info", id).await?;
            if let Some(image) = image.filter(|image| is_it(image)) {
                return Ok(Some(image));
            }
        }
        let image = self.oned.find(Pool::images(self.filter()), is_it).await?;
        if let Some(image) = &image {
            self.remember_image(*digest, image.id);
        }
        Ok(image)
    }

    async fn register(&self, offer: &ImageOffer) -> Result<Id, BackendError> {
        let origin = self.origin(offer).await?;
        let datastore = self.datastore_for(offer.size).await?;
        let name = format!("tombolo-{}", offer.digest);
        let template = Template::write(|image| {
            image.set("NAME", &name).set("TYPE", "OS").set("PATH", &origin.path);
            image.set("FORMAT", origin.format.name()).set("DRIVER", origin.format.name());
            image.set("DEV_PREFIX", &self.options.disk_prefix).set("PERSISTENT", "NO");
            image.set(names::DIGEST, offer.digest);
        })?;
        let call = Call::new("one.image.allocate").with(template).with(datastore);
        match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => Ok(id),
            // Somebody else was faster, or an answer was lost.
            Allocated::NameTaken(refusal) => match self.image_document(&offer.digest).await? {
                Some(image) => Ok(image.id),
                None => Err(refusal.into()),
            },
        }
    }

    /// A path that the service can read, or an address at which it can fetch the image.
    async fn origin(&self, offer: &ImageOffer) -> Result<Origin, BackendError> {
        for format in &self.options.image_formats {
            if self.options.same_host
                && *format == ImageFormat::Raw
                && let Some(path) = offer.source.local_path().and_then(|path| path.to_str())
            {
                return Ok(Origin { format: *format, path: path.to_owned() });
            }
            let rendering = offer.source.render(*format).await;
            let unread = |error| BackendError::Failed(format!("the image cannot be read here: {error}"));
            if let Some(path) = rendering.map_err(unread)?.and_then(|rendering| rendering.url) {
                return Ok(Origin { format: *format, path });
            }
        }
        let formats: Vec<&str> = self.options.image_formats.iter().map(|format| format.name()).collect();
        Err(BackendError::Refused(format!(
            "OpenNebula fetches images by itself, and there is no address at which it finds this one as {}; set \
             image_url of the site to the address by which the site reaches the broker",
            formats.join(" or ")
        )))
    }

    /// The datastore of the options, or the first one with room.
    pub(crate) async fn datastore_for(&self, bytes: u64) -> Result<Id, BackendError> {
        let mib = bytes.div_ceil(1 << 20);
        if let Some(id) = self.options.image_datastore {
            return Id::of("datastore", &id.to_string());
        }
        let stores: Vec<DatastoreDocument> = self.oned.whole("one.datastorepool.info").await?;
        let mut usable: Vec<_> = stores.iter().filter(|store| store.holds_images && store.is_enabled).collect();
        usable.sort_by_key(|store| store.id);
        if usable.is_empty() {
            return Err(BackendError::Refused(
                "our user sees no datastore for images; give it the right to use one, or set image_datastore".into(),
            ));
        }
        let roomy = usable.iter().find(|store| store.has_room(mib));
        roomy.map(|store| store.id).ok_or_else(|| {
            BackendError::Capacity(format!("no datastore for images that our user sees has {mib} MiB left"))
        })
    }

    async fn arrival(&self, id: Id, digest: &ContentDigest, patience: Duration) -> Result<(), BackendError> {
        let image = self.image_at_rest(id, patience).await?;
        match image.state {
            state if state.is_usable() => Ok(()),
            ImageState::Error => {
                let why = image.error.unwrap_or_else(|| "it does not say why".into());
                self.remove_image(id).await?;
                Err(BackendError::Failed(format!("OpenNebula could not fetch image {digest}: {why}")))
            }
            ImageState::Disabled => Err(BackendError::Conflict(format!(
                "image {digest} was disabled at OpenNebula (image {id}); enable it there"
            ))),
            _ => Err(BackendError::Unreachable(format!("OpenNebula is still fetching image {digest}; ask again"))),
        }
    }

    /// The image as soon as it is ready or failed, or as it is when the patience is over.
    pub(crate) async fn image_at_rest(&self, id: Id, patience: Duration) -> Result<ImageDocument, BackendError> {
        let mut looks = Looks::within(patience);
        loop {
            let image: ImageDocument = self.shown("one.image.info", id).await?;
            if !(image.state.is_arriving() || image.state == ImageState::Clone) || !looks.next().await {
                return Ok(image);
            }
        }
    }

    /// Removes an image, and returns when it is gone; one that is not there is a success.
    pub(crate) async fn remove_image(&self, id: Id) -> Result<(), BackendError> {
        let mut looks = Looks::within(GOES);
        let mut asked = false;
        loop {
            let Some(image) = self.oned.object_if_known::<ImageDocument>("one.image.info", id).await? else {
                return Ok(());
            };
            if !asked && !image.state.is_arriving() && image.state != ImageState::Delete {
                if unless_unknown(self.oned.change(&Call::new("one.image.delete").with(id)).await?)?.is_none() {
                    return Ok(());
                }
                asked = true;
            } else if asked && image.state == ImageState::Error {
                let why = image.error.unwrap_or_else(|| "it does not say why".into());
                return Err(BackendError::Failed(format!("OpenNebula could not delete image {id}: {why}")));
            }
            if !looks.next().await {
                return Err(BackendError::Unreachable(format!(
                    "image {id} is still not gone at OpenNebula; ask again"
                )));
            }
        }
    }
}
