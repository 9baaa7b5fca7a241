//! Admission and pacing: who may wait, and how much of what waits is dispatched to a site at once.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use tokio::time::Instant;

use super::policy::{Full, Load, Operation, Policy, Priority};
use crate::{
    measured,
    store::{
        DbConnection, StoreError, Timestamp,
        saga::{self, Claim, PRIORITY_INTERNAL, PRIORITY_USER, Saga},
    },
};

/// What is dispatched first when there is room for little: what gives room back goes before what takes it.
const ORDER: [Operation; 6] =
    [Operation::Remove, Operation::Power, Operation::Link, Operation::Change, Operation::Save, Operation::Create];
/// No claim takes more: what a process claims it has to begin in one transaction.
pub const MOST_AT_ONCE: u32 = 64;
const LONGEST_RETRY: u32 = 300;

/// No room in a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{full}")]
pub struct QueueFull {
    /// Which rule says so.
    pub full: Full,
    /// After how many seconds a new try is worth it.
    pub retry_after: u32,
}

/// The queues of all sites, as far as this process knows them.
pub struct Queue {
    policy: Policy,
    sites: RwLock<BTreeMap<String, Waiting>>,
}

/// A site's queue.
#[derive(Default, Clone)]
struct Waiting {
    load: Load,
    /// Begun by this process, and since when that is counted.
    begun: u32,
    since: Option<Instant>,
    /// Begun in a second, of late.
    rate: f64,
}

impl Queue {
    /// Empty queues under this policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy, sites: RwLock::default() }
    }

    /// When a request that is accepted now is not worth beginning any more.
    pub fn expiry(&self, site: &str, operation: Operation) -> Option<Timestamp> {
        self.policy.time_to_live(site, operation).map(|time| Timestamp::now().plus(time))
    }

    /// Whether one more request may wait. Asks nobody: the count is as old as the last round of the engine, plus what
    /// this process has accepted since.
    ///
    /// # Errors
    /// The queue is full.
    pub fn admit(&self, site: &str, operation: Operation, priority: Priority) -> Result<(), QueueFull> {
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = sites.get(site) else { return Ok(()) };
        self.policy.admit(site, operation, priority, &waiting.load).map_err(|full| {
            metrics::counter!(measured::QUEUE_REFUSED, "site" => site.to_owned()).increment(1);
            // A tenth of the queue gone is room enough.
            let seconds = full.waiting as f64 / 10.0 / waiting.rate.max(0.1);
            QueueFull { full, retry_after: (seconds as u32).clamp(1, LONGEST_RETRY) }
        })
    }

    /// Counts a request that was accepted.
    pub fn accepted(&self, site: &str, operation: Operation) {
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        sites.entry(site.to_owned()).or_default().load.of_mut(operation).waiting += 1;
    }

    /// Takes over what the database has counted: site, operation, how many.
    pub fn count(&self, rows: &[(String, String, i64)]) {
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for waiting in sites.values_mut() {
            for operation in Operation::ALL {
                waiting.load.of_mut(operation).waiting = 0;
            }
            let since = *waiting.since.get_or_insert(now);
            let seconds = now.duration_since(since).as_secs_f64();
            if seconds >= 2.0 {
                waiting.rate = waiting.rate.mul_add(0.5, f64::from(waiting.begun) / seconds * 0.5);
                (waiting.begun, waiting.since) = (0, Some(now));
            }
        }
        for (site, operation, count) in rows {
            if let Ok(operation) = operation.parse::<Operation>() {
                let count = u64::try_from(*count).unwrap_or(0);
                sites.entry(site.clone()).or_default().load.of_mut(operation).waiting = count;
            }
        }
        for (site, waiting) in sites.iter() {
            for operation in Operation::ALL {
                let count = waiting.load.of(operation).waiting;
                metrics::gauge!(measured::QUEUE_WAITING, "site" => site.clone(), "operation" => operation.as_str())
                    .set(count as f64);
            }
        }
    }

    /// Claims for the owner whatever the policy has room for at the site, `most` at the most, in the caller's
    /// transaction.
    ///
    /// # Errors
    /// The database failed.
    pub fn claim(
        &self,
        connection: &mut DbConnection,
        owner: &str,
        site: &str,
        most: u32,
    ) -> Result<Vec<Saga>, StoreError> {
        let mut load = self.load(connection, site)?;
        let due = saga::due(connection, site)?;
        let mut claimed = Vec::new();
        for operation in ORDER.into_iter().filter(|operation| due.iter().any(|due| due == operation.as_str())) {
            // What is in reserve is for the system's own alone; what is half done counts as a client's.
            for (priority, least) in [(Priority::User, PRIORITY_USER), (Priority::Internal, PRIORITY_INTERNAL)] {
                let room = self.policy.room(site, operation, priority, &load);
                let left = most.min(MOST_AT_ONCE).saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
                let room = room.min(left);
                if room == 0 {
                    continue;
                }
                let claim =
                    Claim { owner, site, operation: operation.as_str(), priority: least, most: i64::from(room) };
                let found = saga::claim(connection, &claim)?;
                let has_more = u32::try_from(found.len()).is_ok_and(|found| found == room);
                for saga in found {
                    load.claim(operation);
                    claimed.push(saga);
                }
                // What a client's place is enough for was among them.
                if !has_more {
                    break;
                }
            }
        }
        for operation in Operation::ALL {
            let (site, operation, active) = (site.to_owned(), operation.as_str(), load.of(operation).active);
            metrics::gauge!(measured::QUEUE_ACTIVE, "site" => site, "operation" => operation).set(active as f64);
        }
        Ok(claimed)
    }

    fn load(&self, connection: &mut DbConnection, site: &str) -> Result<Load, StoreError> {
        let mut load = Load::default();
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        for (operation, count) in saga::active(connection, site)? {
            if let Ok(operation) = operation.parse::<Operation>() {
                load.of_mut(operation).active = number(count);
            }
        }
        for period in self.policy.periods(site) {
            for (operation, count) in saga::started_since(connection, site, Timestamp::now().minus(period.duration()))?
            {
                if let Ok(operation) = operation.parse::<Operation>() {
                    load.of_mut(operation).set_started(period, number(count));
                }
            }
        }
        Ok(load)
    }

    /// Counts what this process has begun.
    pub fn begun(&self, site: &str, sagas: &[Saga]) {
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let waiting = sites.entry(site.to_owned()).or_default();
        for saga in sagas.iter().filter(|saga| saga.begun_at.is_none()) {
            waiting.begun = waiting.begun.saturating_add(1);
            if let Ok(operation) = saga.operation.parse::<Operation>() {
                waiting.load.claim(operation);
            }
            let waited = Timestamp::now().seconds_since(saga.created_at);
            metrics::histogram!(measured::QUEUE_WAIT_SECONDS, "site" => site.to_owned()).record(waited);
        }
    }
}

/// How long a saga waited, for people.
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{} s", time.as_secs()),
        120..7200 => format!("{} min", time.as_secs() / 60),
        _ => format!("{} h", time.as_secs() / 3600),
    }
}
