//! WHEN it happens: sagas that lead what was accepted to its end, and reconciliation with what backends say.

mod breaker;
mod change;
#[cfg_attr(not(test), expect(dead_code, reason = "stands before every backend once sites are connected through it"))]
mod guard;
mod image;
mod link;
mod make;
mod object;
mod order;
#[cfg_attr(not(test), expect(dead_code, reason = "asked by the queue of sagas, which comes next"))]
mod policy;
mod power;
mod provision;
mod reconcile;
mod removal;
mod saga;
mod save;
mod site;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;

pub use change::{Before, Change};
pub use order::{LinkOrder, Order};
pub use policy::Policy;
pub use power::PowerAction;
pub use saga::Engine;
pub use save::SaveOrder;
pub use site::{Site, SiteView, Sites};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{
    Db, DbConnection, StoreError,
    entity::{self, EntityId, EntityState},
    saga::NewSaga,
};
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
            Arc::new(make::Make::new(sites.clone())),
            Arc::new(link::Link::new(sites.clone())),
            Arc::new(change::Changing::new(sites.clone())),
            Arc::new(save::Save::new(sites.clone(), Arc::clone(images))),
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

/// Writes down, in the caller's transaction, that what the entity stands for is to be made at its site.
///
/// # Errors
/// The database failed.
pub fn plan_making(
    connection: &mut DbConnection,
    entity: EntityId,
    site: &str,
    order: &Order,
) -> Result<(), StoreError> {
    let name = match order {
        Order::Machine(_) => provision::NAME,
        Order::Link(_) => link::NAME,
        _ => make::NAME,
    };
    let saga = NewSaga { blocked_by: last_of_ends(connection, entity, order)?, ..new_saga(name, entity) };
    crate::store::saga::insert(connection, &saga)?;
    crate::store::intent::insert(connection, order.tag(), entity, saga.id, site)
}

/// The saga that a new link has to wait for: the last one of its source, or else of its target.
fn last_of_ends(connection: &mut DbConnection, id: EntityId, order: &Order) -> Result<Option<Uuid>, StoreError> {
    let Order::Link(_) = order else { return Ok(None) };
    let Some(link) = entity::find_for_dispatch(connection, id)? else { return Ok(None) };
    let target = match link.target {
        Some(entity::LinkTarget::Entity(target)) => Some(target),
        _ => None,
    };
    for end in link.source.into_iter().chain(target) {
        if let Some(saga) = crate::store::saga::unfinished_of(connection, end)?.last() {
            return Ok(Some(saga.id));
        }
    }
    Ok(None)
}

/// Writes down, in the caller's transaction, that the entity's machine is to start, stop, restart or freeze.
///
/// # Errors
/// The database failed.
pub fn plan_power(connection: &mut DbConnection, entity: EntityId, action: PowerAction) -> Result<(), StoreError> {
    let parameters = to_parameters(entity, &action)?;
    crate::store::saga::insert(connection, &NewSaga { parameters, ..new_saga(power::NAME, entity) })?;
    entity::set_message(connection, entity, Some(action.announcement()))
}

/// Whether the saga ends, when all goes well, with a machine that runs.
pub fn leads_to_running(saga: &crate::store::saga::Saga) -> bool {
    saga.name == provision::NAME || (saga.name == power::NAME && PowerAction::leads_to_running(saga))
}

/// Writes down, in the caller's transaction, that what the entity stands for is to change. `before` is what it said of
/// itself until now, where that changes too.
///
/// # Errors
/// The database failed.
pub fn plan_change(
    connection: &mut DbConnection,
    entity: EntityId,
    state: EntityState,
    change: Change,
    before: Option<Before>,
) -> Result<(), StoreError> {
    let announcement = change.announcement();
    let parameters = to_parameters(entity, &change::Plan { change, state: state.as_str().to_owned(), before })?;
    crate::store::saga::insert(connection, &NewSaga { parameters, ..new_saga(change::NAME, entity) })?;
    entity::set_message(connection, entity, Some(announcement))
}

/// Writes down, in the caller's transaction, that the entity's disk is to become an appliance.
///
/// # Errors
/// The database failed.
pub fn plan_save(connection: &mut DbConnection, entity: EntityId, order: &SaveOrder) -> Result<(), StoreError> {
    let parameters = to_parameters(entity, order)?;
    crate::store::saga::insert(connection, &NewSaga { parameters, ..new_saga(save::NAME, entity) })?;
    entity::set_message(connection, entity, Some("the disk is to be saved"))
}

/// Writes down, in the caller's transaction, that nothing of the entity is to be left, nor of the links from and to
/// it: what still runs for them is cancelled, and the removal waits for that to be undone.
///
/// # Errors
/// The database failed.
pub fn plan_removal(connection: &mut DbConnection, entity: EntityId) -> Result<(), StoreError> {
    // Its own links go with it; those of others that lead here are parted from their machines first.
    for link in entity::links_from(connection, &[entity])? {
        cancel_all(connection, link.id)?;
        entity::request_removal(connection, link.id)?;
    }
    for link in entity::links_to(connection, entity)? {
        plan_removal_of_one(connection, link.id)?;
    }
    plan_removal_of_one(connection, entity)
}

fn plan_removal_of_one(connection: &mut DbConnection, entity: EntityId) -> Result<(), StoreError> {
    let blocked_by = cancel_all(connection, entity)?;
    entity::request_removal(connection, entity)?;
    crate::store::saga::insert(connection, &NewSaga { blocked_by, ..new_saga(removal::NAME, entity) })
}

/// Cancels what runs for the entity, and names the last of it.
fn cancel_all(connection: &mut DbConnection, entity: EntityId) -> Result<Option<Uuid>, StoreError> {
    let unfinished = crate::store::saga::unfinished_of(connection, entity)?;
    for saga in &unfinished {
        crate::store::saga::request_cancel(connection, saga.id)?;
    }
    Ok(unfinished.last().map(|saga| saga.id))
}

fn to_parameters(entity: EntityId, parameters: &impl serde::Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(parameters).map_err(|error| StoreError::Unreadable {
        table: "sagas",
        id: entity.to_string(),
        reason: error.to_string(),
    })
}

fn new_saga(name: &'static str, entity: EntityId) -> NewSaga {
    NewSaga { id: Uuid::now_v7(), name, entity, blocked_by: None, parameters: serde_json::Value::Null }
}
