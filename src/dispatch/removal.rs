//! The saga that removes an entity: what it has at its site first, its row when nothing is left.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    ledger,
    link::{self, note_use},
    make,
    order::Order,
    provision::remove_machine,
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::Work,
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, Entity, LinkTarget},
    saga::{self, Saga},
};

pub const NAME: &str = "removal";

pub struct Removal {
    sites: Sites,
}

impl Removal {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }

    /// Waits until nobody works on the links of a machine any more: they go with it.
    async fn await_own_links(run: &Run) -> Result<(), StepFailure> {
        let id = run.saga.entity;
        let busy = run
            .read(move |connection| {
                for link in entity::links_for_dispatch(connection, id)? {
                    if link.source == Some(id) && !saga::unfinished_of(connection, link.id)?.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await?;
        if busy { Err(StepFailure::Passing("its links are still at work".into())) } else { Ok(()) }
    }

    /// Waits until no link leads here any more.
    async fn await_incoming_links(run: &Run) -> Result<(), StepFailure> {
        let id = run.saga.entity;
        let left = run.read(move |connection| Ok(entity::links_for_dispatch(connection, id)?.len())).await?;
        if left > 0 { Err(StepFailure::Passing(format!("{left} links still lead here"))) } else { Ok(()) }
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

    fn announcement(&self, _step: &'static str, _saga: &Saga) -> Option<String> {
        Some("being removed".to_owned())
    }

    fn patience(&self) -> Option<Duration> {
        None
    }

    async fn act(&self, _step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        let removed = match &work.order {
            Order::Machine(_) => {
                async {
                    Self::await_own_links(run).await?;
                    remove_machine(run, &work).await
                }
                .await
            }
            Order::Link(_) => link::leave(run, &work).await,
            _ => {
                async {
                    Self::await_incoming_links(run).await?;
                    make::remove(run, &work).await
                }
                .await
            }
        };
        // A removal is never given up: what the backend refuses today must not become an orphan tomorrow.
        removed.map_err(|failure| match failure {
            StepFailure::Lasting(reason) | StepFailure::Doubtful(reason) => StepFailure::Passing(reason),
            other => other,
        })
    }

    async fn undo(&self, _step: &'static str, _run: &Run) -> Result<Done, StepFailure> {
        Ok(Done::nothing())
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        if let Outcome::Undone(reason) = outcome {
            tracing::error!(entity = %saga.entity, %reason, "a removal was given up; this must not happen");
            return Ok(());
        }
        match entity::find_for_dispatch(connection, saga.entity)? {
            Some(entity) => forget(connection, &entity, saga.request_id.as_deref()),
            None => Ok(()),
        }
    }
}

/// Whether nothing works on links from or to the entity any more, and none leads to it.
///
/// # Errors
/// The database failed.
pub fn is_alone(connection: &mut DbConnection, entity: &Entity) -> Result<bool, StoreError> {
    for link in entity::links_for_dispatch(connection, entity.id)? {
        let is_own = link.source == Some(entity.id);
        if !is_own || link.backend_id.is_some() || !saga::unfinished_of(connection, link.id)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(entity.backend_id.is_none())
}

/// Takes the entity's row away, of which nothing is left at its site, and its own links with it: the links of a machine
/// went with it (GFD.221 section 5.4.2: composition).
///
/// # Errors
/// The database failed.
pub fn forget(connection: &mut DbConnection, entity: &Entity, request_id: Option<&str>) -> Result<(), StoreError> {
    let own = entity::links_for_dispatch(connection, entity.id)?;
    for link in own.into_iter().filter(|link| link.source == Some(entity.id)) {
        if let Some(LinkTarget::Entity(target)) = link.target
            && let Some(target) = entity::find_for_dispatch(connection, target)?
        {
            note_use(connection, &target, false)?;
        }
        ledger::removed(connection, &link, request_id)?;
        entity::remove(connection, link.id)?;
    }
    ledger::removed(connection, entity, request_id)?;
    entity::remove(connection, entity.id)
}
