//! What the steps of every saga share: the entity at hand, its site, and words for its owner.

use std::{sync::Arc, time::Duration};

use backend::{BackendError, MachineSpec};
use serde::de::DeserializeOwned;

use super::{
    order::Order,
    saga::{Run, StepFailure},
    site::{Site, Sites},
};
use crate::store::{
    Timestamp,
    entity::{self, Entity},
    saga::Saga,
};

/// What the steps of an entity's sagas need.
pub struct Work {
    pub entity: Entity,
    pub order: Order,
    pub site: Arc<Site>,
}

impl Work {
    pub async fn of(run: &Run, sites: &Sites) -> Result<Self, StepFailure> {
        let id = run.saga.entity;
        let entity = run
            .read(move |connection| entity::find_for_dispatch(connection, id))
            .await?
            .ok_or_else(|| StepFailure::Lasting(format!("entity {id} does not exist")))?;
        let order = Order::of(&entity).map_err(StepFailure::Lasting)?;
        // A site may come back into the configuration, so this is no lasting failure.
        let site = sites
            .get(&entity.site)
            .ok_or_else(|| StepFailure::Passing(format!("site {} is not configured any more", entity.site)))?;
        Ok(Self { entity, order, site })
    }

    /// The machine that is wanted, where the entity is a compute.
    pub fn machine(&self) -> Result<&MachineSpec, StepFailure> {
        match &self.order {
            Order::Machine(spec) => Ok(spec),
            other => Err(StepFailure::Lasting(format!("{} is a {} and no machine", self.entity.id, other.noun()))),
        }
    }
}

/// What a saga's steps need to know, as its planner wrote it down.
pub fn parameters_of<T: DeserializeOwned>(saga: &Saga) -> Result<T, StepFailure> {
    serde_json::from_value(saga.parameters.clone())
        .map_err(|error| StepFailure::Lasting(format!("the parameters of saga {} are unreadable: {error}", saga.id)))
}

/// Shows the owner what is going on.
pub async fn say(run: &Run, message: &str) -> Result<(), StepFailure> {
    let (entity, message) = (run.saga.entity, message.to_owned());
    run.write(move |connection| entity::set_message(connection, entity, Some(&message))).await?;
    Ok(())
}

/// Whether a backend's error may pass.
pub fn failure(error: &BackendError) -> StepFailure {
    match error {
        error if error.is_transient() => StepFailure::Passing(error.to_string()),
        // Whether a backend that failed fails again, only another try tells.
        BackendError::Failed(_) => StepFailure::Doubtful(error.to_string()),
        error => StepFailure::Lasting(error.to_string()),
    }
}

/// How long the site may keep something from us that it was asked to make and did not answer, if it may at this moment.
pub fn unseen_for(run: &Run, work: &Work) -> Option<Duration> {
    let asked = run.asked_at()?;
    let since = Duration::from_secs_f64(Timestamp::now().seconds_since(asked).max(0.0));
    work.site.sighting_delay.checked_sub(since).filter(|left| !left.is_zero())
}
