//! The loop that claims sagas and lets workers lead them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backend::request::{self, RequestId, Trail};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Definition, Outcome, Run, Trial, lead::Leader, run::begin};
use crate::{
    dispatch::{
        guard::lease_check,
        policy::Operation,
        queue::{MOST_AT_ONCE, Queue, in_words},
        replica::{Replica, Right},
        site::Sites,
    },
    measured,
    store::{
        Db, StoreError, Timestamp, event,
        saga::{self, Saga, SagaState},
    },
};

/// How often the table is looked at when nobody wakes the engine.
const ROUND: Duration = Duration::from_millis(500);
/// How often all sagas are counted, for people.
const CENSUS: Duration = Duration::from_secs(5);
/// Claims come together: what wakes the engine within this time after a claim is served by one transaction.
const GATHER: Duration = Duration::from_millis(4);
/// How many sagas of one site one process works on at once; the policy's bound is for all processes together.
const MOST_OF_A_SITE: u32 = 256;
/// How many that have waited past their time one transaction ends.
const MOST_EXPIRED: i64 = 100;
/// How long a saga rests that this version does not know.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(30);

type Definitions = BTreeMap<&'static str, Arc<dyn Definition>>;

/// Runs sagas; any number of engines may share one database.
pub struct Engine {
    db: Db,
    definitions: Arc<Definitions>,
    sites: Sites,
    queue: Arc<Queue>,
    replica: Arc<Replica>,
    trial: Trial,
    /// Sites where something may be due.
    woken: Mutex<BTreeSet<String>>,
    wake: Notify,
    // Counts. Only cancellations wake the workers, each of which then asks the database about its own.
    cancellations: watch::Sender<u64>,
}

impl Engine {
    /// An engine for these definitions at these sites.
    pub fn new(db: Db, definitions: Vec<Arc<dyn Definition>>, sites: Sites, queue: Arc<Queue>, trial: Trial) -> Self {
        let definitions = definitions.into_iter().map(|definition| (definition.name(), definition)).collect();
        Self {
            replica: Arc::new(Replica::new(db.clone(), sites.clone())),
            db,
            definitions: Arc::new(definitions),
            sites,
            queue,
            trial,
            woken: Mutex::default(),
            wake: Notify::new(),
            cancellations: watch::Sender::new(0),
        }
    }

    /// All sagas and their steps.
    #[cfg(test)]
    pub fn steps(&self) -> BTreeMap<&'static str, &'static [&'static str]> {
        self.definitions.iter().map(|(name, definition)| (*name, definition.steps())).collect()
    }

    /// This process among others.
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Looks at once at what is due at the site, instead of at the next round.
    pub fn wake(&self, site: &str) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).insert(site.to_owned());
        self.wake.notify_one();
    }

    fn wake_all(&self) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).extend(self.sites.names());
        self.wake.notify_one();
    }

    /// Lets every saga that is being worked on look whether it was cancelled.
    pub fn wake_cancelled(&self) {
        self.cancellations.send_modify(|count| *count = count.wrapping_add(1));
        self.wake_all();
    }

    /// Works until the token is cancelled, then gives everything back.
    pub async fn run(self: &Arc<Self>, shutdown: &CancellationToken) {
        tokio::join!(self.replica.live(shutdown, || self.wake_all()), self.work(shutdown));
        self.replica.leave().await;
    }

    async fn work(self: &Arc<Self>, shutdown: &CancellationToken) {
        let mut workers = JoinSet::new();
        let mut busy: BTreeMap<String, u32> = BTreeMap::new();
        let (mut round, mut census) = (Instant::now(), Instant::now());
        let mut claimed = round;
        while !shutdown.is_cancelled() {
            if let Some(right) = self.replica.right() {
                if Instant::now() >= round {
                    round = Instant::now() + ROUND;
                    self.look_round().await;
                }
                if Instant::now() >= census {
                    census = Instant::now() + CENSUS;
                    self.take_census().await;
                }
                let woken = std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
                claimed = Instant::now();
                for site in woken {
                    let free = MOST_OF_A_SITE.saturating_sub(busy.get(&site).copied().unwrap_or(0));
                    for saga in self.claim(&right, &site, free).await {
                        *busy.entry(site.clone()).or_default() += 1;
                        let (engine, right, stop) = (Arc::clone(self), right.clone(), shutdown.child_token());
                        let span = tracing::info_span!(
                            "saga", id = %saga.id, name = %saga.name, entity = %saga.entity, site = %saga.site,
                            request_id = saga.request_id.as_deref().unwrap_or_default(),
                        );
                        workers.spawn(async move { engine.work_on(saga, right, stop).await }.instrument(span));
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                // Whoever comes when nobody has come for a while does not wait for others.
                () = self.wake.notified() => tokio::time::sleep_until(claimed + GATHER).await,
                () = tokio::time::sleep_until(round.max(Instant::now() + GATHER)) => {}
                Some(ended) = workers.join_next() => self.note_end(ended, &mut busy),
            }
            while let Some(ended) = workers.try_join_next() {
                self.note_end(ended, &mut busy);
            }
        }
        while workers.join_next().await.is_some() {}
    }

    fn note_end(&self, ended: Result<String, tokio::task::JoinError>, busy: &mut BTreeMap<String, u32>) {
        match ended {
            Ok(site) => {
                if let Some(count) = busy.get_mut(&site) {
                    *count = count.saturating_sub(1);
                }
                self.wake(&site);
            }
            // A worker that panicked holds its saga until this process ends; that is told, and must not happen.
            Err(error) => tracing::error!(%error, "a worker ended in the middle of a saga"),
        }
    }

    /// What nobody wakes the engine for: what is due by the clock, what has waited too long, what others accepted.
    async fn look_round(&self) {
        match self.db.read(saga::waiting).await {
            Ok(rows) => self.queue.count(&rows),
            Err(error) => tracing::warn!(%error, "the queues cannot be counted"),
        }
        self.wake_all();
        self.end_expired().await;
    }

    /// Shows how many sagas there are, in which states, and how much of the log is not sealed yet.
    async fn take_census(&self) {
        let counted = self.db.read(|connection| Ok((saga::census(connection)?, event::unsealed(connection)?))).await;
        let Ok((census, unsealed)) = counted else { return };
        metrics::gauge!(measured::EVENTS_UNSEALED).set(unsealed as f64);
        for state in [SagaState::Running, SagaState::Unwinding] {
            for operation in Operation::ALL {
                let key = (state.as_str().to_owned(), operation.as_str().to_owned());
                let count = census.get(&key).copied().unwrap_or(0);
                metrics::gauge!(measured::SAGAS, "state" => state.as_str(), "operation" => operation.as_str())
                    .set(count as f64);
            }
        }
    }

    /// Ends what has waited past its time. It was never begun, so there is nothing to undo.
    async fn end_expired(&self) {
        let definitions = Arc::clone(&self.definitions);
        let ended = self
            .db
            .write_locking(move |connection| {
                let expired = saga::expired(connection, MOST_EXPIRED)?;
                for saga in &expired {
                    let waited = Duration::from_secs_f64(Timestamp::now().seconds_since(saga.created_at).max(0.0));
                    let reason = format!("it waited {} for its turn and was given up", in_words(waited));
                    if saga::drop_if_waiting(connection, saga.id, &reason)?
                        && let Some(definition) = definitions.get(saga.name.as_str())
                    {
                        definition.settle(connection, saga, &Outcome::Undone(reason))?;
                    }
                }
                Ok(expired.len())
            })
            .await;
        match ended {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "requests have waited past their time and are given up"),
            Err(error) => tracing::warn!(%error, "what has waited past its time could not be ended"),
        }
    }

    /// Claims and begins what there is room for.
    async fn claim(&self, right: &Right, site: &str, free: u32) -> Vec<Saga> {
        if free == 0 {
            return Vec::new();
        }
        let (queue, definitions) = (Arc::clone(&self.queue), Arc::clone(&self.definitions));
        let (owner, name) = (Arc::clone(&right.replica), site.to_owned());
        let claimed = self
            .db
            .write_locking(move |connection| {
                let claimed = queue.claim(connection, &owner, &name, free)?;
                for saga in &claimed {
                    if let Some(definition) = definitions.get(saga.name.as_str())
                        && !saga.cancelled
                    {
                        begin(connection, definition.as_ref(), saga)?;
                    }
                }
                Ok(claimed)
            })
            .await;
        match claimed {
            Ok(claimed) => {
                if !claimed.is_empty() {
                    self.queue.begun(site, &claimed);
                    // Otherwise whatever had room was taken; who gives room back wakes the engine.
                    if claimed.len() >= MOST_AT_ONCE as usize {
                        self.wake(site);
                    }
                }
                claimed
            }
            Err(error) => {
                tracing::error!(%error, site, "sagas could not be claimed");
                Vec::new()
            }
        }
    }

    /// Leads the saga, and answers its site.
    async fn work_on(&self, saga: Saga, right: Right, stop: CancellationToken) -> String {
        let site = saga.site.clone();
        let Some(definition) = self.definitions.get(saga.name.as_str()).map(Arc::clone) else {
            tracing::error!("nobody knows this saga; was the broker downgraded?");
            let error = "unknown to this version";
            let _ = self.db.write_locking(move |c| saga::postpone(c, &saga, UNKNOWN_PAUSE, error)).await;
            return site;
        };
        let lost = right.lost.clone();
        let mut leader = Leader {
            definition,
            trial: self.trial.clone(),
            cancellations: self.cancellations.subscribe(),
            stop: stop.clone(),
        };
        // Known wherever the steps lead, to the backend and back.
        let id = saga.request_id.clone().unwrap_or_else(|| saga.id.to_string());
        let backend_id = RequestId::try_from(id.clone()).ok();
        let trail: Trail = saga.trail.as_deref().and_then(|trail| trail.parse().ok()).unwrap_or_default();
        let mut run = Run::new(saga, self.db.clone());
        let leading = crate::request::scope_behind(id, trail.clone(), Box::pin(leader.lead(&mut run)));
        let leading = lease_check::scope(Arc::new(move || right.holds()), leading);
        let leading = async {
            match backend_id {
                Some(id) => request::scope(id, request::trail_scope(trail, leading)).await,
                None => request::trail_scope(trail, leading).await,
            }
        };
        let led = tokio::select! {
            led = leading => led,
            // Another replica goes on. What is being asked of a backend at this moment is found again by its tag.
            () = lost.cancelled() => Ok(()),
        };
        match led {
            Ok(()) => {}
            Err(StoreError::Fenced(_)) => tracing::warn!("a saga was taken over by another replica"),
            Err(error) => {
                tracing::warn!(%error, "a saga was left");
                self.hand_back(&run.saga).await;
            }
        }
        site
    }

    /// Gives up a saga that is still held, so that it is tried again soon. If even that fails, it stays held until this
    /// process ends or loses its right.
    async fn hand_back(&self, held: &Saga) {
        for pause in [200, 1000, 5000, 20_000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let saga = held.clone();
            let back = self
                .db
                .write_locking(move |connection| {
                    let error = saga.error.clone().unwrap_or_default();
                    saga::postpone(connection, &saga, Duration::ZERO, &error)
                })
                .await;
            match back {
                Ok(()) | Err(StoreError::Fenced(_)) => return,
                Err(error) => tracing::warn!(%error, "a saga could not be handed back"),
            }
        }
    }
}
