//! The sites, as they are configured at this moment.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backend::{Backend, Description};
use tokio::sync::watch;

use super::{adapter, breaker::BreakerView, delivery::Deliveries, guard::Guarded};
use crate::{
    config::{RefusedSite, SiteConfig},
    measured::SITE_BREAKER,
    shelf::Destination,
};

/// Counts whatever changes about sites, in the whole process.
static CHANGES: AtomicU64 = AtomicU64::new(1);

fn next_change() -> u64 {
    CHANGES.fetch_add(1, Ordering::Relaxed)
}

/// What is known of a site at present.
#[derive(Debug, Clone)]
pub enum SiteView {
    /// Not asked yet.
    Unknown,
    /// It answered.
    Reachable(Arc<Description>),
    /// It does not answer.
    Unreachable(String),
}

/// A place with computing, and the way to its backend.
pub struct Site {
    /// Its name in configuration, placement and log.
    pub name: String,
    /// The adapter, guarded: no call without a right to it, none without an end, none to a backend that is silent.
    pub backend: Arc<dyn Backend>,
    /// How long the backend may keep from us what it was asked to make and did not answer.
    pub sighting_delay: Duration,
    /// Images on their way.
    pub deliveries: Deliveries,
    guard: Arc<Guarded>,
    config: Option<SiteConfig>,
    view: RwLock<SiteView>,
    /// When its description was another one, as a count of changes.
    changed: AtomicU64,
}

impl Site {
    /// A site whose backend has not been asked yet.
    pub fn new(name: impl Into<String>, backend: Arc<dyn Backend>) -> Self {
        let name = name.into();
        let guard = Arc::new(Guarded::new(name.as_str(), backend));
        Self {
            name,
            backend: Arc::clone(&guard) as Arc<dyn Backend>,
            sighting_delay: Duration::ZERO,
            deliveries: Deliveries::default(),
            guard,
            config: None,
            view: RwLock::new(SiteView::Unknown),
            changed: AtomicU64::new(next_change()),
        }
    }

    /// A site whose backend may keep from us for so long what it was asked to make and did not answer.
    pub fn with_sighting_delay(self, sighting_delay: Duration) -> Self {
        Self { sighting_delay, ..self }
    }

    /// The site of this configuration. Nobody is called yet.
    ///
    /// # Errors
    /// Its adapter cannot be set up.
    pub fn connect(config: SiteConfig) -> Result<Self, RefusedSite> {
        let connection = adapter::connect(&config).map_err(|reason| {
            let (name, origin) = (config.name().to_owned(), config.declaration().origin());
            RefusedSite { name, origin: origin.map(Into::into), reason }
        })?;
        let site = Self::new(config.name(), connection.backend).with_sighting_delay(connection.sighting_delay);
        Ok(Self { config: Some(config), ..site })
    }

    /// What is known at present.
    pub fn view(&self) -> SiteView {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it says of itself, if it answers at present.
    pub fn description(&self) -> Option<Arc<Description>> {
        match self.view() {
            SiteView::Reachable(description) => Some(description),
            SiteView::Unknown | SiteView::Unreachable(_) => None,
        }
    }

    /// How it is configured; nothing for one that a test has made.
    pub fn config(&self) -> Option<&SiteConfig> {
        self.config.as_ref()
    }

    /// The site as one that fetches images.
    pub fn destination(&self) -> Destination {
        let image_url = self.config().and_then(|config| config.declaration().image_url()).map(ToOwned::to_owned);
        Destination { name: self.name.clone(), image_url }
    }

    /// Whether calls to the backend go.
    pub fn breaker(&self) -> BreakerView {
        self.guard.breaker()
    }

    /// Asks the backend what it is, and remembers the answer.
    pub async fn look(&self) {
        let view = match self.backend.describe().await {
            Ok(description) => SiteView::Reachable(Arc::new(description)),
            Err(error) => SiteView::Unreachable(self.hide(&error.to_string())),
        };
        let mut known = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if let SiteView::Unreachable(reason) = &view
            && !matches!(*known, SiteView::Unreachable(_))
        {
            tracing::warn!(site = %self.name, %reason, "the site does not answer");
        }
        // What is said of a site goes on to be said while it is silent.
        let is_another = match (&*known, &view) {
            (SiteView::Reachable(before), SiteView::Reachable(now)) => before != now,
            (_, SiteView::Reachable(_)) | (SiteView::Reachable(_), _) => true,
            _ => false,
        };
        *known = view;
        drop(known);
        if is_another {
            self.changed.store(next_change(), Ordering::Release);
        }
    }

    /// The text without the site's secrets: an adapter should not tell them, and must not.
    fn hide(&self, text: &str) -> String {
        self.config.as_ref().map_or_else(|| text.to_owned(), |config| config.hide(text))
    }
}

/// All sites at one moment, by name.
#[derive(Default)]
pub struct PresentSites {
    sites: BTreeMap<String, Arc<Site>>,
    refused: Vec<RefusedSite>,
    changed: u64,
}

impl PresentSites {
    /// The site of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Site>> {
        self.sites.get(name)
    }

    /// All in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }

    /// What is written down and cannot be used. A site of the same name is as it was before that was written.
    pub fn refused(&self) -> &[RefusedSite] {
        &self.refused
    }

    /// A number that grows whenever something about the sites or their descriptions changes.
    pub fn revision(&self) -> u64 {
        let sites = self.sites.values().map(|site| site.changed.load(Ordering::Acquire));
        sites.fold(self.changed, u64::max)
    }
}

/// What an exchange of the sites has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are reached in another way now.
    pub changed: Vec<String>,
    /// Those that are not configured any more.
    pub removed: Vec<String>,
    /// What cannot be used, as far as that was not known before.
    pub refused: Vec<RefusedSite>,
}

/// The sites, whichever those are at the moment. Cheap to clone; all clones see an exchange at once. Who works with
/// several sites takes [`Sites::present`] once; who holds a [`Site`] may finish with it, whatever is configured then.
#[derive(Clone, Default)]
pub struct Sites(Arc<watch::Sender<Arc<PresentSites>>>);

impl Sites {
    /// These sites; of two with one name the later counts.
    #[cfg(test)]
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Self {
        let sites = sites.into_iter().map(|site| (site.name.clone(), Arc::new(site))).collect();
        let present = PresentSites { sites, refused: Vec::new(), changed: next_change() };
        Self(Arc::new(watch::Sender::new(Arc::new(present))))
    }

    /// The sites of this moment.
    pub fn present(&self) -> Arc<PresentSites> {
        Arc::clone(&self.0.borrow())
    }

    /// The site of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Site>> {
        self.0.borrow().get(name).map(Arc::clone)
    }

    /// The names of all, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.borrow().sites.keys().cloned().collect()
    }

    /// Hears of every exchange.
    pub fn subscribe(&self) -> watch::Receiver<Arc<PresentSites>> {
        self.0.subscribe()
    }

    /// Lets the sites be those that are configured now. Those that are reached as before stay as they are, with all
    /// that is known of them; what cannot be used leaves a site of the same name as it is.
    pub fn exchange(&self, configured: Vec<Result<SiteConfig, RefusedSite>>) -> Exchange {
        let before = self.present();
        let mut exchange = Exchange::default();
        let mut sites = BTreeMap::new();
        let mut refused = Vec::new();
        for site in configured {
            let name = match &site {
                Ok(config) => config.name().to_owned(),
                Err(refused) => refused.name.clone(),
            };
            let known = before.get(&name);
            let kept = known.filter(|known| match (known.config(), &site) {
                (Some(known), Ok(config)) => known.leads_as(config),
                _ => false,
            });
            let connected = match kept {
                Some(kept) => Ok(Arc::clone(kept)),
                None => site.and_then(Site::connect).map(Arc::new),
            };
            match (connected, known) {
                (Ok(site), known) => {
                    match known {
                        None => exchange.added.push(name.clone()),
                        Some(known) if !Arc::ptr_eq(known, &site) => exchange.changed.push(name.clone()),
                        Some(_) => {}
                    }
                    sites.insert(name, site);
                }
                (Err(reason), known) => {
                    if let Some(known) = known {
                        sites.entry(name).or_insert_with(|| Arc::clone(known));
                    }
                    refused.push(reason);
                }
            }
        }
        exchange.removed.extend(before.sites.keys().filter(|name| !sites.contains_key(*name)).cloned());
        for gone in &exchange.removed {
            // Nobody is to be woken for a site that is no more.
            metrics::gauge!(SITE_BREAKER, "site" => gone.clone()).set(0.0);
        }
        exchange.refused.extend(refused.iter().filter(|refused| !before.refused.contains(refused)).cloned());
        let is_same = exchange == Exchange::default() && refused.len() == before.refused.len();
        if !is_same {
            let present = PresentSites { sites, refused, changed: next_change() };
            self.0.send_replace(Arc::new(present));
        }
        exchange
    }
}
