//! The machines of this node.

mod admission;
mod adopt;
mod card;
mod create;
mod description;
mod image;
mod keeper;
mod means;
mod network;
mod run;
mod volume;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backend::{
    IntentTag, Machine, MachineId, MachineSize, MachineSpec, RestartMethod, SaveMethod, SavedDisk, StopMethod,
    SuspendMethod,
};
use card::{Ask, Card, Wish};
use means::Means;
use tokio::sync::RwLock;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{NodeError, Options, turns::Turns};

/// The keeper of this node's machines. Clones share one state.
///
/// Machines go on running when the last clone is dropped, and when the process ends in whatever way.
#[derive(Clone)]
pub struct Driver(Arc<Inner>);

struct Inner {
    means: Arc<Means>,
    machines: Mutex<BTreeMap<MachineId, Arc<Card>>>,
    /// Keepers, creates and deletes: what must end before another driver may take over.
    tasks: TaskTracker,
    /// Creates and deletes of one machine, one after the other.
    turns: Turns<MachineId>,
    /// Creates share it while they take an image; the removal of unused images holds it alone.
    images_in_use: RwLock<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The keepers let go of their machines, which go on.
        self.means.closing.cancel();
    }
}

impl Driver {
    /// Opens the data directory, made if need be, and finds the machines of earlier drivers again: a QEMU that
    /// lives is taken over, one that died is a stopped machine, and what was half made is removed.
    ///
    /// The accelerator is probed in the background; the first create waits for it.
    ///
    /// # Errors
    /// [`NodeError::DataDirectoryTaken`] when another driver works there; [`NodeError::Refused`] for impossible
    /// options; [`NodeError::File`] when the directory cannot be used.
    pub async fn open(options: Options) -> Result<Self, NodeError> {
        let means = Means::open(options).await?;
        let inner = Arc::new(Inner {
            means: Arc::clone(&means),
            machines: Mutex::default(),
            tasks: TaskTracker::new(),
            turns: Turns::default(),
            images_in_use: RwLock::default(),
        });
        inner.adopt_all().await?;
        let probe = async move {
            let chosen = means.closing.run_until_cancelled(means.choice()).await;
            if let Some(Err(error)) = chosen {
                tracing::warn!(%error, "no machine can be created");
            }
        };
        inner.tasks.spawn(probe);
        Ok(Self(inner))
    }

    /// Lets go of all machines, which go on running, and of the data directory.
    pub async fn close(&self) {
        self.0.means.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        lock(&self.0.machines).clear();
        self.0.means.release();
    }

    /// Makes a machine and starts it. One that carries the tag already is returned instead.
    ///
    /// The work goes on to its end when the caller does not wait for it.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for impossible wishes, [`NodeError::UnknownImage`], [`NodeError::HypervisorMissing`],
    /// [`NodeError::NoRoom`], [`NodeError::Qemu`]. Nothing is left of a failed create.
    pub async fn create(&self, spec: MachineSpec) -> Result<Machine, NodeError> {
        let inner = Arc::clone(&self.0);
        // Taken before the work is handed to a task of its own, so that whoever asks for the tag from now on waits.
        let turn = inner.turns.take(&create::id_for(spec.tag)?).await;
        self.finish(async move { inner.create(&spec, turn).await }).await
    }

    /// The present facts of a machine.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`].
    pub fn machine(&self, id: &MachineId) -> Result<Machine, NodeError> {
        Ok(self.0.card(id)?.show(&self.0.means))
    }

    /// The machine that carries the tag, if there is one. A create of it that is under way, perhaps for a caller who
    /// has gone, is waited for: "none" means that none will appear later.
    pub async fn find_by_tag(&self, tag: IntentTag) -> Option<Machine> {
        let id = create::id_for(tag).ok()?;
        let _turn = self.0.turns.take(&id).await;
        self.machine(&id).ok()
    }

    /// All machines.
    #[must_use]
    pub fn machines(&self) -> Vec<Machine> {
        let cards: Vec<_> = lock(&self.0.machines).values().cloned().collect();
        cards.iter().map(|card| card.show(&self.0.means)).collect()
    }

    /// Asks a machine to start.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Conflict`], [`NodeError::NoRoom`].
    pub async fn start(&self, id: &MachineId) -> Result<(), NodeError> {
        self.0.card(id)?.change(Wish::Start).await
    }

    /// Asks a machine to stop.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Conflict`].
    pub async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), NodeError> {
        self.0.card(id)?.change(Wish::Stop(method)).await
    }

    /// Asks a running machine to start anew.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Conflict`].
    pub async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), NodeError> {
        self.0.card(id)?.change(Wish::Restart(method)).await
    }

    /// Asks a running machine to freeze, its memory kept.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Conflict`], [`NodeError::NoRoom`] for the memory on disk.
    pub async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), NodeError> {
        self.0.card(id)?.change(Wish::Suspend(method)).await
    }

    /// Gives a machine another size. One that runs is stopped and started for other cores or memory.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Refused`] beyond the limits, [`NodeError::Conflict`] for a suspended
    /// one, [`NodeError::NoRoom`].
    pub async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), NodeError> {
        let card = self.0.card(id)?;
        admission::check_size(size, &admission::limits(&self.0.means.options, &self.0.means.memory))?;
        card.change(Wish::Resize(*size)).await
    }

    /// A copy of the root disk at this moment; of one that runs, as after a power cut, or with the machine stopped for
    /// it and started again.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::Conflict`] while it changes its state or is saved already,
    /// [`NodeError::NoRoom`], [`NodeError::Qemu`].
    pub async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, NodeError> {
        let saved = self.0.card(id)?.ask(|answer| Ask::Save { method, answer }).await?;
        Ok(saved.into())
    }

    /// Removes a machine and everything that is its own; returns when nothing is left. One that is unknown is a
    /// success. The work goes on to its end when the caller does not wait for it.
    ///
    /// # Errors
    /// [`NodeError::Qemu`] when its process does not end, [`NodeError::File`] when its files do not go.
    pub async fn delete(&self, id: &MachineId) -> Result<(), NodeError> {
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        self.finish(async move { inner.delete(&id).await }).await
    }

    /// Runs to the end even if nobody waits, on the driver's own runtime.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, NodeError>> + Send + 'static,
    ) -> Result<T, NodeError> {
        if self.0.means.closing.is_cancelled() {
            return Err(NodeError::Closing);
        }
        let done = self.0.tasks.spawn_on(work.in_current_span(), &self.0.means.runtime).await;
        done.unwrap_or_else(|error| Err(NodeError::Internal(format!("the work broke off: {error}"))))
    }
}

impl Inner {
    fn card(&self, id: &MachineId) -> Result<Arc<Card>, NodeError> {
        lock(&self.machines).get(id).cloned().ok_or_else(|| NodeError::UnknownMachine(id.clone()))
    }

    async fn delete(&self, id: &MachineId) -> Result<(), NodeError> {
        let _turn = self.turns.take(id).await;
        let Ok(card) = self.card(id) else { return Ok(()) };
        card.change(Wish::Delete).await?;
        lock(&self.machines).remove(id);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
