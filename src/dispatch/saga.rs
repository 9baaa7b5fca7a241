//! The engine: claims due sagas, does or undoes their steps, and writes down before and after.
//!
//! Promises, whatever dies when:
//! - a step may be done more than once, never skipped; definitions make their steps idempotent by the intent's tag;
//! - undoing starts at the step that failed, since its effect may have happened without an answer;
//! - nobody writes for a saga without holding its lease: every transaction checks the fence first;
//! - the transaction that ends a saga also writes what the owner of the entity sees.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{
    Db, DbConnection, StoreError, Timestamp,
    saga::{self, Saga, SagaState},
};

/// How long an owner may be silent before another one takes over.
const LEASE: Duration = Duration::from_secs(15);
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How often the table is looked at when nobody wakes the engine.
const ROUND: Duration = Duration::from_millis(500);
/// How many sagas one process works on at once.
const AT_ONCE: usize = 64;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a step was not done.
#[derive(Debug)]
pub enum StepFailure {
    /// It may work later.
    Passing(String),
    /// It will never work.
    Lasting(String),
    /// The store failed, or another owner has taken over.
    Store(StoreError),
}

impl From<StoreError> for StepFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How a saga ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Done,
    /// All steps are undone, for this reason.
    Undone(String),
}

/// What a saga does.
#[async_trait]
pub trait Definition: Send + Sync {
    /// Its name in the store.
    fn name(&self) -> &'static str;

    /// Its steps in order. Sagas in flight outlive an upgrade, so steps are only ever added at the end.
    fn steps(&self) -> &'static [&'static str];

    /// Whether the step may be left in the middle when the saga is cancelled. A call that makes something outside must
    /// be heard to its end: what is asked for and not waited for may appear after the undo has found nothing.
    fn is_interruptible(&self, _step: &'static str) -> bool {
        true
    }

    /// For how long a step that fails in passing is tried again; forever if `None`.
    fn patience(&self) -> Option<Duration>;

    /// Does a step. May have been done before, wholly or half.
    async fn act(&self, step: &'static str, run: &Run) -> Result<(), StepFailure>;

    /// Undoes a step. May not have been done, or undone already. Tried until it succeeds.
    async fn undo(&self, step: &'static str, run: &Run) -> Result<(), StepFailure>;

    /// Writes the end down, in the transaction that ends the saga.
    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError>;
}

/// A saga in the hands of its owner.
pub struct Run {
    /// As it was claimed.
    pub saga: Saga,
    db: Db,
}

impl Run {
    /// Writes on behalf of the saga, if it is still ours.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is not; the database failed.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (id, fence) = (self.saga.id, self.saga.fence);
        self.db
            .write(move |connection| {
                saga::check_fence(connection, id, fence)?;
                work(connection)
            })
            .await
    }

    /// Reads.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.db.read(work).await
    }

    /// Writes down that a step begins, and hears whether somebody wants the saga undone.
    async fn begin(&mut self, step: &'static str, event: &'static str) -> Result<(), StoreError> {
        let (id, fence) = (self.saga.id, self.saga.fence);
        // The renewal checks the fence itself.
        self.saga.cancelled = self
            .db
            .write(move |connection| {
                let cancelled = saga::renew(connection, id, fence, LEASE)?;
                saga::log(connection, id, step, event, None)?;
                Ok(cancelled)
            })
            .await?;
        Ok(())
    }

    async fn advance(
        &mut self,
        step_done: &'static str,
        event: &'static str,
        state: SagaState,
        step: usize,
        error: Option<String>,
    ) -> Result<(), StoreError> {
        let saga = self.saga.clone();
        let reason = error.clone();
        self.write(move |connection| {
            saga::log(connection, saga.id, step_done, event, reason.as_deref())?;
            saga::advance(connection, &saga, state, step, reason.as_deref())
        })
        .await?;
        self.saga.state = state;
        self.saga.step = step;
        self.saga.attempts = 0;
        self.saga.error = error;
        Ok(())
    }
}

/// What came of working on a step.
enum Worked {
    Finished(Result<(), StepFailure>),
    Cancelled,
    Shutdown,
    Lost(StoreError),
}

/// Runs sagas; any number of engines may share one database.
pub struct Engine {
    db: Db,
    definitions: BTreeMap<&'static str, Arc<dyn Definition>>,
    owner: String,
    // Both only count. Every new saga wakes the loop; only cancellations wake the workers, each of which then asks the
    // database about its own.
    wakes: watch::Sender<u64>,
    cancellations: watch::Sender<u64>,
}

impl Engine {
    /// An engine for these definitions.
    pub fn new(db: Db, definitions: Vec<Arc<dyn Definition>>) -> Self {
        let definitions = definitions.into_iter().map(|definition| (definition.name(), definition)).collect();
        Self {
            db,
            definitions,
            owner: Uuid::now_v7().to_string(),
            wakes: watch::Sender::new(0),
            cancellations: watch::Sender::new(0),
        }
    }

    /// Looks at once instead of at the next round.
    pub fn wake(&self) {
        self.wakes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Lets every saga that is being worked on look whether it was cancelled.
    pub fn wake_cancelled(&self) {
        self.cancellations.send_modify(|count| *count = count.wrapping_add(1));
        self.wake();
    }

    /// Works until the token is cancelled, then gives all leases back.
    pub async fn run(self: &Arc<Self>, shutdown: &CancellationToken) {
        let mut workers = JoinSet::new();
        let mut wakes = self.wakes.subscribe();
        while !shutdown.is_cancelled() {
            let free = AT_ONCE.saturating_sub(workers.len());
            for saga in self.claim(free).await {
                let engine = Arc::clone(self);
                let shutdown = shutdown.clone();
                workers.spawn(async move { engine.work_on(saga, &shutdown).await });
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = wakes.changed() => {}
                Some(_) = workers.join_next() => {}
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        while workers.join_next().await.is_some() {}
        let owner = self.owner.clone();
        if let Err(error) = self.db.write(move |connection| saga::release(connection, Some(&owner))).await {
            tracing::warn!(%error, "leases could not be given back; they will run out");
        }
    }

    async fn claim(&self, free: usize) -> Vec<Saga> {
        if free == 0 {
            return Vec::new();
        }
        let owner = self.owner.clone();
        let limit = i64::try_from(free).unwrap_or(i64::MAX);
        let claimed = self.db.write(move |connection| saga::claim(connection, &owner, LEASE, limit)).await;
        claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "sagas could not be claimed");
            Vec::new()
        })
    }

    async fn work_on(&self, saga: Saga, shutdown: &CancellationToken) {
        let (id, name, entity) = (saga.id, saga.name.clone(), saga.entity);
        let Some(definition) = self.definitions.get(name.as_str()).map(Arc::clone) else {
            tracing::error!(%id, %name, "nobody knows this saga; was the broker downgraded?");
            let error = "unknown to this version";
            let _ = self.db.write(move |c| saga::postpone(c, &saga, LONGEST_PAUSE, error)).await;
            return;
        };
        let mut run = Run { saga, db: self.db.clone() };
        if let Err(error) = self.lead(&mut run, &definition, shutdown).await {
            // Fenced: another owner goes on. Otherwise the lease runs out, and somebody tries again.
            tracing::warn!(%id, %name, %entity, %error, "a saga was left");
        }
    }

    /// Leads the saga on until it ends, pauses, or is no longer ours.
    async fn lead(
        &self,
        run: &mut Run,
        definition: &Arc<dyn Definition>,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        let steps = definition.steps();
        loop {
            let forward = run.saga.state == SagaState::Running;
            let Some(step) = steps.get(run.saga.step).copied() else {
                return end(run, definition, Outcome::Done).await;
            };
            run.begin(step, if forward { "begin" } else { "undo" }).await?;
            let worked = if forward && run.saga.cancelled {
                Worked::Cancelled
            } else if forward {
                self.guarded(definition.act(step, run), run, definition.is_interruptible(step), shutdown).await
            } else {
                self.guarded(definition.undo(step, run), run, false, shutdown).await
            };
            match worked {
                Worked::Shutdown => return Ok(()),
                Worked::Lost(error) | Worked::Finished(Err(StepFailure::Store(error))) => return Err(error),
                Worked::Cancelled => {
                    let step_index = run.saga.step;
                    run.advance(step, "cancelled", SagaState::Unwinding, step_index, Some("cancelled".into())).await?;
                }
                Worked::Finished(Ok(())) if forward => {
                    let next = run.saga.step + 1;
                    run.advance(step, "done", SagaState::Running, next, None).await?;
                }
                Worked::Finished(Ok(())) => {
                    let reason = run.saga.error.clone();
                    match run.saga.step.checked_sub(1) {
                        Some(before) => run.advance(step, "undone", SagaState::Unwinding, before, reason).await?,
                        None => return end(run, definition, Outcome::Undone(reason.unwrap_or_default())).await,
                    }
                }
                Worked::Finished(Err(StepFailure::Lasting(reason))) if forward => {
                    let step_index = run.saga.step;
                    run.advance(step, "failed", SagaState::Unwinding, step_index, Some(reason)).await?;
                }
                Worked::Finished(Err(StepFailure::Passing(reason) | StepFailure::Lasting(reason))) => {
                    let waited = Timestamp::now().0.saturating_sub(run.saga.created_at.0);
                    let out_of_patience = definition
                        .patience()
                        .is_some_and(|patience| u128::try_from(waited).is_ok_and(|w| w > patience.as_micros()));
                    if forward && out_of_patience {
                        let step_index = run.saga.step;
                        run.advance(step, "gave up", SagaState::Unwinding, step_index, Some(reason)).await?;
                    } else {
                        return pause(run, step, forward, reason).await;
                    }
                }
            }
        }
    }

    /// Lets the work go on for as long as the lease can be kept and nobody cancels.
    async fn guarded(
        &self,
        work: impl Future<Output = Result<(), StepFailure>>,
        run: &Run,
        cancellable: bool,
        shutdown: &CancellationToken,
    ) -> Worked {
        tokio::pin!(work);
        let (id, fence) = (run.saga.id, run.saga.fence);
        let mut cancellations = self.cancellations.subscribe();
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            tokio::select! {
                finished = &mut work => return Worked::Finished(finished),
                () = shutdown.cancelled() => return Worked::Shutdown,
                _ = cancellations.changed() => {}
                () = tokio::time::sleep_until(beat) => {}
            }
            // The work is not polled while the lease is renewed: it cannot act on a lease that is just being lost.
            match self.db.write(move |connection| saga::renew(connection, id, fence, LEASE)).await {
                Ok(true) if cancellable => return Worked::Cancelled,
                Ok(_) => beat = Instant::now() + HEARTBEAT,
                Err(error) => return Worked::Lost(error),
            }
        }
    }
}

async fn end(run: &Run, definition: &Arc<dyn Definition>, outcome: Outcome) -> Result<(), StoreError> {
    let (saga, definition, ended) = (run.saga.clone(), Arc::clone(definition), outcome.clone());
    run.write(move |connection| {
        let (state, reason) = match &ended {
            Outcome::Done => (SagaState::Done, None),
            Outcome::Undone(reason) => (SagaState::Undone, Some(reason.as_str())),
        };
        saga::log(connection, saga.id, "", state.as_str(), reason)?;
        saga::advance(connection, &saga, state, saga.step, reason)?;
        // Last, since the removal of an entity removes its sagas' rows too.
        definition.settle(connection, &saga, &ended)
    })
    .await?;
    tracing::info!(id = %run.saga.id, name = %run.saga.name, entity = %run.saga.entity, ?outcome, "a saga ended");
    Ok(())
}

async fn pause(run: &Run, step: &'static str, forward: bool, reason: String) -> Result<(), StoreError> {
    let later = back_off(run.saga.attempts);
    let saga = run.saga.clone();
    tracing::warn!(id = %saga.id, name = %saga.name, entity = %saga.entity, step, forward, %reason, ?later, "a step pauses");
    run.write(move |connection| {
        saga::log(connection, saga.id, step, "pause", Some(&reason))?;
        // While undoing, the reason why is worth more than why undoing is hard; the log has both.
        let shown = if forward { &reason } else { saga.error.as_ref().unwrap_or(&reason) };
        saga::postpone(connection, &saga, later, shown)
    })
    .await
}

/// 0.2 s, 0.4 s, … up to half a minute, and up to a quarter more so that many do not come back at once.
fn back_off(attempts: u32) -> Duration {
    let plain = Duration::from_millis(200).saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE);
    let mut byte = [0_u8];
    let spread = getrandom::fill(&mut byte).map_or(0, |()| u32::from(byte[0]));
    plain + plain * spread / 1024
}
