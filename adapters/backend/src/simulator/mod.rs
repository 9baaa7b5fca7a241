//! A backend in memory that can be told to be slow and to fail: a simulator, for tests and benchmarks of the broker
//! itself. It says so in its description, and keeps every promise of the contract unless told otherwise.

mod address_range;
mod addresses;
mod behaviour;
mod images;
mod inspection;
mod interfaces;
mod machines;
mod mishaps;
mod networks;
mod security_groups;
mod volumes;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use addresses::SimulatedAddress;
pub use behaviour::{Behaviour, Delays, Fault, Operation, Parts};
use images::Images;
use machines::SimulatedMachine;
use networks::SimulatedNetwork;
use tokio::time::Instant;
use volumes::SimulatedVolume;

use crate::{
    AddressId, BackendError, IntentTag, InvalidName, MachineId, NetworkId, SecurityGroup, SecurityGroupId, VolumeId,
};

/// The simulated backend. Clones share one state, as two connections to one service would.
#[derive(Clone, Default)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
}

/// All that the service knows. What joins two objects (an attachment, an interface, an applied group) is the
/// machine's alone, so that it goes with the machine and nothing can disagree about it.
#[derive(Default)]
struct State {
    behaviour: Behaviour,
    images: Images,
    machines: BTreeMap<MachineId, SimulatedMachine>,
    volumes: BTreeMap<VolumeId, SimulatedVolume>,
    networks: BTreeMap<NetworkId, SimulatedNetwork>,
    addresses: BTreeMap<AddressId, SimulatedAddress>,
    security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    calls: BTreeMap<Operation, u64>,
}

impl Simulator {
    /// A backend that behaves in the given way.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self { state: Arc::new(Mutex::new(State { behaviour, ..State::default() })) }
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
            let fault = state.behaviour.faults.get_mut(&operation).and_then(VecDeque::pop_front);
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

    /// A call from its beginning to its answer. The effect happens at once, so a dropped call has had all of it or
    /// none.
    async fn perform<T: Send>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut State, Instant) -> Result<T, BackendError> + Send,
    ) -> Result<T, BackendError> {
        let after = self.begin(operation).await?;
        let done = effect(&mut self.lock(), Instant::now())?;
        after.answer(done)
    }
}

/// What becomes of a call's answer once its effect is done.
struct AfterEffect(Option<BackendError>);

impl AfterEffect {
    fn answer<T>(self, value: T) -> Result<T, BackendError> {
        self.0.map_or(Ok(value), Err)
    }
}

/// Where an object is going: it arrives by the clock, not by a task, so that a simulator needs no clean-up.
#[derive(Debug, Clone, Copy)]
struct Course<S> {
    state: S,
    arrival: Option<(Instant, S)>,
}

impl<S: Copy> Course<S> {
    fn at_rest(state: S) -> Self {
        Self { state, arrival: None }
    }

    fn through(state: S, at: Instant, then: S) -> Self {
        Self { state, arrival: Some((at, then)) }
    }

    fn at(&self, now: Instant) -> S {
        match self.arrival {
            Some((at, state)) if at <= now => state,
            _ => self.state,
        }
    }
}

/// Names follow from tags, so that one tag cannot make two objects and is found without a search.
fn name<T>(kind: &str, tag: IntentTag) -> Result<T, BackendError>
where
    T: TryFrom<String, Error = InvalidName>,
{
    format!("{kind}-{tag}").try_into().map_err(|error: InvalidName| BackendError::Failed(error.to_string()))
}

fn unknown(what: &str, id: impl std::fmt::Display) -> BackendError {
    BackendError::NotFound(format!("{what} named {id}"))
}
