//! Images as files: who may fetch them, and how many at once.

use std::{net::IpAddr, sync::Arc};

use disk_image::{ContentDigest, ImageError, ImageFormat};
use image_store::{RenderedImage, StoreError};

use super::{Broker, BrokerError, permission};
use crate::{
    login::Principal,
    shelf::{Fetcher, Holder, Place},
    store::appliance,
};

/// After how many seconds a new try is worth it when too many images are fetched.
const COME_AGAIN: u32 = 10;

impl Broker {
    /// As whom somebody is counted who shows this ticket.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] if it is none for this image in this format, or has expired.
    pub fn fetcher_by_ticket(
        &self,
        ticket: &str,
        digest: ContentDigest,
        format: ImageFormat,
        from: IpAddr,
    ) -> Result<Fetcher, BrokerError> {
        match self.inner.dispatch.shelf().holder(ticket, digest, format) {
            Some(Holder::Site(site)) => Ok(Fetcher::Site(site)),
            Some(Holder::Marketplace) => Ok(Fetcher::Stranger(from)),
            None => Err(BrokerError::Forbidden(
                "this ticket is not for this image in this format, or has expired; ask for a new one where it is from"
                    .into(),
            )),
        }
    }

    /// As whom the principal is counted, who may fetch what an appliance is made of that they see.
    ///
    /// # Errors
    /// [`BrokerError::Forbidden`] if they may see nothing, [`BrokerError::NotFound`] if no appliance that they see has
    /// this image; the database failed.
    pub async fn fetcher_by_principal(
        &self,
        principal: &Principal,
        digest: ContentDigest,
    ) -> Result<Fetcher, BrokerError> {
        permission::to_read(principal)?;
        let project = principal.project;
        let sees = move |connection: &mut _| appliance::has_image(connection, digest, project);
        if self.inner.db.read(sees).await? { Ok(Fetcher::Project(project)) } else { Err(absent(digest)) }
    }

    /// A place among those who fetch.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when there is none.
    pub fn admit_fetch(&self, fetcher: Fetcher) -> Result<Place, BrokerError> {
        let place = Arc::clone(self.inner.dispatch.shelf().fetches()).admit(fetcher);
        place.ok_or_else(|| BrokerError::Unavailable {
            reason: "too many images are being fetched from there; wait until some are done".into(),
            retry_after: COME_AGAIN,
        })
    }

    /// The image as a file of this format, for whom it was found that they may have it.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when the store has no such image, or the disk does not fit the format; the store failed.
    pub async fn rendered(
        &self,
        digest: ContentDigest,
        format: ImageFormat,
    ) -> Result<Arc<RenderedImage>, BrokerError> {
        let renderings = self.inner.dispatch.shelf().renderings().clone();
        let opened = tokio::task::spawn_blocking(move || renderings.open(&digest, format)).await;
        let error = match opened {
            Ok(Ok(rendered)) => return Ok(rendered),
            Ok(Err(error)) => error,
            Err(error) => return Err(BrokerError::Internal(error.to_string())),
        };
        match &*error {
            StoreError::Absent(_) => Err(absent(digest)),
            StoreError::Image(ImageError::Unwritable { problem, .. }) => {
                Err(BrokerError::NotFound(format!("image {digest} as {format}, since {problem}")))
            }
            error => {
                tracing::error!(%digest, %format, %error, "a stored image cannot be served");
                Err(BrokerError::Internal("the stored image cannot be read".into()))
            }
        }
    }
}

fn absent(digest: ContentDigest) -> BrokerError {
    BrokerError::NotFound(format!("image {digest}"))
}
