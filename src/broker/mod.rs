//! WHAT may happen: one file per domain concept. Knows entities, sites and images, and neither HTTP nor a hypervisor.

mod ability;
mod action;
mod compute;
mod creation;
mod entity;
mod error;
mod events;
mod image;
mod ip_reservation;
mod link;
mod listing;
mod market;
mod model;
mod network;
mod permission;
mod placement;
mod quota;
mod readiness;
mod repetition;
mod security_group;
mod site;
mod site_mixin;
mod storage;
#[cfg(test)]
mod tests;
mod update;
mod user_mixin;

use std::sync::Arc;

pub use action::Acted;
pub use creation::Address;
pub use entity::Shown;
pub use error::BrokerError;
#[cfg(test)]
pub use events::ToldEntity;
pub use events::{EventsRead, ToldEvent};
pub use listing::{Listing, MOST_AT_ONCE, Page, Selected};
use model::Models;
pub use readiness::Readiness;
pub use repetition::Repeatable;
pub use update::Membership;

use occi_schema::Mode;

use crate::{
    config::Config,
    dispatch::{Dispatch, Planner},
    login::Principal,
    store::Db,
};

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
    announces_json: bool,
    legacy_json: bool,
    never_gone_for: Vec<String>,
    database_check: readiness::DatabaseCheck,
    market: Option<market::Market>,
}

impl Broker {
    /// This broker and those behind it, the nearest first, as they are told to others; nothing where this process has no
    /// id.
    pub fn brokers(&self) -> Option<String> {
        let mut brokers = vec![crate::request::broker()?.to_string()];
        for site in self.inner.dispatch.sites().present().iter() {
            let Some(description) = site.description() else { continue };
            for behind in &description.particulars.brokers {
                if brokers.len() < backend::request::Trail::MOST && !brokers.contains(behind) {
                    brokers.push(behind.clone());
                }
            }
        }
        Some(brokers.join(","))
    }

    /// A broker over this store and these sites.
    ///
    /// # Errors
    /// The configuration names sizes that make no model.
    pub fn new(db: Db, dispatch: Dispatch, config: &Config) -> Result<Self, BrokerError> {
        let models = Models::new(config, dispatch.sites())?;
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let default_appliance = given(&config.occi.default_appliance);
        let (announces_json, legacy_json) = (config.occi.announce_json, config.occi.legacy_json);
        let never_gone_for = config.occi.never_gone_for.clone();
        let inner = Inner {
            db,
            dispatch,
            models,
            default_appliance,
            announces_json,
            legacy_json,
            never_gone_for,
            database_check: readiness::DatabaseCheck::default(),
            market: market::Market::new(&config.marketplace),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes down what this principal has asked for.
    fn planner(&self, principal: &Principal) -> Planner {
        self.inner.dispatch.planner().asked_by(principal.user, principal.actor())
    }

    /// The store, for the login.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// Whether deployed clients or the documents decide.
    pub fn mode(&self) -> Mode {
        self.inner.models.mode()
    }

    /// Whether answers say that JSON is taken.
    pub fn announces_json(&self) -> bool {
        self.inner.announces_json
    }

    /// Whether this client understands that something was deleted.
    pub fn tells_gone_to(&self, user_agent: &str) -> bool {
        !self.inner.never_gone_for.iter().any(|beginning| user_agent.starts_with(beginning.as_str()))
    }

    /// Whether JSON is that of rOCCI 4.
    pub fn speaks_legacy_json(&self) -> bool {
        self.inner.legacy_json
    }
}
