//! What a saga does.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::Run;
use crate::store::{DbConnection, StoreError, saga::Saga};

/// Why a step was not done.
#[derive(Debug)]
pub enum StepFailure {
    /// It may work later.
    Passing(String),
    /// It may work when it is tried a few times more.
    Doubtful(String),
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

type Writing = dyn Fn(&mut DbConnection) -> Result<(), StoreError> + Send + Sync;

/// A step that is done, and what it has to write in the transaction that says so.
#[derive(Clone, Default)]
pub struct Done(Option<Arc<Writing>>);

impl Done {
    /// With nothing to write.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// With this to write; it may run several times, and has no effect outside the database.
    pub fn writing(work: impl Fn(&mut DbConnection) -> Result<(), StoreError> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(work)))
    }

    /// Writes it.
    ///
    /// # Errors
    /// The database failed.
    pub fn write(&self, connection: &mut DbConnection) -> Result<(), StoreError> {
        self.0.as_ref().map_or(Ok(()), |work| work(connection))
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "done, with something to write" } else { "done" })
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

    /// Whether the step asks its site to make something. Such a call is written down before it goes out and must be
    /// heard to its end, so the step is not left in the middle when the saga is cancelled: what is asked for and not
    /// waited for may appear after the undo has found nothing.
    fn makes(&self, _step: &'static str) -> bool {
        false
    }

    /// Whether an entity may have many of these in its life.
    fn repeats(&self) -> bool {
        false
    }

    /// What the owner sees while the step is being done.
    fn announcement(&self, _step: &'static str, _saga: &Saga) -> Option<String> {
        None
    }

    /// For how long a step that fails in passing is tried again; forever if `None`.
    fn patience(&self) -> Option<Duration>;

    /// Does a step. May have been done before, wholly or half.
    async fn act(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure>;

    /// Undoes a step. May not have been done, or undone already. Tried until it succeeds.
    async fn undo(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure>;

    /// Writes the end down, in the transaction that ends the saga.
    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError>;
}
