//! The saga that makes a machine: deliver the image, create, wait until it runs.

use std::time::Duration;

use async_trait::async_trait;
use backend::{Machine, MachineId, MachineState};
use tokio::time::Instant;

use super::{
    image, ledger,
    object::name,
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure, say, unseen_for},
};
use crate::{
    shelf::Shelf,
    store::{
        DbConnection, StoreError,
        entity::{self, EntityState, Facts},
        intent,
        saga::Saga,
    },
};

pub const NAME: &str = "provision";

const DELIVER: &str = "deliver image";
const CREATE: &str = "create machine";
const BOOT: &str = "boot";

/// For how long a site may be out of reach before a create is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// For how long a created machine may take until its processors run.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(100);
/// For how long one call waits: the right to work and the site's breaker are asked anew with the next one.
const PATIENCE_OF_A_LOOK: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

pub struct Provision {
    sites: Sites,
    shelf: Shelf,
}

impl Provision {
    pub fn new(sites: Sites, shelf: Shelf) -> Self {
        Self { sites, shelf }
    }

    async fn deliver(&self, run: &Run, work: &Work) -> Result<Done, StepFailure> {
        // Re-reading metadata of a file is quick, but it is a disk: not on the runtime's thread.
        let (shelf, site, digest) = (self.shelf.clone(), work.site.destination(), work.machine()?.image);
        let offer = tokio::task::spawn_blocking(move || image::offer(&shelf, &site, digest))
            .await
            .map_err(|_| StepFailure::Store(StoreError::Interrupted))?
            .map_err(StepFailure::Lasting)?;
        // Thirty machines of one image need one delivery: the others wait for it, and then find it done.
        let delivery = work.site.deliveries.of(digest);
        let delivering = async {
            let _turn = delivery.turn.lock().await;
            let note = |bytes: u64| delivery.note(bytes, offer.size);
            work.site.backend.provide_image(&offer, &note).await
        };
        tokio::pin!(delivering);
        let mut shown = 0;
        loop {
            tokio::select! {
                outcome = &mut delivering => {
                    return outcome.map(|()| Done::nothing()).map_err(|error| failure(&error));
                }
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {}
            }
            let percent = delivery.percent();
            if percent > shown {
                shown = percent;
                say(run, &format!("waiting for the image at site {}, {percent} %", work.site.name)).await?;
            }
        }
    }

    async fn create(run: &Run, work: &Work) -> Result<Done, StepFailure> {
        let backend = &work.site.backend;
        let mut found = None;
        if run.asked_before().is_some() {
            // An earlier try may have been answered by nobody: look before asking again.
            found = backend.find_by_tag(work.order.tag()).await.map_err(|error| failure(&error))?;
            if found.is_none() {
                await_sighting(run, work)?;
                run.ask_again().await?;
            }
        }
        let machine = match found {
            Some(machine) => machine,
            None => backend.create(work.machine()?).await.map_err(|error| failure(&error))?,
        };
        let (entity, tag) = (run.saga.entity, work.order.tag());
        Ok(Done::writing(move |connection| {
            intent::settle(connection, tag, Some(machine.id.as_str()))?;
            entity::set_backend_id(connection, entity, Some(machine.id.as_str()))
        }))
    }

    async fn boot(run: &Run, work: &Work) -> Result<Done, StepFailure> {
        let machine = wait_for(work, |machine| machine.state == MachineState::Running, BOOT_LIMIT).await?;
        let (entity, facts) = (run.saga.entity, facts_of(&machine));
        Ok(Done::writing(move |connection| entity::set_facts(connection, entity, &facts)))
    }
}

/// What was asked for a moment ago may not be seen yet: it is looked for again before the site is asked again, or
/// before it is believed that there is nothing.
///
/// # Errors
/// [`StepFailure::Passing`] until then.
pub fn await_sighting(run: &Run, work: &Work) -> Result<(), StepFailure> {
    match unseen_for(run, work) {
        Some(_) => {
            let noun = work.order.noun();
            Err(StepFailure::Passing(format!("site {} may have made the {noun} unseen; looking again", work.site.name)))
        }
        None => Ok(()),
    }
}

#[async_trait]
impl Definition for Provision {
    fn name(&self) -> &'static str {
        NAME
    }

    fn steps(&self) -> &'static [&'static str] {
        &[DELIVER, CREATE, BOOT]
    }

    fn makes(&self, step: &'static str) -> bool {
        step == CREATE
    }

    fn announcement(&self, step: &'static str, saga: &Saga) -> Option<String> {
        Some(match step {
            DELIVER => format!("waiting for the image at site {}", saga.site),
            CREATE => format!("creating the machine at site {}", saga.site),
            _ => "starting the machine".to_owned(),
        })
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        match step {
            DELIVER => self.deliver(run, &work).await,
            CREATE => Self::create(run, &work).await,
            _ => Self::boot(run, &work).await,
        }
    }

    async fn undo(&self, step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        // A delivered image stays: it belongs to the site, not to the machine. A started machine goes with its
        // creation.
        if step != CREATE {
            return Ok(Done::nothing());
        }
        let work = Work::of(run, &self.sites).await?;
        remove_machine(run, &work).await
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let request_id = saga.request_id.as_deref();
        match outcome {
            Outcome::Done => ledger::set_state(connection, saga.entity, EntityState::Active, None, request_id),
            Outcome::Undone(reason) => {
                entity::set_facts(connection, saga.entity, &Facts::default())?;
                ledger::set_state(connection, saga.entity, EntityState::Error, Some(reason), request_id)
            }
        }
    }
}

/// Removes whatever machine carries the entity's tag; what is written then is that there is none.
pub async fn remove_machine(run: &Run, work: &Work) -> Result<Done, StepFailure> {
    let backend = &work.site.backend;
    let machine = match &work.entity.backend_id {
        Some(machine) => Some(name(machine).map_err(|error| failure(&error))?),
        None => {
            let found = backend.find_by_tag(work.order.tag()).await.map_err(|error| failure(&error))?;
            if found.is_none() {
                await_sighting(run, work)?;
            }
            found.map(|machine| machine.id)
        }
    };
    if let Some(machine) = machine {
        backend.delete(&machine).await.map_err(|error| failure(&error))?;
    }
    let (entity, tag) = (run.saga.entity, work.order.tag());
    Ok(Done::writing(move |connection| {
        intent::settle(connection, tag, None)?;
        entity::set_backend_id(connection, entity, None)
    }))
}

/// Looks at the entity's machine until it is as wanted, for `limit` at the most.
pub async fn wait_for(work: &Work, wanted: impl Fn(&Machine) -> bool, limit: Duration) -> Result<Machine, StepFailure> {
    let Some(id) = &work.entity.backend_id else {
        return Err(StepFailure::Lasting("the entity has no machine".into()));
    };
    let id: MachineId = name(id).map_err(|error| failure(&error))?;
    let deadline = Instant::now() + limit;
    loop {
        let patience = PATIENCE_OF_A_LOOK.min(deadline.saturating_duration_since(Instant::now()));
        let machine = work.site.backend.machine_at_rest(&id, patience).await.map_err(|error| failure(&error))?;
        if wanted(&machine) {
            return Ok(machine);
        }
        if machine.state == MachineState::Failed {
            let detail = machine.detail.unwrap_or_else(|| "the backend does not say why".into());
            return Err(StepFailure::Lasting(format!("the machine failed: {detail}")));
        }
        if Instant::now() >= deadline {
            let seconds = limit.as_secs();
            return Err(StepFailure::Lasting(format!("the machine is {:?} after {seconds} s", machine.state)));
        }
        // It has not begun to do what it was asked for.
        if machine.state.is_at_rest() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What the owner may know of a machine.
pub fn facts_of(machine: &Machine) -> Facts {
    Facts {
        endpoints: machine.endpoints.clone(),
        console: machine.console.clone(),
        guest_answers: machine.guest_answers,
    }
}
