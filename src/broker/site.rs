//! Sites as people see them: what they can do for everybody, how they are reached for those who look after them.

use backend::{Capability, Description};
use serde::Serialize;

use super::{Broker, BrokerError, permission};
use crate::{
    config::host_of,
    dispatch::{BreakerView, PresentSites, Site, SiteView},
    login::{Principal, Role},
    store::grant::{self, Grant, Place},
};

/// A site, as far as who asks may see it. It never holds a secret.
#[derive(Debug, Serialize)]
pub struct ShownSite {
    /// Its name.
    pub name: String,
    /// The mixin by which it is asked for.
    pub zone: String,
    /// The mixin that says of it what OCCI has words for; only while it answers.
    pub about: Option<String>,
    /// Whether it answers; nothing before it was asked.
    pub reachable: Option<bool>,
    /// What it says of itself; only while it answers.
    #[serde(flatten)]
    pub description: Option<Description>,
    /// What it cannot do, in words; only while it answers.
    pub cannot: Option<Vec<&'static str>>,
    /// For those who look after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// How a site is reached.
#[derive(Debug, Serialize)]
pub struct Operation {
    /// Its adapter's options, secrets hidden.
    pub adapter: serde_json::Value,
    /// The file that it stands in.
    pub origin: Option<String>,
    /// Why it does not answer.
    pub error: Option<String>,
    /// Why what is written down now cannot be used; the site is as it was before.
    pub refused: Option<String>,
    /// Whether calls to it go.
    pub breaker: Breaker,
}

/// Whether calls to a site go.
#[derive(Debug, Serialize)]
pub struct Breaker {
    /// `closed`: they go. `open`: none does. `half open`: one goes as a probe.
    pub state: String,
    /// For how long that has been so.
    pub for_seconds: u64,
    /// The last failure, until a call is answered.
    pub reason: Option<String>,
    /// How long until one goes.
    pub next_try_seconds: Option<u64>,
}

impl From<BreakerView> for Breaker {
    fn from(view: BreakerView) -> Self {
        Self {
            state: view.state.to_string(),
            for_seconds: view.since.elapsed().as_secs(),
            reason: view.reason,
            next_try_seconds: view.next_try.map(|left| left.as_secs()),
        }
    }
}

/// Which sites somebody looks after.
struct Care(Vec<Grant>);

impl Care {
    fn covers(&self, site: &str) -> bool {
        self.0.iter().any(|grant| match &grant.place {
            Place::Federation => grant.role == Role::FederationAdmin,
            Place::Site(name) => grant.role == Role::SiteAdmin && name == site,
            Place::Project(_) => false,
        })
    }
}

impl Broker {
    /// All sites; those that cannot be used as they are written down only for who looks after everything.
    ///
    /// # Errors
    /// They may not read; the store failed.
    pub async fn sites(&self, principal: &Principal) -> Result<Vec<ShownSite>, BrokerError> {
        let care = self.care_of(principal).await?;
        let present = self.inner.dispatch.sites().present();
        let mut shown: Vec<_> = present.iter().map(|site| self.shown_site(site, &present, &care)).collect();
        let unused = present.refused().iter().filter(|refused| present.get(&refused.name).is_none());
        for refused in unused.filter(|refused| care.covers(&refused.name)) {
            shown.push(self.unused_site(&refused.name, &refused.to_string()));
        }
        Ok(shown)
    }

    /// The site of this name.
    ///
    /// # Errors
    /// There is none; they may not read; the store failed.
    pub async fn site(&self, principal: &Principal, name: &str) -> Result<ShownSite, BrokerError> {
        let care = self.care_of(principal).await?;
        let present = self.inner.dispatch.sites().present();
        if let Some(site) = present.get(name) {
            return Ok(self.shown_site(site, &present, &care));
        }
        let refused = present.refused().iter().find(|refused| refused.name == name);
        match refused.filter(|_| care.covers(name)) {
            Some(refused) => Ok(self.unused_site(name, &refused.to_string())),
            None => Err(BrokerError::NotFound("site of this name; GET /sites lists them".into())),
        }
    }

    /// Whether a site reaches this server under this name, to fetch images.
    pub fn is_told_to_sites(&self, host: &str) -> bool {
        let present = self.inner.dispatch.sites().present();
        let mut addresses = present.iter().filter_map(|site| site.config()?.declaration().image_url());
        addresses.any(|address| host_of(address).is_some_and(|told| told == host))
    }

    async fn care_of(&self, principal: &Principal) -> Result<Care, BrokerError> {
        permission::to_read(principal)?;
        let user = principal.user;
        Ok(Care(self.inner.db.read_brief(move |connection| grant::of_user(connection, user)).await?))
    }

    fn shown_site(&self, site: &Site, present: &PresentSites, care: &Care) -> ShownSite {
        let (reachable, description, error) = match site.view() {
            SiteView::Unknown => (None, None, None),
            SiteView::Reachable(description) => (Some(true), Some(description), None),
            SiteView::Unreachable(reason) => (Some(false), None, Some(reason)),
        };
        let lacking = |description: &Description| {
            let all = Capability::ALL.into_iter();
            all.filter(|one| !description.capabilities.contain(*one)).map(Capability::deed).collect()
        };
        let operation = care.covers(&site.name).then(|| {
            let config = site.config();
            let adapter = config.map(|config| config.declaration().shown_adapter());
            let refused = present.refused().iter().find(|refused| refused.name == site.name);
            Operation {
                adapter: serde_json::to_value(adapter).unwrap_or_default(),
                origin: config.and_then(|config| config.declaration().origin()).map(|path| path.display().to_string()),
                error,
                refused: refused.map(ToString::to_string),
                breaker: site.breaker().into(),
            }
        });
        ShownSite {
            cannot: description.as_deref().map(lacking),
            about: description.is_some().then(|| format!("{}{}", self.inner.models.site_scheme(), site.name)),
            description: description.as_deref().cloned(),
            reachable,
            operation,
            ..self.named_site(&site.name)
        }
    }

    fn unused_site(&self, name: &str, reason: &str) -> ShownSite {
        let breaker = Breaker { state: "closed".into(), for_seconds: 0, reason: None, next_try_seconds: None };
        let operation = Operation {
            adapter: serde_json::Value::Null,
            origin: None,
            error: None,
            refused: Some(reason.to_owned()),
            breaker,
        };
        ShownSite { operation: Some(operation), ..self.named_site(name) }
    }

    fn named_site(&self, name: &str) -> ShownSite {
        let zone = format!("{}{name}", self.inner.models.zone_scheme());
        let name = name.to_owned();
        ShownSite { name, zone, about: None, reachable: None, description: None, cannot: None, operation: None }
    }
}
