//! WHEN it happens: sagas that lead what was accepted to its end, and reconciliation with what backends say.

pub mod adapter;
mod breaker;
mod change;
mod delivery;
#[cfg(test)]
mod faults;
mod guard;
mod image;
mod ledger;
mod link;
mod make;
mod object;
mod order;
mod orphan;
mod plan;
pub mod policy;
mod power;
mod provision;
mod queue;
mod reconcile;
pub mod reload;
mod removal;
mod replica;
mod saga;
mod save;
mod site;
mod standing;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;

pub use breaker::BreakerView;
pub use change::{Before, Change};
use ledger::AskedBy;
pub use ledger::usage;
pub use order::{LinkOrder, Order};
pub use plan::Planner;
pub use policy::Policy;
use policy::{Operation, Priority};
pub use power::PowerAction;
use queue::Queue;
pub use queue::QueueFull;
use saga::Engine;
pub use saga::Trial;
pub use save::SaveOrder;
pub use site::{PresentSites, Site, SiteView, Sites};
pub use standing::standing;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    request,
    shelf::Shelf,
    store::{Db, event, reservation::Usage},
};

/// How often what has happened is sealed when nobody is in a hurry.
const SEALING: std::time::Duration = std::time::Duration::from_millis(300);
/// Most events of one sealing.
const MOST_SEALED: i64 = 1000;

/// The handle that the broker holds.
#[derive(Clone)]
pub struct Dispatch {
    sites: Sites,
    queue: Arc<Queue>,
    engine: Arc<Engine>,
    shelf: Shelf,
}

impl Dispatch {
    /// Prepares the sagas over these sites and images. Nothing runs before [`Dispatch::run`].
    pub fn new(db: &Db, sites: Sites, shelf: impl Into<Shelf>, policy: Policy, trial: Trial) -> Self {
        let shelf = shelf.into();
        let definitions: Vec<Arc<dyn saga::Definition>> = vec![
            Arc::new(provision::Provision::new(sites.clone(), shelf.clone())),
            Arc::new(power::Power::new(sites.clone())),
            Arc::new(make::Make::new(sites.clone())),
            Arc::new(link::Link::new(sites.clone())),
            Arc::new(change::Changing::new(sites.clone())),
            Arc::new(save::Save::new(sites.clone(), Arc::clone(shelf.store()))),
            Arc::new(removal::Removal::new(sites.clone())),
        ];
        let queue = Arc::new(Queue::new(policy));
        let engine = Engine::new(db.clone(), definitions, sites.clone(), Arc::clone(&queue), trial);
        Self { sites, queue, engine: Arc::new(engine), shelf }
    }

    /// All sagas and their steps.
    #[cfg(test)]
    fn steps(&self) -> std::collections::BTreeMap<&'static str, &'static [&'static str]> {
        self.engine.steps()
    }

    /// The images, as they are handed out.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The sites, with what is known of them.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Writes plans down on behalf of the present request.
    pub fn planner(&self) -> Planner {
        let (request_id, actor) = (request::current(), request::actor());
        let trail = request::trail().map(String::from);
        Planner::new(Arc::clone(&self.queue), AskedBy { request_id, trail, actor, user: None })
    }

    /// Whether the site's queue takes one more request of a client. Asks nobody, so it costs nothing.
    ///
    /// # Errors
    /// It is full.
    pub fn admit(&self, site: &str, operation: Operation) -> Result<(), QueueFull> {
        self.queue.admit(site, operation, Priority::User)
    }

    /// Runs sagas and reconciliation until the token is cancelled; the handle ends when all is put away.
    pub fn run(&self, db: &Db, shutdown: &CancellationToken) -> JoinHandle<()> {
        let engine = Arc::clone(&self.engine);
        let (sites, db, shutdown) = (self.sites.clone(), db.clone(), shutdown.clone());
        tokio::spawn(async move {
            tokio::join!(
                engine.run(&shutdown),
                reconcile::run(&db, &sites, engine.replica(), &shutdown),
                seal(&db, &shutdown)
            );
        })
    }

    /// To be called when a saga was written: it is looked at now instead of at the next round.
    pub fn wake(&self, site: &str, operation: Operation) {
        self.queue.accepted(site, operation);
        self.engine.wake(site);
    }

    /// To be called when a removal was written, which may have cancelled other sagas.
    pub fn wake_cancelled(&self) {
        self.engine.wake_cancelled();
    }
}

/// By how much the change makes the entity take more of what is counted, or less.
pub fn growth(entity: &crate::store::entity::Entity, change: &Change) -> Usage {
    let taken = Order::of(entity).map(|order| ledger::usage(&order)).unwrap_or_default();
    change.usage(taken).minus(taken)
}

/// Whether the saga ends, when all goes well, with a machine that runs.
pub fn leads_to_running(saga: &crate::store::saga::Saga) -> bool {
    saga.name == provision::NAME || (saga.name == power::NAME && PowerAction::leads_to_running(saga))
}

/// Gives events their places in the log. Any replica may; one does at a time.
async fn seal(db: &Db, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match db.write_locking(|connection| event::seal(connection, MOST_SEALED)).await {
            Ok(0) => {}
            Ok(_) => db.event_bell().ring(),
            Err(error) => tracing::warn!(%error, "events could not be sealed"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(SEALING) => {}
        }
    }
}
