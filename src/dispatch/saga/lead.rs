//! Leading one saga on until it ends, pauses, or is no longer ours.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Definition, Done, Moment, Outcome, Run, StepFailure, Trial,
    run::{announce, asks, beginning},
    trial::When,
};
use crate::{
    measured,
    store::{
        StoreError, Timestamp, entity,
        saga::{self, Line, Position, SagaState},
    },
};

/// How often a step asks whether somebody has cancelled its saga through another replica.
const LOOK: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a step is tried that fails and may not.
const DOUBTFUL_TRIES: u32 = 3;
/// From so many attempts on, an undo that fails is somebody's business.
const ALARMING_UNDOS: u32 = 3;

/// What came of working on a step.
enum Worked {
    Finished(Result<Done, StepFailure>),
    Cancelled,
    Left,
}

/// What a leader needs beside the saga.
pub struct Leader {
    pub definition: Arc<dyn Definition>,
    pub trial: Trial,
    /// Counts cancellations by this process.
    pub cancellations: watch::Receiver<u64>,
    /// The end of the process, or of its right to work.
    pub stop: CancellationToken,
}

impl Leader {
    /// Leads the saga on until it ends, pauses, or is no longer ours.
    ///
    /// # Errors
    /// The store failed, or another owner has taken over.
    pub async fn lead(&mut self, run: &mut Run) -> Result<(), StoreError> {
        let definition = Arc::clone(&self.definition);
        loop {
            let forward = run.saga.state == SagaState::Running;
            let Some(step) = definition.steps().get(run.saga.step).copied() else {
                return self.end(run, None, Outcome::Done).await;
            };
            run.begun(forward && definition.makes(step));
            let worked = if forward && run.saga.cancelled { Worked::Cancelled } else { self.work(run, step).await };
            match worked {
                Worked::Left => return Ok(()),
                Worked::Finished(Err(StepFailure::Store(error))) => return Err(error),
                Worked::Cancelled => self.turn_back(run, step, "cancelled", "cancelled".into()).await?,
                Worked::Finished(Ok(done)) if forward => {
                    if run.saga.step + 1 == definition.steps().len() {
                        return self.end(run, Some((step, done)), Outcome::Done).await;
                    }
                    self.advance(run, (step, "done"), done, (SagaState::Running, run.saga.step + 1), None).await?;
                }
                Worked::Finished(Ok(done)) => {
                    let error = run.saga.error.clone();
                    let Some(before) = run.saga.step.checked_sub(1) else {
                        return self.end(run, Some((step, done)), Outcome::Undone(error.unwrap_or_default())).await;
                    };
                    self.advance(run, (step, "undone"), done, (SagaState::Unwinding, before), error).await?;
                }
                Worked::Finished(Err(StepFailure::Lasting(reason))) if forward => {
                    self.turn_back(run, step, "failed", reason).await?;
                }
                Worked::Finished(Err(StepFailure::Doubtful(reason)))
                    if forward && run.saga.attempts + 1 >= DOUBTFUL_TRIES =>
                {
                    self.turn_back(run, step, "failed", reason).await?;
                }
                Worked::Finished(Err(
                    StepFailure::Passing(reason) | StepFailure::Doubtful(reason) | StepFailure::Lasting(reason),
                )) => {
                    if forward && self.is_out_of_patience(run) {
                        self.turn_back(run, step, "gave up", reason).await?;
                    } else {
                        return pause(run, step, forward, reason).await;
                    }
                }
            }
        }
    }

    fn is_out_of_patience(&self, run: &Run) -> bool {
        // What it waited for its turn does not count.
        let since = run.saga.begun_at.unwrap_or(run.saga.created_at);
        let waited = Timestamp::now().0.saturating_sub(since.0);
        let patience = self.definition.patience();
        patience.is_some_and(|patience| u128::try_from(waited).is_ok_and(|waited| waited > patience.as_micros()))
    }

    /// Does or undoes the step, for as long as nobody cancels it and it is ours.
    async fn work(&mut self, run: &Run, step: &'static str) -> Worked {
        let definition = Arc::clone(&self.definition);
        let undoing = run.saga.state != SagaState::Running;
        let trial = self.trial.clone();
        let saga = run.saga.name.clone();
        let moment = |when| Moment { saga: saga.clone(), step, undoing, when };
        let once =
            || async { if undoing { definition.undo(step, run).await } else { definition.act(step, run).await } };
        let work = async {
            trial.pass(|| moment(When::BeforeEffect)).await;
            let mut outcome = once().await;
            if trial.twice && outcome.is_ok() {
                run.seen_again();
                outcome = once().await;
            }
            trial.pass(|| moment(When::BeforeLog)).await;
            outcome
        };
        let can_be_left = !undoing && !definition.makes(step);
        self.guarded(work, run, can_be_left).await
    }

    async fn guarded(
        &mut self,
        work: impl Future<Output = Result<Done, StepFailure>>,
        run: &Run,
        can_be_left: bool,
    ) -> Worked {
        tokio::pin!(work);
        let id = run.saga.id;
        let mut look = Instant::now() + LOOK;
        loop {
            tokio::select! {
                biased;
                finished = &mut work => return Worked::Finished(finished),
                () = self.stop.cancelled() => return Worked::Left,
                _ = self.cancellations.changed(), if can_be_left => {}
                () = tokio::time::sleep_until(look), if can_be_left => {}
            }
            look = Instant::now() + LOOK;
            // A database that does not answer cancels nothing.
            if let Ok(true) = run.read(move |connection| saga::is_cancelled(connection, id)).await {
                return Worked::Cancelled;
            }
        }
    }

    async fn turn_back(
        &self,
        run: &mut Run,
        step: &'static str,
        event: &'static str,
        reason: String,
    ) -> Result<(), StoreError> {
        let here = (SagaState::Unwinding, run.saga.step);
        self.advance(run, (step, event), Done::nothing(), here, Some(reason)).await
    }

    /// Writes down what has become of a step, what it has learned, and that the next one begins.
    async fn advance(
        &self,
        run: &mut Run,
        (step, event): (&'static str, &'static str),
        done: Done,
        (state, to): (SagaState, usize),
        error: Option<String>,
    ) -> Result<(), StoreError> {
        let undoing = run.saga.state != SagaState::Running;
        let mut next = run.saga.clone();
        next.asked_at = run.asked_at();
        next.state = state;
        next.step = to;
        next.attempts = 0;
        next.error = error;
        let (definition, written) = (Arc::clone(&self.definition), next.clone());
        let asks = asks(definition.as_ref(), &written);
        let position = Position { state, step: to, error: next.error.clone(), asks };
        run.advance(position, move |connection| {
            done.write(connection)?;
            let ended = Line { step, event, detail: written.error.as_deref() };
            match beginning(definition.as_ref(), &written) {
                Some(begins) => saga::log(connection, written.id, [ended, begins])?,
                None => saga::log(connection, written.id, [ended])?,
            }
            announce(connection, definition.as_ref(), &written)
        })
        .await?;
        run.saga = next;
        self.trial.pass(|| Moment { saga: run.saga.name.clone(), step, undoing, when: When::AfterLog }).await;
        Ok(())
    }

    /// Writes the end down, with the last step if there was one.
    async fn end(&self, run: &Run, last: Option<(&'static str, Done)>, outcome: Outcome) -> Result<(), StoreError> {
        let undoing = run.saga.state != SagaState::Running;
        let (saga, definition, ended) = (run.saga.clone(), Arc::clone(&self.definition), outcome.clone());
        let step = last.as_ref().map(|(step, _)| *step);
        let (state, reason) = match &outcome {
            Outcome::Done => (SagaState::Done, None),
            Outcome::Undone(reason) => (SagaState::Undone, Some(reason.clone())),
        };
        let position = Position { state, step: saga.step, error: reason.clone(), asks: false };
        run.advance(position, move |connection| {
            let whole = Line { step: "", event: state.as_str(), detail: reason.as_deref() };
            match &last {
                Some((step, done)) => {
                    done.write(connection)?;
                    let event = if undoing { "undone" } else { "done" };
                    saga::log(connection, saga.id, [Line { step, event, detail: None }, whole])?;
                }
                None => saga::log(connection, saga.id, [whole])?,
            }
            if definition.repeats() {
                saga::forget_old(connection, saga.entity)?;
            }
            // Last, since the removal of an entity removes its sagas' rows too.
            definition.settle(connection, &saga, &ended)
        })
        .await?;
        let word = if outcome == Outcome::Done { "done" } else { "undone" };
        let seconds = Timestamp::now().seconds_since(run.saga.begun_at.unwrap_or(run.saga.created_at));
        metrics::histogram!(measured::SAGA_SECONDS, "saga" => run.saga.name.clone(), "outcome" => word).record(seconds);
        tracing::info!(?outcome, "a saga ended");
        if let Some(step) = step {
            self.trial.pass(|| Moment { saga: run.saga.name.clone(), step, undoing, when: When::AfterLog }).await;
        }
        Ok(())
    }
}

async fn pause(run: &Run, step: &'static str, forward: bool, reason: String) -> Result<(), StoreError> {
    let later = back_off(run.saga.attempts);
    let saga = run.saga.clone();
    let attempts = saga.attempts + 1;
    if !forward && attempts >= ALARMING_UNDOS {
        metrics::counter!(measured::SAGA_UNDO_FAILURES, "saga" => saga.name.clone()).increment(1);
        tracing::error!(step, attempts, %reason, "an undo fails again and again; it goes on being tried");
    } else {
        tracing::warn!(step, forward, attempts, %reason, ?later, "a step pauses");
    }
    run.write(move |connection| {
        saga::log(connection, saga.id, [Line { step, event: "pause", detail: Some(&reason) }])?;
        // While undoing, the reason why is worth more than why undoing is hard; the log and the message have both.
        let shown = if forward { &reason } else { saga.error.as_ref().unwrap_or(&reason) };
        saga::postpone(connection, &saga, later, shown)?;
        // The first hitch mends itself in no time.
        if attempts < 2 {
            return Ok(());
        }
        let message = match forward {
            true => format!("{step}: {reason}; tried {attempts} times, and to be tried again"),
            false => format!("{shown}; undoing {step:?} fails, and is tried until it succeeds: {reason}"),
        };
        entity::set_message(connection, saga.entity, Some(&message))
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
