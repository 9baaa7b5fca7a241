//! The saga that changes what exists: up and down, on- and offline, copies, sizes, properties.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use backend::{BackendError, CopyPurpose, IntentTag, MachineSize, MachineState, NetworkSpec, Rule};
use occi_schema::{AttributeName, CategoryId, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ledger, link, make,
    object::{name, networks, security_groups, volumes},
    order::Order,
    power::wait_until,
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure, parameters_of},
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, EntityState},
    reservation::Usage,
    saga::Saga,
};

pub const NAME: &str = "change";

const ASK: &str = "ask";
const ARRIVE: &str = "arrive";

const PATIENCE: Duration = Duration::from_secs(600);

/// What is asked of something that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change", content = "to")]
pub enum Change {
    /// A network or reserved address carries traffic.
    Up,
    /// It carries none.
    Down,
    /// A volume can be used.
    Online,
    /// It cannot.
    Offline,
    /// A copy of a volume.
    Copy(CopyPurpose),
    /// A volume of this many bytes.
    VolumeSize(u64),
    /// A machine of this size.
    MachineSize(MachineSize),
    /// A network with these properties.
    Network(NetworkSpec),
    /// A security group with these rules.
    Rules(Vec<Rule>),
    /// A link that was parted is joined as its specification says now.
    Rejoin,
}

impl Change {
    /// What the owner sees meanwhile.
    pub fn announcement(&self) -> &'static str {
        match self {
            Self::Up => "going up",
            Self::Down => "going down",
            Self::Online => "going online",
            Self::Offline => "going offline",
            Self::Copy(CopyPurpose::Backup) => "being backed up",
            Self::Copy(CopyPurpose::Snapshot) => "a snapshot is being taken",
            Self::VolumeSize(_) | Self::MachineSize(_) => "being resized",
            Self::Network(_) | Self::Rules(_) => "being changed",
            Self::Rejoin => "being joined anew",
        }
    }

    /// What the entity takes of its project's share with the change.
    pub(super) fn usage(&self, taken: Usage) -> Usage {
        let number = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        match self {
            Self::VolumeSize(bytes) => Usage { disk_bytes: number(*bytes), ..taken },
            Self::MachineSize(size) => Usage {
                cores: size.cores.into(),
                memory_mib: number(size.memory_mib),
                // A disk never shrinks.
                disk_bytes: number(size.disk_bytes).max(taken.disk_bytes),
                ..taken
            },
            _ => taken,
        }
    }

    fn destination(&self, before: EntityState) -> EntityState {
        match self {
            Self::Up | Self::Rejoin => EntityState::Active,
            Self::Down => EntityState::Inactive,
            Self::Online => EntityState::Online,
            Self::Offline => EntityState::Offline,
            _ => before,
        }
    }
}

/// What the entity said of itself before the change; it says so again when the change is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Its mixins.
    pub mixins: Vec<CategoryId>,
    /// Its attributes.
    pub attributes: BTreeMap<AttributeName, Value>,
    /// What its site was asked for.
    pub specification: serde_json::Value,
}

/// A change, and the way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is asked.
    pub change: Change,
    /// The state at the beginning.
    pub state: String,
    /// The description at the beginning, where the change alters it.
    pub before: Option<Before>,
    /// What of its project's share it took at the beginning.
    #[serde(default)]
    pub taken: Option<Usage>,
}

impl Plan {
    fn of(saga: &Saga) -> Result<Self, StepFailure> {
        parameters_of(saga)
    }

    fn state_before(&self) -> EntityState {
        self.state.parse().unwrap_or(EntityState::Error)
    }
}

pub struct Changing {
    sites: Sites,
}

impl Changing {
    pub fn new(sites: Sites) -> Self {
        Self { sites }
    }

    async fn ask(run: &Run, work: &Work, change: &Change) -> Result<Done, StepFailure> {
        let backend = work.site.backend.as_ref();
        if *change == Change::Rejoin {
            let left = link::leave(run, work).await?;
            run.write(move |connection| left.write(connection)).await?;
            return link::join(run, work).await;
        }
        let missing = || StepFailure::Lasting(format!("there is no {} at its site", work.order.noun()));
        let id = work.entity.backend_id.as_deref().ok_or_else(missing)?;
        let asked = async {
            match (change, &work.order) {
                // A reservation is the broker's word: an address that is not used carries nothing anyway.
                (Change::Up | Change::Down, Order::Address(_)) => Ok(()),
                (Change::Up, _) => networks(backend)?.set_up(&name(id)?, true).await,
                (Change::Down, _) => networks(backend)?.set_up(&name(id)?, false).await,
                (Change::Online, _) => volumes(backend)?.set_online(&name(id)?, true).await,
                (Change::Offline, _) => volumes(backend)?.set_online(&name(id)?, false).await,
                (Change::Copy(purpose), _) => volumes(backend)?.copy(&name(id)?, *purpose, copy_tag(run.saga.id)).await,
                (Change::VolumeSize(bytes), _) => volumes(backend)?.resize(&name(id)?, *bytes).await,
                (Change::MachineSize(size), _) => backend.resize(&name(id)?, size).await,
                (Change::Network(spec), _) => networks(backend)?.change(&name(id)?, spec).await,
                (Change::Rules(rules), _) => security_groups(backend)?.change(&name(id)?, rules).await,
                (Change::Rejoin, _) => Ok(()),
            }
        };
        match asked.await {
            // Where the backend knows no such states, they are the broker's word, and so is their end.
            Err(BackendError::Unsupported(_)) if matches!(change, Change::Up | Change::Online) => Ok(Done::nothing()),
            asked => asked.map(|()| Done::nothing()).map_err(|error| failure(&error)),
        }
    }
}

/// One copy for one saga, however often it is asked for.
fn copy_tag(saga: Uuid) -> IntentTag {
    IntentTag(saga)
}

#[async_trait]
impl Definition for Changing {
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
        Plan::of(saga).ok().map(|plan| plan.change.announcement().to_owned())
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        let plan = Plan::of(&run.saga)?;
        if step == ASK {
            return Self::ask(run, &work, &plan.change).await;
        }
        match (&plan.change, plan.state_before()) {
            (Change::Rejoin, _) => {}
            (Change::MachineSize(_), EntityState::Active) => {
                wait_until(&work, |machine| machine.state == MachineState::Running).await?;
            }
            (Change::MachineSize(_), _) => {}
            _ => {
                make::wait_until_ready(&work).await?;
            }
        }
        Ok(Done::nothing())
    }

    async fn undo(&self, _step: &'static str, _run: &Run) -> Result<Done, StepFailure> {
        // What was asked of a backend cannot be taken back; what the owner sees is.
        Ok(Done::nothing())
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let Ok(plan) = Plan::of(saga) else {
            return Ok(());
        };
        let (before, request_id) = (plan.state_before(), saga.request_id.as_deref());
        let Outcome::Undone(reason) = outcome else {
            return ledger::set_state(connection, saga.entity, plan.change.destination(before), None, request_id);
        };
        if let (Some(taken), Some(entity)) = (plan.taken, entity::find_for_dispatch(connection, saga.entity)?)
            && taken != Usage::default()
        {
            let asked_by = ledger::AskedBy { request_id: saga.request_id.clone(), ..Default::default() };
            ledger::take_instead(connection, &entity, taken, &asked_by)?;
        }
        if let Some(description) = &plan.before {
            entity::set_description(connection, saga.entity, &description.mixins, &description.attributes)?;
            entity::set_specification(connection, saga.entity, &description.specification)?;
        }
        let message = format!("{} failed: {reason}", plan.change.announcement());
        // A link that could not be joined anew is apart.
        let state = if plan.change == Change::Rejoin { EntityState::Error } else { before };
        ledger::set_state(connection, saga.entity, state, Some(&message), request_id)
    }
}
