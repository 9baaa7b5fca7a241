//! One run of the rows: how they ask, and what they leave.

use std::{future::Future, time::Duration};

use backend::{
    Architecture, Backend, BackendError, IntentTag, Machine, MachineId, MachineJoins, MachineSpec, MachineState,
    suite::{Candidate, Report, Violation},
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::Habits;
use crate::{FaultProxy, Which};

const GAP: Duration = Duration::from_millis(50);
/// How long a create whose answer was lost may take to be found by its tag (F4).
const ADOPTED: Duration = Duration::from_secs(30);
/// The most requests that one call may cost when everything fails: the request, one more for a connection that broke,
/// and as many to log in anew.
const MOST_REQUESTS: usize = 4;

pub(super) struct Trial<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) proxy: &'a FaultProxy,
    pub(super) habits: &'a Habits,
    pub(super) report: Report,
    software: String,
    tags: Vec<IntentTag>,
}

impl<'a> Trial<'a> {
    pub(super) async fn of(
        candidate: &'a Candidate,
        proxy: &'a FaultProxy,
        habits: &'a Habits,
    ) -> Result<Self, Violation> {
        const CHECK: &str = "before the faults";
        let (software, tags) = (String::new(), Vec::new());
        let mut trial = Self { candidate, proxy, habits, report: Report::default(), software, tags };
        trial.software = trial.ask(CHECK, trial.backend().describe()).await?.software;
        let quiet = |_: u64| {};
        trial.ask(CHECK, trial.backend().provide_image(&candidate.image, &quiet)).await?;
        Ok(trial)
    }

    pub(super) fn backend(&self) -> &'a dyn Backend {
        self.candidate.backend.as_ref()
    }

    /// A machine that will be cleared away, whatever becomes of it.
    pub(super) fn machine_spec(&mut self) -> MachineSpec {
        let tag = IntentTag(Uuid::now_v7());
        self.tags.push(tag);
        MachineSpec {
            tag,
            name: "fault suite".into(),
            hostname: None,
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

    /// The answer, whatever it says; that there is one in time is the first promise of all.
    pub(super) async fn answer<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Result<T, BackendError>, Violation> {
        let patience = self.candidate.patience;
        let late = |_| broken(check, format!("the call has not come to an end within {patience:?}"));
        timeout(patience, call).await.map_err(late)
    }

    pub(super) async fn ask<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, Violation> {
        self.answer(check, call).await?.map_err(|error| Violation::Call { check, error })
    }

    /// A call that must fail because nobody answers it.
    pub(super) async fn is_unreachable<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<String, Violation> {
        match self.answer(check, call).await? {
            Err(BackendError::Unreachable(words)) => Ok(words),
            Err(error) => Err(broken(check, format!("Unreachable was expected, the answer is: {error}"))),
            Ok(_) => Err(broken(check, "Unreachable was expected, the call succeeds")),
        }
    }

    /// Looks until it is as promised; at most so long.
    pub(super) async fn becomes<T, F>(
        &self,
        check: &'static str,
        patience: Duration,
        mut look: impl FnMut() -> F,
        holds: impl Fn(&T) -> bool,
        otherwise: &str,
    ) -> Result<T, Violation>
    where
        F: Future<Output = Result<T, BackendError>>,
    {
        let deadline = Instant::now() + patience;
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

    /// The machine that a create made whose answer did not arrive.
    pub(super) async fn adopted(&self, check: &'static str, tag: IntentTag) -> Result<Machine, Violation> {
        let look = || self.backend().find_by_tag(tag);
        let found = self.becomes(check, ADOPTED, look, Option::is_some, "the tag never finds the machine").await?;
        found.ok_or_else(|| broken(check, "the tag finds no machine"))
    }

    pub(super) async fn runs(&self, check: &'static str, id: &MachineId) -> Result<(), Violation> {
        let look = || self.backend().machine(id);
        let running = |machine: &Machine| machine.state == MachineState::Running;
        self.becomes(check, self.candidate.patience, look, running, "the machine never runs").await.map(drop)
    }

    /// How many machines carry the tag (I2).
    pub(super) async fn count(&self, check: &'static str, tag: IntentTag) -> Result<usize, Violation> {
        let listing = self.ask(check, self.backend().machines()).await?;
        Ok(listing.objects.iter().filter(|machine| machine.tag == tag).count())
    }

    /// How many requests come while the call is made must be few: nobody is helped by a storm.
    pub(super) async fn without_storm<T>(
        &self,
        check: &'static str,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<Result<T, BackendError>, Violation> {
        let before = self.proxy.count(&Which::any());
        let answer = self.answer(check, call).await?;
        let asked = self.proxy.count(&Which::any()).saturating_sub(before);
        ensure(check, asked <= MOST_REQUESTS, format!("one call made {asked} requests, {MOST_REQUESTS} are the most"))?;
        Ok(answer)
    }

    pub(super) async fn heal(&self) -> Result<(), Violation> {
        self.proxy.heal().await.map_err(|error| broken("proxy", error.to_string()))
    }

    /// Deletes a machine of the rows, of which there must be no more than one.
    pub(super) async fn delete(&self, check: &'static str, tag: IntentTag) -> Result<(), Violation> {
        if let Some(machine) = self.ask(check, self.backend().find_by_tag(tag)).await? {
            self.ask(check, self.backend().delete(&machine.id)).await?;
        }
        let left = self.count(check, tag).await?;
        ensure(check, left == 0, format!("after the delete {left} machines carry the tag"))
    }

    /// Removes all that was made.
    pub(super) async fn clear(&mut self) -> Result<(), Violation> {
        const CHECK: &str = "clearing up";
        self.heal().await?;
        let mut outcome = Ok(());
        let listing = self.ask(CHECK, self.backend().machines()).await?;
        for machine in listing.objects.iter().filter(|machine| self.tags.contains(&machine.tag)) {
            outcome = outcome.and(self.ask(CHECK, self.backend().delete(&machine.id)).await);
        }
        outcome
    }

    pub(super) fn keep(&self) -> Result<(), Violation> {
        self.report.keep(&self.software).map_err(|error| {
            broken("report", format!("it cannot be kept: {error}; see the variable TOMBOLO_CONTRACT_REPORT"))
        })
    }
}

pub(super) fn broken(check: &'static str, promise: impl Into<String>) -> Violation {
    Violation::Promise { check, promise: promise.into() }
}

pub(super) fn ensure(check: &'static str, holds: bool, promise: impl Into<String>) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(broken(check, promise)) }
}
