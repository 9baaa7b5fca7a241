//! How the checks ask: never longer than the candidate may take, and writing down what is to be removed.

use std::{
    fmt::Debug,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Candidate, Report, Violation, leftover::Leftover};
use crate::{
    Architecture, Backend, BackendError, Capability, Description, IntentTag, InvalidName, Listing, MachineId,
    MachineJoins, MachineSize, MachineSpec, MachineState,
};

/// Between two looks at something on its way.
const GAP: Duration = Duration::from_millis(50);

/// The state of one run of the suite.
pub(super) struct Inspection<'a> {
    pub(super) candidate: &'a Candidate,
    /// What the backend said of itself at the beginning.
    pub(super) description: Description,
    report: Mutex<Report>,
    pub(super) left: Vec<Leftover>,
}

/// The kinds of failure that the contract promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    NotFound,
    Conflict,
    Refused,
}

impl Failure {
    fn is(self, error: &BackendError) -> bool {
        match self {
            Self::NotFound => matches!(error, BackendError::NotFound(_)),
            Self::Conflict => matches!(error, BackendError::Conflict(_)),
            Self::Refused => matches!(error, BackendError::Refused(_)),
        }
    }
}

impl<'a> Inspection<'a> {
    pub(super) fn of(candidate: &'a Candidate, description: Description) -> Self {
        Self { candidate, description, report: Mutex::default(), left: Vec::new() }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the promise that is looked at from here on.
    pub(super) fn begin(&self, promise: &'static str) {
        self.report().begin(promise);
    }

    /// Whether the backend says that it can.
    pub(super) fn can(&self, capability: Capability) -> bool {
        self.description.capabilities.contain(capability)
    }

    pub(super) fn backend(&self) -> &'a dyn Backend {
        self.candidate.backend.as_ref()
    }

    /// Remembers what has to go in the end; removing it twice does no harm.
    pub(super) fn leave(&mut self, leftover: Leftover) {
        self.left.push(leftover);
    }

    /// Notes that what is looked at is not there.
    pub(super) fn lacks(&self, why: impl Into<String>) {
        self.report().lacks(why);
    }

    /// The answer, whatever it says, within the candidate's time.
    pub(super) async fn answer<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Result<T, BackendError>, Violation> {
        answer(self.candidate, check, call).await
    }

    /// The answer of a call that must succeed.
    pub(super) async fn ask<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, Violation> {
        self.answer(check, call).await?.map_err(|error| Violation::Call { check, error })
    }

    /// The answer of a call that the backend may not have at all; such a one is noted.
    pub(super) async fn ask_if_supported<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Option<T>, Violation> {
        match self.answer(check, call).await? {
            Ok(value) => Ok(Some(value)),
            Err(BackendError::Unsupported(what)) => {
                self.lacks(format!("{check}: the backend cannot {what}"));
                Ok(None)
            }
            Err(error) => Err(Violation::Call { check, error }),
        }
    }

    /// The answer of a call that must succeed where the backend declares that it can, and be `Unsupported` where it does
    /// not; the latter is noted.
    pub(super) async fn ask_of<T>(
        &self,
        capability: Capability,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Option<T>, Violation> {
        match (self.can(capability), self.answer(check, call).await?) {
            (true, Ok(value)) => Ok(Some(value)),
            (true, Err(error)) => Err(Violation::Call { check, error }),
            (false, Err(BackendError::Unsupported(what))) => {
                self.lacks(format!("{check}: the backend cannot {what}"));
                Ok(None)
            }
            (false, Err(error)) => Err(broken(
                check,
                format!("Unsupported was expected, since no capability to {capability} is declared; it is: {error}"),
            )),
            (false, Ok(_)) => Err(broken(check, format!("it works, but no capability to {capability} is declared"))),
        }
    }

    /// A wish that is granted where the backend declares that it can, and refused in whatever words where it does not.
    pub(super) async fn wish<T>(
        &self,
        capability: Capability,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Option<T>, Violation> {
        match self.answer(check, call).await? {
            Err(BackendError::Refused(what)) if !self.can(capability) => {
                self.ask_of(capability, check, std::future::ready(Err(BackendError::Unsupported(what)))).await
            }
            answer => self.ask_of(capability, check, std::future::ready(answer)).await,
        }
    }

    /// A call that must fail in the given way.
    pub(super) async fn fails<T>(
        &self,
        check: &'static str,
        failure: Failure,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<(), Violation> {
        match self.answer(check, call).await? {
            Err(error) if failure.is(&error) => Ok(()),
            Err(error) => Err(broken(check, format!("{failure:?} was expected, the answer is: {error}"))),
            Ok(_) => Err(broken(check, format!("{failure:?} was expected, the call succeeds"))),
        }
    }

    /// A call that must fail in the given way where the backend has it.
    pub(super) async fn fails_if_supported<T>(
        &self,
        check: &'static str,
        failure: Failure,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<(), Violation> {
        match self.answer(check, call).await? {
            Err(BackendError::Unsupported(_)) => Ok(()),
            answer => self.fails(check, failure, std::future::ready(answer)).await,
        }
    }

    /// Looks until the state is there, the object has failed, or the candidate's time is over.
    pub(super) async fn arrive<S, T, F>(
        &self,
        check: &'static str,
        wanted: S,
        failed: S,
        mut look: impl FnMut() -> F,
        state: impl Fn(&T) -> S,
    ) -> Result<T, Violation>
    where
        S: Copy + PartialEq + Debug,
        T: Debug,
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = self.deadline();
        loop {
            let seen = self.ask(check, look()).await?;
            let present = state(&seen);
            if present == wanted {
                return Ok(seen);
            }
            if present == failed || Instant::now() >= deadline {
                return Err(broken(check, format!("{wanted:?} was expected, last seen {seen:?}")));
            }
            sleep(GAP).await;
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.candidate.patience
    }

    /// Looks until it is as promised, or the candidate's time is over: services may show what was done a little later.
    pub(super) async fn becomes<T, F>(
        &self,
        check: &'static str,
        mut look: impl FnMut() -> F,
        holds: impl Fn(&T) -> bool,
        otherwise: &str,
    ) -> Result<T, Violation>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = self.deadline();
        loop {
            let seen = self.ask(check, look()).await?;
            if holds(&seen) {
                return Ok(seen);
            }
            if Instant::now() >= deadline {
                return Err(broken(check, otherwise));
            }
            sleep(GAP).await;
        }
    }

    /// Looks until the object is not known any more, or the candidate's time is over.
    pub(super) async fn vanishes<T, F>(&self, check: &'static str, mut look: impl FnMut() -> F) -> Result<(), Violation>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = self.deadline();
        loop {
            match self.answer(check, look()).await? {
                Ok(_) if Instant::now() < deadline => sleep(GAP).await,
                answer => return self.fails(check, Failure::NotFound, std::future::ready(answer)).await,
            }
        }
    }

    /// The answer of a call that must succeed once the service has noticed that nothing stands in its way any more.
    pub(super) async fn ask_once_free<T, F>(
        &self,
        check: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Violation>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = self.deadline();
        loop {
            match self.answer(check, call()).await? {
                Err(BackendError::Conflict(_)) if Instant::now() < deadline => sleep(GAP).await,
                answer => return answer.map_err(|error| Violation::Call { check, error }),
            }
        }
    }

    /// Waits for a machine to be in a state.
    pub(super) async fn machine_arrives(
        &self,
        check: &'static str,
        id: &MachineId,
        wanted: MachineState,
    ) -> Result<(), Violation> {
        let look = || self.backend().machine(id);
        self.arrive(check, wanted, MachineState::Failed, look, |machine| machine.state).await.map(drop)
    }

    /// A small machine of the candidate's image.
    pub(super) fn machine_spec(&self) -> MachineSpec {
        MachineSpec {
            tag: new_tag(),
            name: "contract suite".into(),
            hostname: Some("contract-suite".into()),
            cores: 1,
            memory_mib: 128,
            disk_bytes: self.candidate.image.size,
            architecture: Architecture::X86_64,
            image: self.candidate.image.digest,
            ssh_keys: Vec::new(),
            user_data: None,
            joins: MachineJoins::default(),
        }
    }

    /// How large a machine is that was asked for in this size.
    pub(super) fn granted(&self, wanted: MachineSize) -> MachineSize {
        self.description.offer_for(wanted).map_or(wanted, |offer| offer.size)
    }

    /// A machine of the suite, once it runs.
    pub(super) async fn running_machine(
        &mut self,
        check: &'static str,
        wanted: &MachineSpec,
    ) -> Result<MachineId, Violation> {
        let machine = self.ask(check, self.backend().create(wanted)).await?;
        self.leave(Leftover::Machine(machine.id.clone()));
        self.machine_arrives(check, &machine.id, MachineState::Running).await?;
        Ok(machine.id)
    }

    /// A create that must leave nothing, in whatever way it failed.
    pub(super) async fn leaves_no_machine<T>(
        &mut self,
        check: &'static str,
        wanted: &MachineSpec,
        outcome: Result<T, Violation>,
    ) -> Result<T, Violation> {
        let found = self.ask(check, self.backend().find_by_tag(wanted.tag)).await?;
        if let Some(found) = &found {
            self.leave(Leftover::Machine(found.id.clone()));
        }
        let outcome = outcome?;
        ensure(check, found.is_none(), "a create that failed leaves a machine")?;
        Ok(outcome)
    }
}

/// The answer, whatever it says, within the candidate's time.
pub(super) async fn answer<T>(
    candidate: &Candidate,
    check: &'static str,
    call: impl Future<Output = Result<T, BackendError>>,
) -> Result<Result<T, BackendError>, Violation> {
    tokio::time::timeout(candidate.patience, call)
        .await
        .map_err(|_| broken(check, format!("no answer within {:?}", candidate.patience)))
}

/// The objects of a list, which says of others only little.
pub(super) fn listed<T>(check: &'static str, listing: Listing<T>) -> Result<Vec<T>, Violation> {
    let notes = listing.unreadable.len();
    let bounded = notes <= Listing::<T>::MOST_NOTES;
    ensure(check, bounded, format!("{notes} sentences about objects that cannot be read"))?;
    let is_short = |note: &String| note.chars().count() <= Listing::<T>::MOST_NOTE_CHARACTERS;
    let is_printable = |note: &String| !note.contains(char::is_control);
    let said = listing.unreadable.iter().all(|note| !note.is_empty() && is_short(note) && is_printable(note));
    ensure(check, said, "what is said of an object that cannot be read is no short printable sentence")?;
    ensure(check, notes > 0 || listing.more_unreadable == 0, "nothing is said of the objects that cannot be read")?;
    Ok(listing.objects)
}

pub(super) fn size_of(spec: &MachineSpec) -> MachineSize {
    MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes }
}

pub(super) fn new_tag() -> IntentTag {
    IntentTag(Uuid::now_v7())
}

/// A name that no backend knows.
pub(super) fn nobody<T>(check: &'static str) -> Result<T, Violation>
where
    T: TryFrom<String, Error = InvalidName>,
{
    format!("unknown-{}", Uuid::now_v7()).try_into().map_err(|error: InvalidName| broken(check, error.to_string()))
}

pub(super) fn broken(check: &'static str, promise: impl Into<String>) -> Violation {
    Violation::Promise { check, promise: promise.into() }
}

pub(super) fn ensure(check: &'static str, holds: bool, promise: impl Into<String>) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(broken(check, promise)) }
}
