//! WHEN it happens: sagas that lead what was accepted to its end, and reconciliation with what backends say.

mod image;
mod power;
mod provision;
mod reconcile;
mod removal;
mod saga;
mod site;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use power::PowerAction;
pub use saga::Engine;
#[cfg(test)]
pub use site::Site;
pub use site::{SiteView, Sites};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{
    Db, DbConnection, StoreError,
    entity::{self, EntityId},
    saga::NewSaga,
};
use backend::IntentTag;
use image_store::ImageStore;

/// The handle that the broker holds.
#[derive(Clone)]
pub struct Dispatch {
    sites: Sites,
    engine: Arc<Engine>,
}

impl Dispatch {
    /// Prepares the sagas over these sites and images. Nothing runs before [`Dispatch::run`].
    pub fn new(db: &Db, sites: Sites, images: &Arc<ImageStore>) -> Self {
        let definitions: Vec<Arc<dyn saga::Definition>> = vec![
            Arc::new(provision::Provision::new(sites.clone(), Arc::clone(images))),
            Arc::new(power::Power::new(sites.clone())),
            Arc::new(removal::Removal::new(sites.clone())),
        ];
        Self { sites, engine: Arc::new(Engine::new(db.clone(), definitions)) }
    }

    /// The sites, with what is known of them.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Runs sagas and reconciliation until the token is cancelled; the handle ends when all is put away.
    pub fn run(&self, db: &Db, shutdown: &CancellationToken) -> JoinHandle<()> {
        let engine = Arc::clone(&self.engine);
        let (sites, db, shutdown) = (self.sites.clone(), db.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::join!(engine.run(&shutdown), reconcile::run(&db, &sites, &shutdown));
        })
    }

    /// To be called when a saga was written: it is looked at now instead of at the next round.
    pub fn wake(&self) {
        self.engine.wake();
    }

    /// To be called when a removal was written, which may have cancelled other sagas.
    pub fn wake_cancelled(&self) {
        self.engine.wake_cancelled();
    }
}

/// Writes down, in the caller's transaction, that the entity's machine is to be made.
///
/// # Errors
/// The database failed.
pub fn plan_provision(
    connection: &mut DbConnection,
    entity: EntityId,
    site: &str,
    tag: IntentTag,
) -> Result<(), StoreError> {
    let saga = new_saga(provision::NAME, entity, None, serde_json::Value::Null);
    crate::store::saga::insert(connection, &saga)?;
    crate::store::intent::insert(connection, tag, entity, saga.id, site)
}

/// Writes down, in the caller's transaction, that the entity's machine is to start, stop or restart.
///
/// # Errors
/// The database failed.
pub fn plan_power(connection: &mut DbConnection, entity: EntityId, action: PowerAction) -> Result<(), StoreError> {
    let parameters = serde_json::to_value(action).map_err(|error| StoreError::Unreadable {
        table: "sagas",
        id: entity.to_string(),
        reason: error.to_string(),
    })?;
    crate::store::saga::insert(connection, &new_saga(power::NAME, entity, None, parameters))?;
    entity::set_message(connection, entity, Some(action.announcement()))
}

/// Writes down, in the caller's transaction, that nothing of the entity is to be left: what still runs for it is
/// cancelled, and the removal waits for that to be undone.
///
/// # Errors
/// The database failed.
pub fn plan_removal(connection: &mut DbConnection, entity: EntityId) -> Result<(), StoreError> {
    let unfinished = crate::store::saga::unfinished_of(connection, entity)?;
    for saga in &unfinished {
        crate::store::saga::request_cancel(connection, saga.id)?;
    }
    entity::request_removal(connection, entity)?;
    let last = unfinished.last().map(|saga| saga.id);
    crate::store::saga::insert(connection, &new_saga(removal::NAME, entity, last, serde_json::Value::Null))
}

fn new_saga(name: &'static str, entity: EntityId, blocked_by: Option<Uuid>, parameters: serde_json::Value) -> NewSaga {
    NewSaga { id: Uuid::now_v7(), name, entity, blocked_by, parameters }
}
