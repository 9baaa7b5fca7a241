//! Keeps calls away from a backend that does not answer, so that it can recover and nobody waits for it in vain.
//!
//! Closed, every call goes. After five calls in a row without an answer, or at once when the backend refuses our
//! credentials, it opens: no call goes until a pause has passed. Then it is half open: one call goes as a probe. An
//! answer closes it; none doubles the pause.
//!
//! Pauses are measured by the monotonic clock, so that nobody who sets the time wakes or silences a site.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backend::BackendError;
use tokio::time::Instant;

/// So many calls in a row without an answer open the breaker.
const MOST_FAILURES: u32 = 5;
/// What those hear who come while a probe is under way.
const PROBE_TAKES: Duration = Duration::from_secs(1);
/// What is kept of a backend's words, in bytes.
const LONGEST_REASON: usize = 500;

/// What makes a breaker open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    NoAnswer,
    /// Asking again soon is useless, and may lock the account.
    CredentialsRefused,
}

impl Trouble {
    /// What an error says of the backend. An error about the request itself is an answer: the backend lives.
    fn of(error: &BackendError) -> Option<Self> {
        match error {
            BackendError::Unreachable(_) => Some(Self::NoAnswer),
            BackendError::Unauthorized(_) => Some(Self::CredentialsRefused),
            BackendError::Refused(_)
            | BackendError::Capacity(_)
            | BackendError::Unsupported(_)
            | BackendError::NotFound(_)
            | BackendError::Conflict(_)
            | BackendError::Failed(_) => None,
        }
    }

    fn failures_that_open(self) -> u32 {
        match self {
            Self::NoAnswer => MOST_FAILURES,
            Self::CredentialsRefused => 1,
        }
    }

    /// The shortest and the longest pause.
    fn pauses(self) -> (Duration, Duration) {
        match self {
            Self::NoAnswer => (Duration::from_secs(1), Duration::from_secs(60)),
            Self::CredentialsRefused => (Duration::from_secs(30), Duration::from_secs(600)),
        }
    }

    /// The pause after so many probes in vain: doubled each time, and up to a quarter longer by chance, so that the
    /// replicas do not all come back at once. The longest one leaves room for chance too.
    fn pause(self, probes_in_vain: u32) -> Duration {
        let (shortest, longest) = self.pauses();
        let doubled = shortest.saturating_mul(1_u32.checked_shl(probes_in_vain).unwrap_or(u32::MAX));
        let base = doubled.min(longest.mul_f64(0.8));
        base + base.mul_f64(0.25 * chance())
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

/// Whether calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They go.
    Closed,
    /// One may go as a probe, or is under way.
    HalfOpen,
    /// None goes.
    Open,
}

impl BreakerState {
    /// The number in the metrics: 0 closed, 1 half open, 2 open.
    pub fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half open",
            Self::Open => "open",
        })
    }
}

/// A breaker as people and metrics see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerView {
    /// Whether calls go.
    pub state: BreakerState,
    /// Since when they go, or do not; a probe in vain changes nothing about that.
    pub since: Instant,
    /// The last failure, in the backend's words, until a call is answered.
    pub reason: Option<String>,
    /// How long until the next probe may go; nothing while the breaker is closed.
    pub next_try: Option<Duration>,
    /// How often the state has changed.
    pub changes: u64,
}

/// Why a call may not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What went wrong with the calls before, in the backend's words.
    pub reason: String,
    /// Whether it was the credentials.
    pub credentials: bool,
    /// When to come again.
    pub retry_in: Duration,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant, trouble: Trouble, probes_in_vain: u32 },
    Probing { trouble: Trouble, probes_in_vain: u32 },
}

#[derive(Debug)]
struct Inside {
    phase: Phase,
    since: Instant,
    reason: Option<String>,
    /// Counts the changes of the phase. A call that began in an earlier phase says nothing about this one.
    changes: u64,
}

impl Inside {
    fn change_to(&mut self, phase: Phase) {
        let open = |phase: &Phase| !matches!(phase, Phase::Closed { .. });
        if open(&self.phase) != open(&phase) {
            self.since = Instant::now();
        }
        self.phase = phase;
        self.changes += 1;
    }

    fn open(&mut self, trouble: Trouble, probes_in_vain: u32) {
        let until = Instant::now() + trouble.pause(probes_in_vain);
        self.change_to(Phase::Open { until, trouble, probes_in_vain });
    }

    fn answered(&mut self) {
        self.reason = None;
        match &mut self.phase {
            Phase::Closed { failures } => *failures = 0,
            Phase::Open { .. } | Phase::Probing { .. } => self.change_to(Phase::Closed { failures: 0 }),
        }
    }

    fn failed(&mut self, trouble: Trouble, error: &BackendError) {
        self.reason = Some(words(error));
        match &mut self.phase {
            Phase::Closed { failures } => {
                *failures += 1;
                if *failures >= trouble.failures_that_open() {
                    self.open(trouble, 0);
                }
            }
            // Other trouble than before begins with its own shortest pause.
            Phase::Probing { trouble: before, probes_in_vain } => {
                let probes_in_vain = if *before == trouble { probes_in_vain.saturating_add(1) } else { 0 };
                self.open(trouble, probes_in_vain);
            }
            Phase::Open { .. } => {}
        }
    }
}

/// The breaker of one site in one process.
#[derive(Debug)]
pub struct Breaker(Mutex<Inside>);

impl Breaker {
    /// A closed one.
    pub fn new() -> Self {
        let phase = Phase::Closed { failures: 0 };
        Self(Mutex::new(Inside { phase, since: Instant::now(), reason: None, changes: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whether a call may go now. Whoever gets a permit says how the call ended.
    ///
    /// # Errors
    /// Why not, and when to come again.
    pub fn permit(&self) -> Result<Permit<'_>, Refused> {
        let mut inside = self.lock();
        let refused = |trouble, retry_in| {
            let reason = inside.reason.clone().unwrap_or_else(|| "it did not answer".to_owned());
            Err(Refused { reason, credentials: trouble == Trouble::CredentialsRefused, retry_in })
        };
        let is_probe = match inside.phase {
            Phase::Closed { .. } => false,
            Phase::Probing { trouble, .. } => return refused(trouble, PROBE_TAKES),
            Phase::Open { until, trouble, probes_in_vain } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return refused(trouble, left);
                }
                inside.change_to(Phase::Probing { trouble, probes_in_vain });
                true
            }
        };
        Ok(Permit { breaker: self, changes: inside.changes, is_probe, spent: false })
    }

    /// How it stands.
    pub fn state(&self) -> BreakerView {
        let inside = self.lock();
        let (state, next_try) = match inside.phase {
            Phase::Closed { .. } => (BreakerState::Closed, None),
            Phase::Open { until, .. } => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => (BreakerState::HalfOpen, Some(Duration::ZERO)),
                left => (BreakerState::Open, Some(left)),
            },
            Phase::Probing { .. } => (BreakerState::HalfOpen, Some(PROBE_TAKES)),
        };
        BreakerView { state, since: inside.since, reason: inside.reason.clone(), next_try, changes: inside.changes }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

/// One call that may go. Dropped without a word, it counts neither as answered nor as failed; a probe that is dropped
/// has been a try all the same, so the same pause comes again.
#[derive(Debug)]
#[must_use = "a permit is for one call, and hears how it ended"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    changes: u64,
    is_probe: bool,
    spent: bool,
}

impl Permit<'_> {
    /// Whether the call decides if the breaker closes.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The backend answered.
    pub fn answered(mut self) {
        self.spend(Inside::answered);
    }

    /// The call ended with this error, which may be an answer too.
    pub fn failed(mut self, error: &BackendError) {
        match Trouble::of(error) {
            Some(trouble) => self.spend(|inside| inside.failed(trouble, error)),
            None => self.spend(Inside::answered),
        }
    }

    fn spend(&mut self, note: impl FnOnce(&mut Inside)) {
        self.spent = true;
        let mut inside = self.breaker.lock();
        // What was under way when the breaker opened must neither close it nor lengthen its pause.
        if inside.changes == self.changes {
            note(&mut inside);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.spent && self.is_probe {
            self.spend(|inside| {
                if let Phase::Probing { trouble, probes_in_vain } = inside.phase {
                    inside.open(trouble, probes_in_vain);
                }
            });
        }
    }
}

/// The backend's own words, fit for a line of the log. Who is refused hears them in an error of the same kind, which
/// has the same introduction.
pub(super) fn words(error: &BackendError) -> String {
    let mut text = match error {
        BackendError::Unreachable(reason) | BackendError::Unauthorized(reason) => reason.clone(),
        other => other.to_string(),
    };
    text.truncate(text.floor_char_boundary(LONGEST_REASON));
    text.replace(char::is_control, " ")
}
