//! A backend in memory that can be told to be slow and to fail: a simulator, for tests and benchmarks of the broker
//! itself. It says so in its description, and keeps every promise of the contract unless told otherwise.

mod address_range;
mod addresses;
mod behaviour;
mod changes;
mod command;
mod hanging;
mod images;
mod inspection;
mod interfaces;
mod joins;
mod lists;
mod machine;
mod machines;
mod mishaps;
mod networks;
mod quota;
mod security_groups;
mod shelf;
mod snapshots;
pub mod socket;
mod traffic;
mod volumes;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use addresses::SimulatedAddress;
pub use behaviour::{Behaviour, Delays, Fault, Operation, Parts};
use changes::Changes;
pub use command::Command;
use images::Images;
pub use inspection::{Inventory, ObjectKind, TaggedObject};
use joins::Joins;
use lists::StaleList;
use machine::SimulatedMachine;
use networks::SimulatedNetwork;
use security_groups::SimulatedSecurityGroup;
use shelf::Shelf;
use tokio::time::Instant;
use traffic::{Traffic, Visit};
use volumes::SimulatedVolume;

use crate::{BackendError, Machine, Network, Volume};

/// The simulated backend. Clones share one state, as two connections to one service would.
#[derive(Clone, Default)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
}

/// All that the service knows. What joins two objects (an attachment, an interface, an applied group) is the
/// machine's, so that it goes with the machine; `joins` is no more than an index to that.
#[derive(Default)]
struct State {
    behaviour: Behaviour,
    images: Images,
    machines: Shelf<SimulatedMachine>,
    volumes: Shelf<SimulatedVolume>,
    networks: Shelf<SimulatedNetwork>,
    addresses: Shelf<SimulatedAddress>,
    taken_addresses: HashSet<IpAddr>,
    security_groups: Shelf<SimulatedSecurityGroup>,
    joins: Joins,
    traffic: Traffic,
    changes: Changes,
    stale_machines: StaleList<Machine>,
    stale_volumes: StaleList<Volume>,
    stale_networks: StaleList<Network>,
}

impl Simulator {
    /// A backend that behaves in the given way.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self { state: Arc::new(Mutex::new(State { behaviour, ..State::default() })) }
    }

    /// Changes the behaviour from now on.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock().behaviour);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking test thread must not turn every later call into a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, waits as long as the behaviour says, and takes the next ordered fault.
    async fn begin(&self, operation: Operation) -> Result<Visited, BackendError> {
        let visit = Visit::begin(self, operation);
        let (delay, fault) = self.lock().behaviour.reception(operation)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let told = match fault {
            Some(Fault::Before(error)) => return Err(error),
            Some(Fault::After(error)) => Some(error),
            Some(Fault::AnswerLost) => Some(BackendError::Unreachable("the answer was lost".into())),
            Some(Fault::Hang) => return Err(hanging::hang().await),
            None => None,
        };
        Ok(Visited { told, _visit: visit })
    }

    /// A call from its beginning to its answer. The effect happens at once, so a dropped call has had all of it or
    /// none.
    async fn perform<T: Send>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut State, Instant) -> Result<T, BackendError> + Send,
    ) -> Result<T, BackendError> {
        let visited = self.begin(operation).await?;
        let done = effect(&mut self.lock(), Instant::now())?;
        visited.answer(done)
    }
}

/// A call that has had its effect, or is about to.
struct Visited {
    /// The error that the caller hears all the same.
    told: Option<BackendError>,
    _visit: Visit,
}

impl Visited {
    fn answer<T>(self, value: T) -> Result<T, BackendError> {
        self.told.map_or(Ok(value), Err)
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

fn unknown(what: &str, id: impl std::fmt::Display) -> BackendError {
    BackendError::NotFound(format!("{what} named {id}"))
}
