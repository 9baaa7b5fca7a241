//! The site's copies of our images.

use backend::{BackendError, SiteImage};
use backend_http::Method;
use disk_image::ContentDigest;
use serde_json::Value;

use crate::{
    glance::{Condition, Image},
    identifier, mark, paging,
    service::Service,
    site::Site,
};

impl Site {
    /// Our copies of the image, the first made one first.
    pub(crate) async fn copies(&self, digest: &ContentDigest) -> Result<Vec<Image>, BackendError> {
        let project = self.cloud.session.token().await?.project.clone();
        let about = format!("image {digest}");
        let call = self.cloud.get(Service::Image, &["images"], about);
        let call = call.query(mark::DIGEST_KEY, digest.to_string()).query("owner", &project);
        let mut found: Vec<Image> = paging::all(call, "images").await?;
        // A site that does not know the filter answers with everything.
        found.retain(|image| image.digest(&project) == Some(*digest) && image.condition() != Condition::Gone);
        found.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(found)
    }

    /// The copy that machines are made from.
    pub(crate) async fn usable_image(&self, digest: &ContentDigest) -> Result<Image, BackendError> {
        let copies = self.copies(digest).await?;
        let ready = copies.into_iter().find(|image| image.condition() == Condition::Ready);
        ready.ok_or_else(|| BackendError::NotFound(format!("image {digest}; hand it over first")))
    }

    pub(crate) async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        let copies = self.copies(digest).await?;
        let best = copies.iter().find(|image| image.condition() == Condition::Ready).or(copies.first());
        Ok(best.map(|image| image.facts(*digest)))
    }

    pub(crate) async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        let _turn = self.turns.of(format!("image {digest}")).await;
        for image in self.copies(digest).await? {
            self.is_needed_by_none(digest, &image.id).await?;
            self.drop_image(&image.id).await?;
        }
        Ok(())
    }

    /// Glance lets go of an image whose machines cannot move or be rebuilt without it.
    async fn is_needed_by_none(&self, digest: &ContentDigest, id: &str) -> Result<(), BackendError> {
        let call = self.cloud.get(Service::Compute, &["servers"], format!("machines of image {digest}"));
        let servers: Vec<Value> = paging::all(call.query("image", id), "servers").await?;
        if servers.is_empty() {
            return Ok(());
        }
        Err(BackendError::Conflict(format!(
            "{} machines are made from image {digest}; delete them first",
            servers.len()
        )))
    }

    pub(crate) async fn image(&self, id: &str) -> Result<Image, BackendError> {
        let id = identifier::answered("image", id)?;
        self.cloud.get(Service::Image, &["images", &id], format!("image {id} of Glance")).json().await
    }

    /// Deletes an image of Glance's; one that it does not know is a success.
    pub(crate) async fn drop_image(&self, id: &str) -> Result<(), BackendError> {
        let id = identifier::answered("image", id)?;
        let call = self.cloud.call(Service::Image, Method::DELETE, &["images", &id], format!("image {id} of Glance"));
        call.send_if_there().await.map(drop)
    }
}
