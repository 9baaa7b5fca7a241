//! The shelf: the image store as this server hands its images out, as files of any format that need not lie anywhere.

mod fetches;
mod reading;
mod ticket;

use std::sync::Arc;

use disk_image::{ContentDigest, ImageFormat};
use image_store::{ImageStore, Renderings};
use tokio_util::sync::CancellationToken;

use self::ticket::Ticket;
pub use self::{
    fetches::{Fetcher, Fetches, Place},
    reading::read,
    ticket::{Holder, withhold},
};
use crate::{config::Config, login::secret::Secret, store::Timestamp};

/// Below this path images are fetched.
pub const PATH: &str = "/images";

const HOUR: i64 = 3_600_000_000;

/// Images, and the addresses at which they are fetched. Cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    renderings: Renderings,
    addresses: Option<Arc<Addresses>>,
    fetches: Arc<Fetches>,
    ending: CancellationToken,
}

/// A site that fetches images.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Where it reaches us, if not where all others do.
    pub image_url: Option<String>,
}

/// By what sites are told where an image is.
struct Addresses {
    secret: Secret,
    /// Where sites reach us that have no other address for us.
    everywhere: Option<String>,
    hours: i64,
}

impl Shelf {
    /// The store's images at the addresses that the configuration tells.
    pub fn new(store: Arc<ImageStore>, secret: Secret, config: &Config) -> Self {
        let everywhere = Some(config.images.url.clone()).filter(|url| !url.is_empty());
        let hours = i64::from(config.images.ticket_hours);
        let addresses = Addresses { secret, everywhere, hours };
        let fetches = Fetches::new(usize::try_from(config.images.fetches_at_once).unwrap_or(1));
        Self {
            renderings: Renderings::new(store),
            addresses: Some(Arc::new(addresses)),
            fetches: Arc::new(fetches),
            ending: CancellationToken::new(),
        }
    }

    /// The same; long work in the background ends with this token.
    #[must_use]
    pub fn ending_with(self, ending: &CancellationToken) -> Self {
        Self { ending: ending.clone(), ..self }
    }

    /// Whether long work in the background is to end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// The store.
    pub fn store(&self) -> &Arc<ImageStore> {
        self.renderings.store()
    }

    /// Its images as files.
    pub fn renderings(&self) -> &Renderings {
        &self.renderings
    }

    /// Who fetches at present.
    pub fn fetches(&self) -> &Arc<Fetches> {
        &self.fetches
    }

    /// Where this site fetches the image without any other credentials, if we know under which address it reaches us.
    pub fn url_for(&self, site: &Destination, digest: ContentDigest, format: ImageFormat) -> Option<String> {
        let addresses = self.addresses.as_ref()?;
        let base = site.image_url.as_ref().or(addresses.everywhere.as_ref())?;
        let base = base.trim_end_matches('/');
        Some(format!("{base}{}", self.path_for(Holder::Site(site.name.clone()), digest, format)?))
    }

    /// The path by which the holder fetches the image for some hours; behind `?`, it is a credential.
    pub fn path_for(&self, holder: Holder, digest: ContentDigest, format: ImageFormat) -> Option<String> {
        let addresses = self.addresses.as_ref()?;
        let expires = Timestamp(Timestamp::now().0.saturating_add(addresses.hours * HOUR));
        let sealed = Ticket { digest, format, holder, expires }.seal(&addresses.secret);
        // Only a system without random bytes cannot; then a backend is sent the image instead.
        let sealed =
            sealed.inspect_err(|error| tracing::error!(%error, "an image's address could not be made")).ok()?;
        Some(format!("{PATH}/{digest}.{format}?ticket={sealed}"))
    }

    /// Where others reach us to fetch images, if that was configured.
    pub fn base(&self) -> Option<&str> {
        self.addresses.as_ref()?.everywhere.as_deref()
    }

    /// Whose ticket this is, if it is one for this image in this format, and holds still.
    pub fn holder(&self, ticket: &str, digest: ContentDigest, format: ImageFormat) -> Option<Holder> {
        let ticket = Ticket::open(&self.addresses.as_ref()?.secret, ticket)?;
        let is_meant = ticket.digest == digest && ticket.format == format && ticket.expires > Timestamp::now();
        is_meant.then_some(ticket.holder)
    }
}

/// Images that are handed to backends by their bytes alone.
impl From<&Arc<ImageStore>> for Shelf {
    fn from(store: &Arc<ImageStore>) -> Self {
        let fetches = Arc::new(Fetches::new(1));
        let ending = CancellationToken::new();
        Self { renderings: Renderings::new(Arc::clone(store)), addresses: None, fetches, ending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(directory: &tempfile::TempDir, text: &str) -> Shelf {
        let store = Arc::new(ImageStore::open(directory.path()).unwrap());
        Shelf::new(store, Secret::from_bytes([7; 32]), &toml::from_str(text).unwrap())
    }

    fn digest(byte: u8) -> ContentDigest {
        ContentDigest::from_bytes([byte; 32])
    }

    const SITES: &str = "[images]\nurl = \"https://broker.example\"\n";

    fn site(name: &str, image_url: Option<&str>) -> Destination {
        Destination { name: name.to_owned(), image_url: image_url.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_site_is_told_the_address_that_it_reaches() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = shelf(&directory, "");
        assert_eq!(nowhere.url_for(&site("far", None), digest(1), ImageFormat::Raw), None, "nothing is guessed");
        let shelf = shelf(&directory, SITES);
        let url = |name, at| shelf.url_for(&site(name, at), digest(1), ImageFormat::Qcow2).unwrap();
        let path = format!("/images/{}.qcow2?ticket=", digest(1));
        let near = url("near", Some("http://127.0.0.1:1"));
        assert!(near.starts_with(&format!("http://127.0.0.1:1{path}")), "{near}");
        let far = url("far", None);
        assert!(far.starts_with(&format!("https://broker.example{path}")), "{far}");
    }

    #[test]
    fn a_ticket_is_for_one_image_in_one_format_and_one_holder() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = shelf(&directory, SITES);
        let url = shelf.url_for(&site("far", None), digest(1), ImageFormat::Qcow2).unwrap();
        let (_, ticket) = url.split_once("?ticket=").unwrap();
        assert_eq!(shelf.holder(ticket, digest(1), ImageFormat::Qcow2), Some(Holder::Site("far".into())));
        assert_eq!(shelf.holder(ticket, digest(2), ImageFormat::Qcow2), None);
        assert_eq!(shelf.holder(ticket, digest(1), ImageFormat::Raw), None);
        for odd in ["", "x", &ticket[1..], &ticket[..ticket.len() - 1], &"A".repeat(4096)] {
            assert_eq!(shelf.holder(odd, digest(1), ImageFormat::Qcow2), None, "{odd}");
        }
        let other = Shelf::new(Arc::clone(shelf.store()), Secret::from_bytes([8; 32]), &Config::default());
        assert_eq!(other.holder(ticket, digest(1), ImageFormat::Qcow2), None, "of another installation");
    }

    #[test]
    fn a_ticket_ends() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = shelf(&directory, SITES);
        let secret = Secret::from_bytes([7; 32]);
        let seal = |expires| {
            let (digest, format) = (digest(1), ImageFormat::Raw);
            Ticket { digest, format, holder: Holder::Marketplace, expires }.seal(&secret).unwrap()
        };
        let now = Timestamp::now().0;
        assert_eq!(shelf.holder(&seal(Timestamp(now)), digest(1), ImageFormat::Raw), None);
        let holds = seal(Timestamp(now + HOUR));
        assert_eq!(shelf.holder(&holds, digest(1), ImageFormat::Raw), Some(Holder::Marketplace));
    }
}
