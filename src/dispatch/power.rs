//! The saga that starts, stops, restarts or suspends a machine: ask, then wait until it has arrived.

use std::time::Duration;

use async_trait::async_trait;
use backend::{Machine, MachineState, RestartMethod, StopMethod, SuspendMethod};
use serde::{Deserialize, Serialize};

use super::{
    ledger,
    object::name,
    provision::{facts_of, wait_for},
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure, parameters_of},
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, EntityState},
    saga::Saga,
};

pub const NAME: &str = "power";

const ASK: &str = "ask";
const ARRIVE: &str = "arrive";

const PATIENCE: Duration = Duration::from_secs(600);
/// Longer than any backend's own deadline for a graceful stop.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(300);

/// What is asked of a machine that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action", content = "method")]
pub enum PowerAction {
    /// Switch on.
    Start,
    /// Switch off in this way.
    Stop(StopMethod),
    /// Start anew in this way.
    Restart(RestartMethod),
    /// Freeze in this way.
    Suspend(SuspendMethod),
}

impl PowerAction {
    /// What the owner sees meanwhile.
    pub fn announcement(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop(_) => "stopping",
            Self::Restart(_) => "restarting",
            Self::Suspend(_) => "suspending",
        }
    }

    /// Whether the saga ends with a machine that runs.
    pub(super) fn leads_to_running(saga: &Saga) -> bool {
        Self::of(saga).is_ok_and(|action| action.destination().1 == EntityState::Active)
    }

    fn destination(self) -> (MachineState, EntityState) {
        match self {
            Self::Start | Self::Restart(_) => (MachineState::Running, EntityState::Active),
            Self::Stop(_) => (MachineState::Stopped, EntityState::Inactive),
            Self::Suspend(_) => (MachineState::Suspended, EntityState::Suspended),
        }
    }

    fn of(saga: &Saga) -> Result<Self, StepFailure> {
        parameters_of(saga)
    }
}

pub struct Power {
    sites: Sites,
}

impl Power {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }
}

#[async_trait]
impl Definition for Power {
    fn name(&self) -> &'static str {
        NAME
    }

    fn steps(&self) -> &'static [&'static str] {
        &[ASK, ARRIVE]
    }

    fn repeats(&self) -> bool {
        true
    }

    fn announcement(&self, _step: &'static str, saga: &Saga) -> Option<String> {
        PowerAction::of(saga).ok().map(|action| action.announcement().to_owned())
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let action = PowerAction::of(&run.saga)?;
        let work = Work::of(run, &self.sites).await?;
        if step == ASK {
            let Some(id) = &work.entity.backend_id else {
                return Err(StepFailure::Lasting("the entity has no machine".into()));
            };
            let machine = &name(id).map_err(|error| failure(&error))?;
            let backend = &work.site.backend;
            let asked = match action {
                PowerAction::Start => backend.start(machine).await,
                PowerAction::Stop(method) => backend.stop(machine, method).await,
                PowerAction::Restart(method) => backend.restart(machine, method).await,
                PowerAction::Suspend(method) => backend.suspend(machine, method).await,
            };
            return asked.map(|()| Done::nothing()).map_err(|error| failure(&error));
        }
        let (arrived, _) = action.destination();
        let machine = wait_until(&work, |machine| machine.state == arrived).await?;
        let (entity, facts) = (run.saga.entity, facts_of(&machine));
        Ok(Done::writing(move |connection| entity::set_facts(connection, entity, &facts)))
    }

    async fn undo(&self, _step: &'static str, _run: &Run) -> Result<Done, StepFailure> {
        // A machine that was asked to stop cannot be asked not to; where it ends, reconciliation sees.
        Ok(Done::nothing())
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let Ok(action) = PowerAction::of(saga) else {
            return Ok(());
        };
        match outcome {
            Outcome::Done => {
                let request_id = saga.request_id.as_deref();
                ledger::set_state(connection, saga.entity, action.destination().1, None, request_id)
            }
            Outcome::Undone(reason) => {
                let message = format!("{} failed: {reason}", action.announcement());
                entity::set_message(connection, saga.entity, Some(&message))
            }
        }
    }
}

/// Looks at the entity's machine until it is as wanted.
pub async fn wait_until(work: &Work, wanted: impl Fn(&Machine) -> bool) -> Result<Machine, StepFailure> {
    wait_for(work, wanted, ARRIVAL_LIMIT).await
}
