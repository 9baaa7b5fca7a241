//! How the checks ask: never longer than the candidate may take, and writing down what is to be removed.

use std::{future::Future, time::Duration};

use uuid::Uuid;

use super::{Candidate, Report, Violation};
use crate::{
    AddressId, Architecture, Backend, BackendError, IntentTag, InvalidName, Listing, MachineId, MachineSize,
    MachineSpec, MachineState, NetworkId, SecurityGroupId, VolumeId,
};

/// Between two looks at something on its way.
const GAP: Duration = Duration::from_millis(50);

/// The state of one run of the suite.
pub(super) struct Inspection<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) report: Report,
    left: Vec<Leftover>,
}

/// What a check has made.
pub(super) enum Leftover {
    Machine(MachineId),
    Volume(VolumeId),
    Network(NetworkId),
    Address(AddressId),
    SecurityGroup(SecurityGroupId),
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
    pub(super) fn of(candidate: &'a Candidate) -> Self {
        Self { candidate, report: Report::default(), left: Vec::new() }
    }

    pub(super) fn backend(&self) -> &'a dyn Backend {
        self.candidate.backend.as_ref()
    }

    /// Remembers what has to go in the end; removing it twice does no harm.
    pub(super) fn leave(&mut self, leftover: Leftover) {
        self.left.push(leftover);
    }

    pub(super) fn skip(&mut self, what: impl Into<String>) {
        self.report.skipped.push(what.into());
    }

    /// The answer, whatever it says, within the candidate's time.
    pub(super) async fn answer<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Result<T, BackendError>, Violation> {
        tokio::time::timeout(self.candidate.patience, call)
            .await
            .map_err(|_| broken(check, format!("no answer within {:?}", self.candidate.patience)))
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
        &mut self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Option<T>, Violation> {
        match self.answer(check, call).await? {
            Ok(value) => Ok(Some(value)),
            Err(BackendError::Unsupported(what)) => {
                self.skip(format!("{check}: the backend cannot {what}"));
                Ok(None)
            }
            Err(error) => Err(Violation::Call { check, error }),
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
        S: Copy + PartialEq + std::fmt::Debug,
        T: std::fmt::Debug,
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = tokio::time::Instant::now() + self.candidate.patience;
        loop {
            let seen = self.ask(check, look()).await?;
            let present = state(&seen);
            if present == wanted {
                return Ok(seen);
            }
            if present == failed || tokio::time::Instant::now() >= deadline {
                return Err(broken(check, format!("{wanted:?} was expected, last seen {seen:?}")));
            }
            tokio::time::sleep(GAP).await;
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

    /// Removes all that was made, the last first; the first failure is told in the end.
    pub(super) async fn clear(&mut self) -> Result<(), Violation> {
        let mut outcome = Ok(());
        while let Some(leftover) = self.left.pop() {
            let removed = self.remove(&leftover).await;
            outcome = outcome.and(removed);
        }
        outcome
    }

    async fn remove(&self, leftover: &Leftover) -> Result<(), Violation> {
        const CHECK: &str = "clearing up";
        let backend = self.backend();
        match leftover {
            Leftover::Machine(id) => self.ask(CHECK, backend.delete(id)).await,
            Leftover::Volume(id) => match backend.volumes() {
                Some(volumes) => self.ask(CHECK, volumes.delete(id)).await,
                None => Ok(()),
            },
            Leftover::Network(id) => match backend.networks() {
                Some(networks) => self.ask(CHECK, networks.delete(id)).await,
                None => Ok(()),
            },
            Leftover::Address(id) => match backend.addresses() {
                Some(addresses) => self.ask(CHECK, addresses.release(id)).await,
                None => Ok(()),
            },
            Leftover::SecurityGroup(id) => match backend.security_groups() {
                Some(groups) => self.ask(CHECK, groups.delete(id)).await,
                None => Ok(()),
            },
        }
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
            user_data: Some(b"#!/bin/sh\ntrue\n".to_vec()),
            joins: crate::MachineJoins::default(),
        }
    }
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
