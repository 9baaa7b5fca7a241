//! Compares what backends say with what is remembered. Backends are the truth about machines, the store is the truth
//! about ownership.
//!
//! - What is missing is gone only when it was missing twice in a row and the backend, asked for it by name, does not know
//!   it either: a list may be stale.
//! - What changes its mind is believed the more slowly the more often it has done so.
//! - What carries a tag of ours and belongs to nobody is kept apart and listed; nothing is ever deleted here.
//! - One replica does this for a site at a time; all of them ask the site what it is.

mod doubt;
mod inventory;
mod owned;
mod strangers;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use backend::BackendError;
use tokio_util::sync::CancellationToken;

use self::{doubt::Doubts, inventory::Inventory, strangers::Strangers};
use super::{
    replica::Replica,
    site::{Site, SiteView, Sites},
};
use crate::store::{Db, StoreError, Timestamp, entity::EntityId};

const ROUND: Duration = Duration::from_secs(1);
/// How much longer a pause is than the work before it.
const REST: u32 = 9;
/// The longest pause before a site that does not answer is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// No round may take longer: a backend that hangs is a backend that does not answer.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Lists of machines, volumes and networks, one after the other; a large cloud has many pages.
const INVENTORY_LIMIT: Duration = Duration::from_secs(180);

/// Reconciles every site in its own task, so that a slow one holds up no other. Sites that come are looked at at once,
/// those that go are left alone.
pub async fn run(db: &Db, sites: &Sites, replica: &Arc<Replica>, shutdown: &CancellationToken) {
    let mut tasks = tokio::task::JoinSet::new();
    let mut exchanges = sites.subscribe();
    let mut watched: BTreeMap<String, (Arc<Site>, CancellationToken)> = BTreeMap::new();
    while !shutdown.is_cancelled() {
        let present = Arc::clone(&exchanges.borrow_and_update());
        watched.retain(|name, (site, stop)| {
            let stays = present.get(name).is_some_and(|now| Arc::ptr_eq(now, site));
            if !stays {
                stop.cancel();
            }
            stays
        });
        for site in present.iter() {
            if watched.contains_key(&site.name) {
                continue;
            }
            let watch = Watch {
                db: db.clone(),
                site: Arc::clone(site),
                missing: BTreeMap::new(),
                doubts: Doubts::default(),
                strangers: Strangers::default(),
            };
            let (replica, stop) = (Arc::clone(replica), shutdown.child_token());
            watched.insert(site.name.clone(), (Arc::clone(site), stop.clone()));
            tasks.spawn(async move { watch.run(&replica, &stop).await });
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = exchanges.changed() => {}
        }
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

/// One site under watch. What it holds may be lost with the process: another one looks for itself.
struct Watch {
    db: Db,
    site: Arc<Site>,
    /// How often in a row each has been missing.
    missing: BTreeMap<EntityId, u32>,
    doubts: Doubts,
    strangers: Strangers,
}

impl Watch {
    async fn run(mut self, replica: &Replica, shutdown: &CancellationToken) {
        let mut failures = 0;
        loop {
            let round = async {
                let began = Instant::now();
                let answers = self.round(replica.watches(&self.site.name)).await;
                // Many machines take long to compare: at most a tenth of the time goes into it.
                let pause = ROUND.max(began.elapsed() * REST);
                (answers, pause)
            };
            let (answers, pause) = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = round => outcome,
            };
            failures = if answers { 0 } else { failures + 1_u32 };
            let pause = pause.max(ROUND.saturating_mul(1 << failures.min(6))).min(LONGEST_PAUSE.max(pause));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(with_jitter(pause)) => {}
            }
        }
    }

    /// One look at the site; answers whether it answers.
    async fn round(&mut self, is_ours: bool) -> bool {
        // The description outlives one silent call: only `look` itself decides that the site is away.
        if tokio::time::timeout(CALL_LIMIT, self.site.look()).await.is_err() {
            tracing::warn!(site = %self.site.name, "the site does not answer in time");
            return false;
        }
        if matches!(self.site.view(), SiteView::Unreachable(_)) {
            return false;
        }
        if !is_ours {
            // Whoever watches next begins without prejudice.
            (self.missing, self.doubts, self.strangers) = Default::default();
            return true;
        }
        if let Err(error) = self.compare().await {
            tracing::warn!(site = %self.site.name, %error, "a round of reconciliation failed");
        }
        true
    }

    async fn compare(&mut self) -> Result<(), StoreError> {
        // What was written after the backend was asked is newer than its answer.
        let asked_at = Timestamp::now();
        let inventory = match tokio::time::timeout(INVENTORY_LIMIT, Inventory::of(&self.site)).await {
            Ok(Ok(inventory)) => inventory,
            // `look` reports a silent site.
            Ok(Err(BackendError::Unreachable(_))) | Err(_) => return Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(site = %self.site.name, %error, "the site cannot list its machines");
                return Ok(());
            }
        };
        inventory.report(&self.site.name);
        let owned = self.compare_owned(&inventory, asked_at).await?;
        self.strangers.look(&self.db, &self.site.name, &inventory, &owned).await
    }
}

/// Up to a quarter more, so that many do not come at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut byte = [0_u8];
    let spread = getrandom::fill(&mut byte).map_or(0, |()| u32::from(byte[0]));
    pause + pause * spread / 1024
}
