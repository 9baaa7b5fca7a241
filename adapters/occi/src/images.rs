//! Images. OCCI has no door for them: what a server offers to start from are its `os_tpl` templates, and which of them
//! is which image of ours, another Tombolo tells by the content's digest; for other servers it is configured.

use backend::{BackendError, SiteImage, SiteImageState};
use disk_image::ContentDigest;

use crate::{model::Template, peer::Peer, server::Server};

impl Server {
    /// The template of the image. What was published since the last look is seen.
    pub(crate) async fn system(&self, digest: &ContentDigest) -> Result<Option<Template>, BackendError> {
        let peer = self.peer().await?;
        match self.system_of(&peer, digest) {
            Some(found) => Ok(Some(found)),
            None => Ok(self.system_of(&*self.learn().await?, digest)),
        }
    }

    fn system_of(&self, peer: &Peer, digest: &ContentDigest) -> Option<Template> {
        let configured = self.options.images.get(&digest.to_string());
        let is_it = |template: &Template| match configured {
            // A term, or a whole identifier where two schemes have the same term.
            Some(named) => template.id.term() == named || template.id.as_str() == named,
            None => template.digest == Some(*digest),
        };
        peer.categories.systems().find(is_it)
    }

    /// Why there is no machine of the image.
    pub(crate) fn unpublished(&self, digest: &ContentDigest) -> BackendError {
        BackendError::NotFound(format!("the image {digest}: {}", self.remedy(digest)))
    }

    /// What would make the image available.
    pub(crate) fn remedy(&self, digest: &ContentDigest) -> String {
        match self.options.images.get(&digest.to_string()) {
            Some(named) => format!("the site's images name the template {named}, which its query interface has not"),
            None => format!(
                "OCCI has no way to hand it over; publish the appliance at {} too (its image digest is {digest}), or \
                 name the os_tpl that is the same in the site's images",
                self.connection.name()
            ),
        }
    }

    pub(crate) async fn site_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        let found = self.system(digest).await?;
        Ok(found.map(|template| SiteImage {
            digest: *digest,
            id: template.id.to_string(),
            state: SiteImageState::Ready,
            format: None,
            stored_bytes: None,
        }))
    }
}
