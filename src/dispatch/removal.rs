//! The saga that removes an entity: its machine first, its row when nothing is left.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    provision::{Work, remove_machine},
    saga::{Definition, Outcome, Run, StepFailure},
    site::Sites,
};
use crate::store::{DbConnection, StoreError, entity, saga::Saga};

pub const NAME: &str = "removal";

pub struct Removal {
    sites: Sites,
}

impl Removal {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }
}

#[async_trait]
impl Definition for Removal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn steps(&self) -> &'static [&'static str] {
        &["remove machine"]
    }

    fn patience(&self) -> Option<Duration> {
        None
    }

    async fn act(&self, _step: &'static str, run: &Run) -> Result<(), StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        // A removal is never given up: what the backend refuses today must not become an orphan tomorrow.
        remove_machine(run, &work).await.map_err(|failure| match failure {
            StepFailure::Lasting(reason) => StepFailure::Passing(reason),
            other => other,
        })
    }

    async fn undo(&self, _step: &'static str, _run: &Run) -> Result<(), StepFailure> {
        Ok(())
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        match outcome {
            Outcome::Done => entity::remove(connection, saga.entity),
            Outcome::Undone(reason) => {
                tracing::error!(entity = %saga.entity, %reason, "a removal was given up; this must not happen");
                Ok(())
            }
        }
    }
}
