//! The saga that makes an appliance of a machine's disk.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{SaveMethod, SavedDisk};
use bytes::Bytes;
use futures_util::StreamExt;
use image_store::{ImageStore, StoredImage};
use marketplace::{
    Appliance, ApplianceDraft, ApplianceVersion, Architecture, PublicationTime, Requirements, VersionDraft,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    ledger,
    object::name,
    saga::{Definition, Done, Outcome, Run, StepFailure},
    site::Sites,
    work::{Work, failure, parameters_of},
};
use crate::store::{DbConnection, StoreError, Timestamp, appliance, entity::EntityState, saga::Saga};

pub const NAME: &str = "save";

const SAVE: &str = "save disk";

const PATIENCE: Duration = Duration::from_secs(600);
/// How many chunks of a disk wait in memory for the store.
const CHUNKS_WAITING: usize = 8;

/// What is to be made of the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SaveOrder {
    /// How the disk is taken.
    pub method: SaveMethod,
    /// The appliance, visible to the machine's project alone.
    pub appliance: ApplianceDraft,
    /// The state at the beginning, which is the state at the end.
    pub state: String,
}

impl SaveOrder {
    fn of(saga: &Saga) -> Result<Self, StepFailure> {
        parameters_of(saga)
    }
}

pub struct Save {
    sites: Sites,
    images: Arc<ImageStore>,
}

impl Save {
    pub fn new(sites: Sites, images: Arc<ImageStore>) -> Self {
        Self { sites, images }
    }
}

#[async_trait]
impl Definition for Save {
    fn name(&self) -> &'static str {
        NAME
    }

    // One step: images are named by their content, so a disk that was stored and not published is only stored again.
    fn steps(&self) -> &'static [&'static str] {
        &[SAVE]
    }

    fn repeats(&self) -> bool {
        true
    }

    fn announcement(&self, _step: &'static str, _saga: &Saga) -> Option<String> {
        Some("saving the disk".to_owned())
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    async fn act(&self, _step: &'static str, run: &Run) -> Result<Done, StepFailure> {
        let work = Work::of(run, &self.sites).await?;
        let order = SaveOrder::of(&run.saga)?;
        let lasting = |error: String| StepFailure::Lasting(error);
        let Some(id) = &work.entity.backend_id else {
            return Err(lasting("the entity has no machine".into()));
        };
        let machine = name(id).map_err(|error| failure(&error))?;
        let saved = work.site.backend.save(&machine, order.method).await.map_err(|error| failure(&error))?;
        let image = store(&self.images, saved).await?;
        let spec = work.machine()?;
        let architecture = match spec.architecture {
            backend::Architecture::X86 => Architecture::X86,
            backend::Architecture::X86_64 => Architecture::X86_64,
        };
        let now = Timestamp::now();
        let version = ApplianceVersion::try_from(VersionDraft {
            label: now.to_string().replace(':', ""),
            image: image.digest,
            image_bytes: image.size,
            requirements: Requirements { architecture, cores: 1, memory_mib: 64, disk_bytes: image.size },
            published_at: PublicationTime(now.0),
            withdrawn: false,
        })
        .map_err(|error| lasting(error.to_string()))?;
        let saved = Appliance::try_from(order.appliance).map_err(|error| lasting(error.to_string()))?;
        let project = work.entity.project;
        Ok(Done::writing(move |connection| {
            // After a repetition it is there already.
            if appliance::exists(connection, saved.name())? {
                return Ok(());
            }
            appliance::publish_for(connection, &saved, &version, Some(project))
        }))
    }

    async fn undo(&self, _step: &'static str, _run: &Run) -> Result<Done, StepFailure> {
        // An image that nobody names is the image store's to collect.
        Ok(Done::nothing())
    }

    fn settle(&self, connection: &mut DbConnection, saga: &Saga, outcome: &Outcome) -> Result<(), StoreError> {
        let state = SaveOrder::of(saga).ok().and_then(|order| order.state.parse().ok()).unwrap_or(EntityState::Active);
        let request_id = saga.request_id.as_deref();
        match outcome {
            Outcome::Done => ledger::set_state(connection, saga.entity, state, None, request_id),
            Outcome::Undone(reason) => {
                let message = format!("saving failed: {reason}");
                ledger::set_state(connection, saga.entity, state, Some(&message), request_id)
            }
        }
    }
}

/// Puts the disk into the image store as it comes.
async fn store(images: &Arc<ImageStore>, saved: SavedDisk) -> Result<StoredImage, StepFailure> {
    let SavedDisk { size, mut bytes } = saved;
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_WAITING);
    let images = Arc::clone(images);
    let storing =
        tokio::task::spawn_blocking(move || images.receive(size, std::iter::from_fn(move || receiver.blocking_recv())));
    while let Some(chunk) = bytes.next().await {
        // The store has given up; why, it says below.
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    drop(sender);
    let stored = storing.await.map_err(|_| StepFailure::Store(StoreError::Interrupted))?;
    stored.map_err(|error| match error {
        image_store::StoreError::Interrupted(reason) => StepFailure::Passing(reason.to_string()),
        other => StepFailure::Lasting(other.to_string()),
    })
}
