//! A saga in the hands of its owner.

use std::sync::atomic::{AtomicI64, Ordering};

use super::Definition;
use crate::store::{
    Db, DbConnection, StoreError, Timestamp, entity,
    saga::{self, Line, Position, Saga, SagaState},
};

/// A saga in the hands of its owner.
pub struct Run {
    /// As it was claimed.
    pub saga: Saga,
    /// See [`Run::asked_before`]; 0 if never.
    asked_before: AtomicI64,
    /// See [`Run::asked_at`]; 0 if never.
    asked_at: AtomicI64,
    pub(super) db: Db,
}

impl Run {
    /// A saga that was just claimed and begun.
    pub(super) fn new(mut saga: Saga, db: Db) -> Self {
        // A claim tells how it found the saga; what it waited for its turn does not count as work.
        saga.begun_at.get_or_insert_with(Timestamp::now);
        let asked = saga.asked_at.map_or(0, |at| at.0);
        Self { saga, asked_before: asked.into(), asked_at: asked.into(), db }
    }

    /// When the site was asked to make something in an earlier attempt at the present step: it may have done so although
    /// nobody heard.
    pub fn asked_before(&self) -> Option<Timestamp> {
        time(&self.asked_before)
    }

    /// When the site was asked last to make something, this attempt included.
    pub fn asked_at(&self) -> Option<Timestamp> {
        time(&self.asked_at)
    }

    /// Writes down that the site is asked once more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another owner has taken over; the database failed.
    pub async fn ask_again(&self) -> Result<(), StoreError> {
        let id = self.saga.id;
        self.write(move |connection| saga::mark_asked(connection, id)).await?;
        self.asked_at.store(Timestamp::now().0, Ordering::Relaxed);
        Ok(())
    }

    /// Writes on behalf of the saga, if it is still ours. Rows that are read before they are written have to be locked
    /// first ([`entity::lock`]).
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
            .write_locking(move |connection| {
                saga::check_fence(connection, id, fence)?;
                work(connection)
            })
            .await
    }

    /// Goes on to another position, and writes what comes with it, if the saga is still ours.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is not; the database failed.
    pub(super) async fn advance<F>(&self, position: Position, work: F) -> Result<(), StoreError>
    where
        F: Fn(&mut DbConnection) -> Result<(), StoreError> + Send + 'static,
    {
        let saga = self.saga.clone();
        self.db
            .write_locking(move |connection| {
                // First, since it checks the fence.
                saga::advance(connection, &saga, &position)?;
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
        self.db.read_brief(work).await
    }

    /// What [`begin`] has written, seen from here.
    pub(super) fn begun(&self, makes: bool) {
        self.seen_again();
        if makes && self.asked_at().is_none() {
            self.asked_at.store(Timestamp::now().0, Ordering::Relaxed);
        }
    }

    /// From here on it is as if it had been claimed anew.
    pub(super) fn seen_again(&self) {
        self.asked_before.store(self.asked_at.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn time(stored: &AtomicI64) -> Option<Timestamp> {
    Some(stored.load(Ordering::Relaxed)).filter(|at| *at != 0).map(Timestamp)
}

/// Whether the site is asked for the first time when the saga goes on to where it stands here.
pub(super) fn asks(definition: &dyn Definition, saga: &Saga) -> bool {
    let makes = definition.steps().get(saga.step).is_some_and(|step| definition.makes(step));
    makes && saga.state == SagaState::Running && saga.asked_at.is_none()
}

/// Writes down that the present step begins, in the transaction that has claimed the saga: before anything happens
/// outside.
pub(super) fn begin(connection: &mut DbConnection, definition: &dyn Definition, saga: &Saga) -> Result<(), StoreError> {
    if let Some(begins) = beginning(definition, saga) {
        saga::log(connection, saga.id, [begins])?;
    }
    if asks(definition, saga) {
        saga::mark_asked(connection, saga.id)?;
    }
    announce(connection, definition, saga)
}

/// What the log says when the saga goes on from where it stands here.
pub(super) fn beginning(definition: &dyn Definition, saga: &Saga) -> Option<Line<'static>> {
    let step = definition.steps().get(saga.step).copied()?;
    Some(Line { step, event: if saga.state == SagaState::Running { "begin" } else { "undo" }, detail: None })
}

/// Tells the owner what is going on now.
pub(super) fn announce(
    connection: &mut DbConnection,
    definition: &dyn Definition,
    saga: &Saga,
) -> Result<(), StoreError> {
    let Some(step) = definition.steps().get(saga.step).copied() else { return Ok(()) };
    let forward = saga.state == SagaState::Running;
    let message = match forward {
        true => definition.announcement(step, saga),
        false => saga.error.as_ref().map(|reason| format!("being undone: {reason}")),
    };
    match message {
        Some(message) => entity::set_message(connection, saga.entity, Some(&message)),
        None => Ok(()),
    }
}
