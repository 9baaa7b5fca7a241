//! The saga that makes a machine: deliver the image, create, wait until it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use backend::{Machine, MachineId, MachineState};
use image_store::ImageStore;
use tokio::time::Instant;

use super::{
    image,
    object::name,
    saga::{Definition, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure, say},
};
use crate::store::{
    DbConnection, StoreError,
    entity::{self, EntityState, Facts},
    intent,
    saga::Saga,
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
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

pub struct Provision {
    sites: Sites,
    images: Arc<ImageStore>,
}

impl Provision {
    pub fn new(sites: Sites, images: Arc<ImageStore>) -> Self {
        Self { sites, images }
    }

    async fn deliver(&self, run: &Run, work: &Work) -> Result<(), StepFailure> {
        // Re-reading metadata of a file is quick, but it is a disk: not on the runtime's thread.
        let (images, digest) = (Arc::clone(&self.images), work.machine()?.image);
        let offer = tokio::task::spawn_blocking(move || image::offer(&images, digest))
            .await
            .map_err(|_| StepFailure::Store(StoreError::Interrupted))?
            .map_err(StepFailure::Lasting)?;
        say(run, &format!("delivering the image to site {}", work.site.name)).await?;
        let delivered = AtomicU64::new(0);
        let note = |bytes: u64| delivered.store(bytes, Ordering::Relaxed);
        let delivery = work.site.backend.provide_image(&offer, &note);
        tokio::pin!(delivery);
        let mut shown = 0;
        loop {
            tokio::select! {
                outcome = &mut delivery => return outcome.map_err(|error| failure(&error)),
                () = tokio::time::sleep(PROGRESS_INTERVAL) => {}
            }
            let percent = delivered.load(Ordering::Relaxed).saturating_mul(100) / offer.size.max(1);
            if percent > shown {
                shown = percent;
                say(run, &format!("delivering the image to site {}: {percent} %", work.site.name)).await?;
            }
        }
    }

    async fn create(run: &Run, work: &Work) -> Result<(), StepFailure> {
        say(run, &format!("creating the machine at site {}", work.site.name)).await?;
        // An earlier try may have been answered by nobody: look before asking again.
        let found = work.site.backend.find_by_tag(work.order.tag()).await.map_err(|error| failure(&error))?;
        let machine = match found {
            Some(machine) => machine,
            None => work.site.backend.create(work.machine()?).await.map_err(|error| failure(&error))?,
        };
        let (entity, tag) = (run.saga.entity, work.order.tag());
        run.write(move |connection| {
            intent::settle(connection, tag, Some(machine.id.as_str()))?;
            entity::set_backend_id(connection, entity, Some(machine.id.as_str()))
        })
        .await?;
        Ok(())
    }

    async fn boot(run: &Run, work: &Work) -> Result<(), StepFailure> {
        say(run, "starting the machine").await?;
        let machine = wait_for(work, |machine| machine.state == MachineState::Running, BOOT_LIMIT).await?;
        let (entity, facts) = (run.saga.entity, facts_of(&machine));
        run.write(move |connection| entity::set_facts(connection, entity, &facts)).await?;
        Ok(())
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

    fn is_interruptible(&self, step: &'static str) -> bool {
        step != CREATE
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, step: &'static str, run: &Run) -> Result<(), StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        match step {
            DELIVER => self.deliver(run, &work).await,
            CREATE => Self::create(run, &work).await,
            _ => Self::boot(run, &work).await,
        }
    }

    async fn undo(&self, step: &'static str, run: &Run) -> Result<(), StepFailure> {
        // A delivered image stays: it belongs to the site, not to the machine. A started machine goes with its
        // creation.
        if step != CREATE {
            return Ok(());
        }
        let work = Work::of(run, &self.sites).await?;
        remove_machine(run, &work).await
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        match outcome {
            Outcome::Done => entity::set_state(connection, saga.entity, EntityState::Active, None),
            Outcome::Undone(reason) => {
                entity::set_facts(connection, saga.entity, &Facts::default())?;
                entity::set_state(connection, saga.entity, EntityState::Error, Some(reason))
            }
        }
    }
}

/// Removes whatever machine carries the entity's tag, and records that there is none.
pub async fn remove_machine(run: &Run, work: &Work) -> Result<(), StepFailure> {
    let machine = match &work.entity.backend_id {
        Some(machine) => Some(name(machine).map_err(|error| failure(&error))?),
        None => {
            let found = work.site.backend.find_by_tag(work.order.tag()).await.map_err(|error| failure(&error))?;
            found.map(|machine| machine.id)
        }
    };
    if let Some(machine) = machine {
        work.site.backend.delete(&machine).await.map_err(|error| failure(&error))?;
    }
    let (entity, tag) = (run.saga.entity, work.order.tag());
    run.write(move |connection| {
        intent::settle(connection, tag, None)?;
        entity::set_backend_id(connection, entity, None)
    })
    .await?;
    Ok(())
}

/// Looks at the entity's machine until it is as wanted, for `limit` at the most.
pub async fn wait_for(work: &Work, wanted: impl Fn(&Machine) -> bool, limit: Duration) -> Result<Machine, StepFailure> {
    let Some(id) = &work.entity.backend_id else {
        return Err(StepFailure::Lasting("the entity has no machine".into()));
    };
    let id: MachineId = name(id).map_err(|error| failure(&error))?;
    let deadline = Instant::now() + limit;
    loop {
        let machine = work.site.backend.machine(&id).await.map_err(|error| failure(&error))?;
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
        tokio::time::sleep(LOOK).await;
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
