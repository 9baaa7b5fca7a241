//! The sites, and the one place that knows which adapters there are.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use backend::{
    Backend, Description,
    simulator::{Behaviour, Simulator, socket::SimulatorClient},
};
use node_adapter::{NodeAddress, NodeBackend};

use super::{delivery::Deliveries, guard::Guarded};
use crate::config::{AdapterConfig, SiteConfig};

/// What is known of a site at present.
#[derive(Debug, Clone)]
pub enum SiteView {
    /// Not asked yet.
    Unknown,
    /// It answered.
    Reachable(Description),
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
    view: RwLock<SiteView>,
}

impl Site {
    /// A site whose backend has not been asked yet.
    pub fn new(name: impl Into<String>, backend: Arc<dyn Backend>) -> Self {
        let name = name.into();
        let backend = Arc::new(Guarded::new(name.as_str(), backend));
        let view = RwLock::new(SiteView::Unknown);
        Self { name, backend, sighting_delay: Duration::ZERO, deliveries: Deliveries::default(), view }
    }

    /// A site whose backend may keep from us for so long what it was asked to make and did not answer.
    pub fn with_sighting_delay(self, sighting_delay: Duration) -> Self {
        Self { sighting_delay, ..self }
    }

    /// What is known at present.
    pub fn view(&self) -> SiteView {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the backend what it is, and remembers the answer.
    pub async fn look(&self) {
        let view = match self.backend.describe().await {
            Ok(description) => SiteView::Reachable(description),
            Err(error) => SiteView::Unreachable(error.to_string()),
        };
        let mut known = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if let SiteView::Unreachable(reason) = &view
            && !matches!(*known, SiteView::Unreachable(_))
        {
            tracing::warn!(site = %self.name, %reason, "the site does not answer");
        }
        *known = view;
    }
}

/// All configured sites, by name.
#[derive(Clone, Default)]
pub struct Sites(Arc<BTreeMap<String, Arc<Site>>>);

impl Sites {
    /// These sites; of two with one name the later counts (the configuration refuses that before).
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Self {
        Self(Arc::new(sites.into_iter().map(|site| (site.name.clone(), Arc::new(site))).collect()))
    }

    /// Connects every configured site through its adapter.
    ///
    /// # Errors
    /// An adapter that cannot be set up, in words.
    pub fn connect(configured: &[SiteConfig]) -> Result<Self, String> {
        let connect = |site: &SiteConfig| -> Result<Site, String> {
            let backend: Arc<dyn Backend> = match &site.adapter {
                AdapterConfig::NodeSocket { socket } => node(NodeAddress::Unix(socket.clone()), &site.name)?,
                AdapterConfig::Node { url, token } => {
                    node(NodeAddress::Tcp { url: url.clone(), token: token.clone() }, &site.name)?
                }
                AdapterConfig::SimulatorSocket { socket } => Arc::new(SimulatorClient::new(socket)),
                AdapterConfig::Simulator { boot_milliseconds } => {
                    let mut behaviour = Behaviour::default();
                    behaviour.delays.boot = Duration::from_millis(*boot_milliseconds);
                    Arc::new(Simulator::new(behaviour))
                }
            };
            let delay = match &site.adapter {
                // They answer for what they are just making.
                AdapterConfig::NodeSocket { .. }
                | AdapterConfig::Node { .. }
                | AdapterConfig::Simulator { .. }
                | AdapterConfig::SimulatorSocket { .. } => Duration::ZERO,
            };
            let delay = site.sighting_seconds.map_or(delay, Duration::from_secs);
            Ok(Site::new(site.name.clone(), backend).with_sighting_delay(delay))
        };
        configured.iter().map(connect).collect::<Result<Vec<_>, _>>().map(Self::new)
    }

    /// The site of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Site>> {
        self.0.get(name)
    }

    /// All sites in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.0.values()
    }
}

fn node(address: NodeAddress, site: &str) -> Result<Arc<dyn Backend>, String> {
    match NodeBackend::new(address) {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(error) => Err(format!("site {site}: {error}")),
    }
}
