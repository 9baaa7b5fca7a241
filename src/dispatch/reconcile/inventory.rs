//! What a site says that it has, all kinds of it.

use std::collections::BTreeMap;

use backend::{BackendError, IntentTag, Listing, Machine};
use serde_json::json;

use crate::{dispatch::site::Site, measured};

/// Something with a tag of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What it is: `machine`, `volume`, `network`.
    pub kind: &'static str,
    /// The backend's name for it.
    pub backend_id: String,
    /// The tag that it carries.
    pub tag: IntentTag,
    /// What else is told of it.
    pub facts: serde_json::Value,
}

/// Everything that a site lists.
#[derive(Default)]
pub struct Inventory {
    /// By name, as the backend calls them.
    pub machines: BTreeMap<String, Machine>,
    /// By name; nothing if the site does not list them.
    pub volumes: Option<BTreeMap<String, IntentTag>>,
    /// By name; nothing if the site does not list them.
    pub networks: Option<BTreeMap<String, IntentTag>>,
    /// Why some could not be read.
    pub unreadable: Vec<String>,
    /// How many those are.
    pub unreadable_count: usize,
}

impl Inventory {
    /// What the site has now. Volumes and networks are left out where it cannot say.
    pub async fn of(site: &Site) -> Result<Self, BackendError> {
        let mut inventory = Self::default();
        let machines = inventory.take(site.backend.machines().await?);
        inventory.machines = machines.into_iter().map(|machine| (machine.id.to_string(), machine)).collect();
        if let Some(volumes) = site.backend.volumes()
            && let Ok(listing) = volumes.volumes().await
        {
            let listed = inventory.take(listing);
            inventory.volumes = Some(listed.into_iter().map(|volume| (volume.id.to_string(), volume.tag)).collect());
        }
        if let Some(networks) = site.backend.networks()
            && let Ok(listing) = networks.networks().await
        {
            let listed = inventory.take(listing);
            inventory.networks = Some(listed.into_iter().map(|one| (one.id.to_string(), one.tag)).collect());
        }
        Ok(inventory)
    }

    fn take<T>(&mut self, listing: Listing<T>) -> Vec<T> {
        self.unreadable_count += listing.unreadable.len() + listing.more_unreadable;
        self.unreadable.extend(listing.unreadable);
        listing.objects
    }

    /// Says what could not be read.
    pub fn report(&self, site: &str) {
        let count = u32::try_from(self.unreadable_count).unwrap_or(u32::MAX);
        metrics::gauge!(measured::UNREADABLE_OBJECTS, "site" => site.to_owned()).set(count);
        if let Some(first) = self.unreadable.first() {
            let count = self.unreadable_count;
            tracing::debug!(site, count, first, "objects of the site cannot be read; the others are not concerned");
        }
    }

    /// Everything, to be compared with what was asked for.
    pub fn everything(&self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self
            .machines
            .values()
            .map(|machine| Listed {
                kind: "machine",
                backend_id: machine.id.to_string(),
                tag: machine.tag,
                facts: json!({ "name": machine.name, "state": machine.state, "size": machine.size }),
            })
            .collect();
        for (kind, objects) in [("volume", &self.volumes), ("network", &self.networks)] {
            listed.extend(objects.iter().flatten().map(|(backend_id, tag)| Listed {
                kind,
                backend_id: backend_id.clone(),
                tag: *tag,
                facts: json!({}),
            }));
        }
        listed
    }
}
