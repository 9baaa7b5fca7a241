//! The saga that makes a volume, a network, a security group, or reserves an address.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    ledger,
    object::{self, Object, Standing},
    order::Order,
    provision::await_sighting,
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure},
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, Entity, EntityState},
    intent,
    saga::Saga,
};

pub const NAME: &str = "make";

const CREATE: &str = "create";
const ARRIVE: &str = "arrive";

/// For how long a site may be out of reach before a creation is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// For how long something that is being made or changed may take.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(100);

pub struct Make {
    sites: Sites,
}

impl Make {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }
}

#[async_trait]
impl Definition for Make {
    fn name(&self) -> &'static str {
        NAME
    }

    fn steps(&self) -> &'static [&'static str] {
        &[CREATE, ARRIVE]
    }

    fn makes(&self, step: &'static str) -> bool {
        step == CREATE
    }

    fn announcement(&self, step: &'static str, saga: &Saga) -> Option<String> {
        Some(match step {
            CREATE => format!("being made at site {}", saga.site),
            _ => format!("becoming ready at site {}", saga.site),
        })
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        let backend = work.site.backend.as_ref();
        let (id, tag) = (run.saga.entity, work.order.tag());
        if step == CREATE {
            let mut found = None;
            if run.asked_before().is_some() {
                // An earlier try may have been answered by nobody: look before asking again.
                found = object::find(backend, &work.order).await.map_err(|error| failure(&error))?;
                if found.is_none() {
                    await_sighting(run, &work)?;
                    run.ask_again().await?;
                }
            }
            let made = match found {
                Some(made) => made,
                None => object::create(backend, &work.order).await.map_err(|error| failure(&error))?,
            };
            return Ok(Done::writing(move |connection| {
                intent::settle(connection, tag, Some(&made.backend_id))?;
                entity::set_backend_id(connection, id, Some(&made.backend_id))
            }));
        }
        let made = wait_until_ready(&work).await?;
        object::bring_to_rest(backend, &work.order, &made.backend_id).await.map_err(|error| failure(&error))?;
        Ok(Done::writing(move |connection| add_attributes(connection, id, &made)))
    }

    async fn undo(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        if step != CREATE {
            return Ok(Done::nothing());
        }
        let work = Work::of(run, &self.sites).await?;
        remove(run, &work).await
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let request_id = saga.request_id.as_deref();
        let Outcome::Undone(reason) = outcome else {
            let order = entity::find_for_dispatch(connection, saga.entity)?.and_then(|made| Order::of(&made).ok());
            let state = match order {
                Some(Order::Volume(_)) => EntityState::Offline,
                Some(Order::SecurityGroup(_)) => EntityState::Active,
                _ => EntityState::Inactive,
            };
            return ledger::set_state(connection, saga.entity, state, None, request_id);
        };
        ledger::set_state(connection, saga.entity, EntityState::Error, Some(reason), request_id)
    }
}

/// Looks at the entity's thing until nothing is being done with it.
pub async fn wait_until_ready(work: &Work) -> Result<Object, StepFailure> {
    let Some(id) = &work.entity.backend_id else {
        return Err(StepFailure::Lasting(format!("there is no {} at site {}", work.order.noun(), work.site.name)));
    };
    let deadline = Instant::now() + ARRIVAL_LIMIT;
    loop {
        let seen = object::look(work.site.backend.as_ref(), &work.order, id).await.map_err(|error| failure(&error))?;
        match seen.standing {
            Standing::Ready => return Ok(seen),
            Standing::Failed(reason) => {
                return Err(StepFailure::Lasting(format!("the {} failed: {reason}", work.order.noun())));
            }
            Standing::UnderWay if Instant::now() >= deadline => {
                let seconds = ARRIVAL_LIMIT.as_secs();
                return Err(StepFailure::Lasting(format!("the {} is not ready after {seconds} s", work.order.noun())));
            }
            Standing::UnderWay => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Removes whatever carries the entity's tag; what is written then is that there is nothing.
pub async fn remove(run: &Run, work: &Work) -> Result<Done, StepFailure> {
    let backend = work.site.backend.as_ref();
    let known = match &work.entity.backend_id {
        Some(id) => Some(id.clone()),
        None => {
            let found = object::find(backend, &work.order).await.map_err(|error| failure(&error))?;
            if found.is_none() {
                await_sighting(run, work)?;
            }
            found.map(|object| object.backend_id)
        }
    };
    if let Some(id) = known {
        object::delete(backend, &work.order, &id).await.map_err(|error| failure(&error))?;
    }
    let (entity, tag) = (run.saga.entity, work.order.tag());
    Ok(Done::writing(move |connection| {
        intent::settle(connection, tag, None)?;
        entity::set_backend_id(connection, entity, None)
    }))
}

fn add_attributes(connection: &mut DbConnection, id: entity::EntityId, made: &Object) -> Result<(), StoreError> {
    entity::lock(connection, id)?;
    let Some(Entity { mixins, mut attributes, .. }) = entity::find_for_dispatch(connection, id)? else {
        return Ok(());
    };
    if made.attributes.is_empty() {
        return Ok(());
    }
    attributes.extend(made.attributes.clone());
    entity::set_description(connection, id, &mixins, &attributes)
}
