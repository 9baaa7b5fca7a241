//! A backend in memory that can be told to be slow and to fail: a simulator, for tests and benchmarks of the broker
//! itself. It says so in its description, and keeps every promise of the contract unless told otherwise.

mod behaviour;
mod machines;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
pub use behaviour::{Behaviour, Delays, Fault, Operation};
use disk_image::ContentDigest;
use futures_util::StreamExt;
use machines::SimulatedMachine;
use tokio::time::Instant;

use crate::{
    Backend, BackendError, Description, ImageOffer, IntentTag, Machine, MachineId, MachineSize, MachineSpec,
    MachineState, Progress, RestartMethod, SaveMethod, SavedDisk, StopMethod, SuspendMethod,
};

/// The simulated backend. Clones share one state, as two connections to one service would.
#[derive(Clone, Default)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    images: BTreeSet<ContentDigest>,
    machines: BTreeMap<MachineId, SimulatedMachine>,
    calls: BTreeMap<Operation, u64>,
}

impl Simulator {
    /// A backend that behaves in the given way.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self { state: Arc::new(Mutex::new(State { behaviour, ..State::default() })) }
    }

    /// Makes the next `times` calls of `operation` fail in the given way, after those ordered before.
    pub fn inject(&self, operation: Operation, fault: Fault, times: usize) {
        let mut state = self.lock();
        let queue = state.behaviour.faults.entry(operation).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// How often an operation was called, failures included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// How many machines exist, of whatever state.
    #[must_use]
    pub fn machine_count(&self) -> usize {
        self.lock().machines.len()
    }

    /// Whether the image was delivered.
    #[must_use]
    pub fn holds_image(&self, digest: &ContentDigest) -> bool {
        self.lock().images.contains(digest)
    }

    /// Makes a machine vanish behind the broker's back.
    pub fn vanish(&self, tag: IntentTag) {
        self.lock().machines.retain(|_, machine| machine.spec.tag != tag);
    }

    /// Lets the guest switch itself off.
    pub fn guest_powers_off(&self, tag: IntentTag) {
        for machine in self.lock().machines.values_mut().filter(|machine| machine.spec.tag == tag) {
            machine.settle(MachineState::Stopped, Some("the guest switched off"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking test thread must not turn every later call into a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, waits as long as the behaviour says, and takes the next ordered fault.
    async fn begin(&self, operation: Operation) -> Result<AfterEffect, BackendError> {
        let (delay, fault) = {
            let mut state = self.lock();
            *state.calls.entry(operation).or_default() += 1;
            let fault = state.behaviour.faults.get_mut(&operation).and_then(std::collections::VecDeque::pop_front);
            (state.behaviour.delays.call, fault)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match fault {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::AnswerLost) => Ok(AfterEffect(Some(BackendError::Unreachable("the answer was lost".into())))),
            Some(Fault::Hang) => std::future::pending().await,
            None => Ok(AfterEffect(None)),
        }
    }

    fn with_machine<T>(
        &self,
        id: &MachineId,
        change: impl FnOnce(&mut SimulatedMachine, &Delays) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let mut state = self.lock();
        let delays = state.behaviour.delays;
        let machine =
            state.machines.get_mut(id).ok_or_else(|| BackendError::NotFound(format!("a machine named {id}")))?;
        change(machine, &delays)
    }
}

/// What becomes of a call's answer once its effect is done.
struct AfterEffect(Option<BackendError>);

impl AfterEffect {
    fn answer<T>(self, value: T) -> Result<T, BackendError> {
        self.0.map_or(Ok(value), Err)
    }
}

#[async_trait]
impl Backend for Simulator {
    async fn describe(&self) -> Result<Description, BackendError> {
        let after = self.begin(Operation::Describe).await?;
        let description = self.lock().behaviour.description.clone();
        after.answer(description)
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        let after = self.begin(Operation::ProvideImage).await?;
        if !self.lock().images.contains(&offer.digest) {
            let mut stream = offer.source.stream();
            let mut received = 0;
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| BackendError::Failed(format!("reading the image: {error}")))?;
                received += chunk.len() as u64;
                progress(received);
            }
            let pause = self.lock().behaviour.delays.image;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if received != offer.size {
                return Err(BackendError::Failed(format!(
                    "image {} has {received} bytes, {} were announced",
                    offer.digest, offer.size
                )));
            }
            self.lock().images.insert(offer.digest);
        }
        after.answer(())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        let after = self.begin(Operation::Create).await?;
        let machine = {
            let mut state = self.lock();
            let limits = state.behaviour.description.limits;
            if spec.cores > limits.cores || spec.memory_mib > limits.memory_mib || spec.disk_bytes > limits.disk_bytes {
                return Err(BackendError::Refused("the machine is larger than this backend's limits".into()));
            }
            if !state.images.contains(&spec.image) {
                return Err(BackendError::NotFound(format!("image {}", spec.image)));
            }
            let now = Instant::now();
            let boot = state.behaviour.delays.boot;
            let existing = state.machines.values().find(|machine| machine.spec.tag == spec.tag);
            if let Some(existing) = existing {
                existing.facts(now)
            } else {
                let machine = SimulatedMachine::building(spec.clone(), now + boot)?;
                let facts = machine.facts(now);
                state.machines.insert(facts.id.clone(), machine);
                facts
            }
        };
        after.answer(machine)
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        let after = self.begin(Operation::Machine).await?;
        let facts = self.with_machine(id, |machine, _| Ok(machine.facts(Instant::now())))?;
        after.answer(facts)
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        let after = self.begin(Operation::FindByTag).await?;
        let now = Instant::now();
        let found = self.lock().machines.values().find(|m| m.spec.tag == tag).map(|m| m.facts(now));
        after.answer(found)
    }

    async fn machines(&self) -> Result<Vec<Machine>, BackendError> {
        let after = self.begin(Operation::Machines).await?;
        let now = Instant::now();
        let all = self.lock().machines.values().map(|machine| machine.facts(now)).collect();
        after.answer(all)
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        let after = self.begin(Operation::Start).await?;
        self.with_machine(id, |machine, delays| machine.start(Instant::now(), delays.boot))?;
        after.answer(())
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        let after = self.begin(Operation::Stop).await?;
        self.with_machine(id, |machine, delays| {
            let pause = if method == StopMethod::PowerOff { std::time::Duration::ZERO } else { delays.stop };
            machine.stop(Instant::now(), pause)
        })?;
        after.answer(())
    }

    async fn restart(&self, id: &MachineId, _method: RestartMethod) -> Result<(), BackendError> {
        let after = self.begin(Operation::Restart).await?;
        self.with_machine(id, |machine, delays| machine.restart(Instant::now(), delays.boot))?;
        after.answer(())
    }

    async fn suspend(&self, _id: &MachineId, _method: SuspendMethod) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("suspend machines".into()))
    }

    async fn resize(&self, _id: &MachineId, _size: &MachineSize) -> Result<(), BackendError> {
        Err(BackendError::Unsupported("resize machines".into()))
    }

    async fn save(&self, _id: &MachineId, _method: SaveMethod) -> Result<SavedDisk, BackendError> {
        Err(BackendError::Unsupported("save disks".into()))
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        let after = self.begin(Operation::Delete).await?;
        self.lock().machines.remove(id);
        after.answer(())
    }
}
