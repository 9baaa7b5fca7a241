//! WHAT may happen: one file per domain concept. Knows entities, sites and images, and neither HTTP nor a hypervisor.

mod compute;
mod creation;
mod error;
mod model;
mod order;
mod placement;
mod update;
mod user_mixin;

use std::sync::Arc;

pub use compute::{MOST_LISTED, Page, Shown};
pub use error::BrokerError;
use model::Models;
pub use update::Membership;

use crate::{config::Config, dispatch::Dispatch, store::Db};

/// The broker, as the doors hold it. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    dispatch: Dispatch,
    models: Models,
    default_appliance: Option<String>,
    public_url: Option<String>,
}

impl Broker {
    /// A broker over this store and these sites.
    ///
    /// # Errors
    /// The configuration names sizes that make no model.
    pub fn new(db: Db, dispatch: Dispatch, config: &Config) -> Result<Self, BrokerError> {
        let models = Models::new(config, dispatch.sites())?;
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let default_appliance = given(&config.occi.default_appliance);
        let public_url = given(&config.occi.public_url);
        Ok(Self { inner: Arc::new(Inner { db, dispatch, models, default_appliance, public_url }) })
    }

    /// The store, for the login.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// What the world calls this server, if that is configured.
    pub fn public_url(&self) -> Option<&str> {
        self.inner.public_url.as_deref()
    }
}
