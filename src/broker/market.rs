//! The appliances that are offered to everybody, for marketplaces elsewhere.
//!
//! They are listed with the checksums of a file that is nowhere, so the whole file is computed once for each. Until that
//! is done an appliance is not listed: what OpenNebula has seen once it looks at again only when something has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use disk_image::{ContentDigest, ImageFormat};
use image_store::{Checksums, StoreError};
use marketplace::opennebula::{Entry, OfferedFile, entry_id};
use tokio::sync::Semaphore;

use super::{Broker, BrokerError};
use crate::{
    config::MarketplaceConfig,
    shelf::{Holder, Shelf},
    store::appliance::{self, Offered},
};

/// What appliances are fetched as: every hypervisor of OpenNebula's on Linux takes it.
const FORMAT: ImageFormat = ImageFormat::Qcow2;
/// Most checksums that are kept in memory.
const MOST_KNOWN: usize = 10_000;
/// After how many seconds a new try is worth it while an image is read for its checksums.
const COME_AGAIN: u32 = 30;
/// After how long an image that could not be read is tried again, however often it is asked for.
const ANOTHER_TRY: Duration = Duration::from_secs(600);

/// What is served to marketplaces elsewhere.
pub struct Market {
    name: String,
    inner: Arc<Inner>,
}

struct Inner {
    /// One image at a time is read: nobody waits for it at a door.
    turn: Semaphore,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    checksums: BTreeMap<ContentDigest, Arc<Checksums>>,
    /// Those that are being computed, or wait for that.
    under_way: BTreeSet<ContentDigest>,
}

/// How an appliance is fetched.
pub struct Download {
    /// Where, on this server. It is a credential.
    pub path: String,
    /// What a guest will see, in bytes.
    pub disk_size: u64,
}

impl Market {
    /// What the configuration wants served, if anything.
    pub fn new(config: &MarketplaceConfig) -> Option<Self> {
        let inner = || Arc::new(Inner { turn: Semaphore::new(1), known: Mutex::default() });
        config.serve.then(|| Self { name: config.name.clone(), inner: inner() })
    }

    /// The checksums of this image's file, if they are known; otherwise they will be, after a while.
    async fn checksums(&self, shelf: &Shelf, digest: ContentDigest) -> Option<Arc<Checksums>> {
        {
            let known = self.inner.known();
            if let Some(checksums) = known.checksums.get(&digest) {
                return Some(Arc::clone(checksums));
            }
            if known.under_way.contains(&digest) {
                return None;
            }
        }
        let store = Arc::clone(shelf.store());
        let remembered = tokio::task::spawn_blocking(move || store.checksums(&digest, FORMAT)).await;
        if let Ok(Ok(Some(checksums))) = remembered {
            return Some(self.inner.keep(digest, checksums));
        }
        self.compute(shelf, digest);
        None
    }

    /// What was known is of a file that is not made any more.
    fn compute_again(&self, shelf: &Shelf, digest: ContentDigest) {
        self.inner.known().checksums.remove(&digest);
        self.compute(shelf, digest);
    }

    /// Has them computed, unless that is under way.
    fn compute(&self, shelf: &Shelf, digest: ContentDigest) {
        if !self.inner.known().under_way.insert(digest) {
            return;
        }
        let (inner, shelf) = (Arc::clone(&self.inner), shelf.clone());
        tokio::spawn(async move {
            let Ok(turn) = inner.turn.acquire().await else { return };
            let computed = tokio::task::spawn_blocking(move || compute(&shelf, &digest)).await;
            drop(turn);
            let failure = match computed {
                Ok(Ok(Some(checksums))) => {
                    inner.keep(digest, checksums);
                    return;
                }
                Ok(Ok(None)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(%digest, failure, "an image's checksums could not be computed; its appliance is not listed");
            tokio::time::sleep(ANOTHER_TRY).await;
            inner.known().under_way.remove(&digest);
        });
    }
}

/// `None` when the server ends before the file does.
fn compute(shelf: &Shelf, digest: &ContentDigest) -> Result<Option<Checksums>, Arc<StoreError>> {
    let rendered = shelf.renderings().open(digest, FORMAT)?;
    let computed = Checksums::compute(&rendered, &|| !shelf.is_ending())?;
    if let Some(checksums) = &computed
        && let Err(error) = shelf.store().remember(digest, FORMAT, checksums)
    {
        tracing::warn!(%digest, %error, "an image's checksums are not remembered, and will be computed again");
    }
    Ok(computed)
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, digest: ContentDigest, checksums: Checksums) -> Arc<Checksums> {
        let checksums = Arc::new(checksums);
        let mut known = self.known();
        if known.checksums.len() >= MOST_KNOWN {
            known.checksums.clear();
        }
        known.checksums.insert(digest, Arc::clone(&checksums));
        known.under_way.remove(&digest);
        checksums
    }
}

impl Broker {
    /// Whether marketplaces elsewhere are served.
    pub fn serves_market(&self) -> bool {
        self.inner.market.is_some()
    }

    /// Where others reach this server to fetch images, if that was configured.
    pub fn image_base(&self) -> Option<&str> {
        self.inner.dispatch.shelf().base()
    }

    /// Has the checksums of all that is offered computed, so that nobody has to ask for them first.
    pub async fn prepare_market(self) {
        if let Err(error) = self.market_entries("").await {
            tracing::warn!(%error, "what is offered to marketplaces could not be prepared");
        }
    }

    /// What is offered to everybody and can be fetched now, by name; `base` is where this server is reached.
    ///
    /// # Errors
    /// The database failed.
    pub async fn market_entries(&self, base: &str) -> Result<Vec<Entry>, BrokerError> {
        let Some(market) = &self.inner.market else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for offered in self.offered_to_all().await? {
            let digest = offered.version.image();
            let Some(checksums) = market.checksums(self.inner.dispatch.shelf(), digest).await else { continue };
            let file = OfferedFile {
                url: format!("{base}/appliance/{}/download/0", entry_id(offered.appliance.name())),
                disk_size: offered.version.image_bytes(),
                md5: checksums.md5.clone(),
                sha256: checksums.sha256.clone(),
            };
            entries.push(Entry::new(&offered.appliance, &offered.version, file, &market.name));
        }
        Ok(entries)
    }

    /// How the appliance of this id is fetched.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`], [`BrokerError::Unavailable`] as long as its checksums are not known; the database or
    /// the store failed.
    pub async fn market_download(&self, id: &str) -> Result<Download, BrokerError> {
        let absent = || BrokerError::NotFound(format!("appliance {:.64}", id.escape_default().to_string()));
        let market = self.inner.market.as_ref().ok_or_else(absent)?;
        let offered = self.offered_to_all().await?;
        let offered = offered.into_iter().find(|offered| entry_id(offered.appliance.name()) == id);
        let version = offered.ok_or_else(absent)?.version;
        let (digest, shelf) = (version.image(), self.inner.dispatch.shelf());
        let being_read = || BrokerError::Unavailable {
            reason: "the appliance's checksums are being computed; come again".into(),
            retry_after: COME_AGAIN,
        };
        let checksums = market.checksums(shelf, digest).await.ok_or_else(being_read)?;
        let rendered = self.rendered(digest, FORMAT).await?;
        if rendered.validator() != checksums.validator {
            // The store was copied, and its holes were not.
            market.compute_again(shelf, digest);
            return Err(being_read());
        }
        let path = shelf.path_for(Holder::Marketplace, digest, FORMAT);
        let path = path.ok_or_else(|| BrokerError::Internal("no ticket could be made".into()))?;
        Ok(Download { path, disk_size: version.image_bytes() })
    }

    async fn offered_to_all(&self) -> Result<Vec<Offered>, BrokerError> {
        Ok(self.inner.db.read(|connection| appliance::offered(connection, None)).await?)
    }
}
