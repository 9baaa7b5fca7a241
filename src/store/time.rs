//! Points in time, from a clock that never goes back while the process lives, whatever the host's clock does.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// By how much the host's clock may be off before it is worth a word, in microseconds.
const NOTEWORTHY: i64 = 60_000_000;

/// A point in time: microseconds since 1970 in UTC, which both databases keep exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The present, by the host's clock and by what [`Timestamp::go_by`] and [`Timestamp::not_before`] have made of it.
    /// It goes on with the time that passes when the host's clock is set back, and follows it when that is set forward.
    pub fn now() -> Self {
        with_clock(|course, wall, elapsed| {
            let (now, step) = course.read(wall, elapsed);
            let seconds = step.map_or(0, |step| step.0 / 1_000_000);
            match step {
                Some(Step(forward)) if forward > 0 => {
                    tracing::warn!(seconds, "the host's clock was set forward; times follow it");
                }
                Some(_) => tracing::warn!(seconds, "the host's clock was set back; times go on as if it was not"),
                None => {}
            }
            Self(now)
        })
    }

    /// From now on no time before this one is told. For what was written under a clock that was ahead of the present
    /// one: what comes later must not look earlier.
    pub fn not_before(floor: Self) {
        with_clock(|course, wall, elapsed| {
            let ahead = course.not_before(floor.0, wall, elapsed);
            if ahead > NOTEWORTHY {
                let seconds = ahead / 1_000_000;
                tracing::warn!(
                    seconds,
                    "the newest event is later than the clock; times go on from there. Set the clock right"
                );
            }
        });
    }

    /// From now on times go by a clock that stands at `present` at this moment, and no more by the host's own: how far
    /// the two are apart is remembered. Times already told are still not gone back on.
    pub fn go_by(present: Self) {
        with_clock(|course, wall, elapsed| {
            let apart = course.go_by(present.0, wall, elapsed);
            if apart.abs() > NOTEWORTHY {
                let seconds = apart / 1_000_000;
                tracing::warn!(seconds, "the host's clock is off from the database's; times go by the database's");
            }
        });
    }

    /// Later by this much.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Earlier by this much.
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How many seconds after the other one; negative when before it.
    pub fn seconds_since(self, other: Self) -> f64 {
        self.0.saturating_sub(other.0) as f64 / 1e6
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339: `2026-11-21T13:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at:.0}"),
            Err(_) => write!(f, "{} µs since 1970", self.0),
        }
    }
}

/// Hands the process's one course over, with the host's clock and the time since the first call.
fn with_clock<T>(ask: impl FnOnce(&mut Course, i64, i64) -> T) -> T {
    static CLOCK: OnceLock<(Instant, Mutex<Course>)> = OnceLock::new();
    let wall = || jiff::Timestamp::now().as_microsecond();
    let (start, course) = CLOCK.get_or_init(|| (Instant::now(), Mutex::new(Course::starting_at(wall()))));
    let mut course = course.lock().unwrap_or_else(PoisonError::into_inner);
    // Read under the lock: times are told in the order of the readings.
    let elapsed = i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX);
    ask(&mut course, wall(), elapsed)
}

/// The host's clock was set by this much since it was last asked, in microseconds; negative: back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step(i64);

/// What times are made of. All in microseconds; `wall` is the host's clock, `elapsed` the time since the start by a
/// clock that nobody sets.
struct Course {
    /// What `elapsed` counts from: a time is this plus `elapsed`.
    base: i64,
    /// What the host's clock has to be corrected by.
    correction: i64,
    /// The last time told; before the first one, what lies before all.
    last: i64,
    /// By how much the corrected wall clock was off from the times at the last reading.
    off: i64,
}

impl Course {
    fn starting_at(wall: i64) -> Self {
        Self { base: wall, correction: 0, last: i64::MIN, off: 0 }
    }

    fn read(&mut self, wall: i64, elapsed: i64) -> (i64, Option<Step>) {
        let corrected = wall.saturating_add(self.correction);
        let expected = self.base.saturating_add(elapsed);
        let off = corrected.saturating_sub(expected);
        let step = off.saturating_sub(self.off);
        if off > 0 {
            self.base = corrected.saturating_sub(elapsed);
        }
        self.off = off.min(0);
        self.last = self.last.max(expected).max(corrected);
        (self.last, (step.saturating_abs() > NOTEWORTHY).then_some(Step(step)))
    }

    /// Answers by how much that is later than the time would have been.
    fn not_before(&mut self, floor: i64, wall: i64, elapsed: i64) -> i64 {
        let (now, _) = self.read(wall, elapsed);
        let ahead = floor.saturating_sub(now);
        if ahead > 0 {
            self.base = floor.saturating_sub(elapsed);
            self.last = floor;
            self.off = self.off.saturating_sub(ahead);
        }
        ahead
    }

    /// Answers by how much `present` is later than the host's clock.
    fn go_by(&mut self, present: i64, wall: i64, elapsed: i64) -> i64 {
        let apart = present.saturating_sub(wall);
        self.correction = apart;
        self.base = present.saturating_sub(elapsed);
        self.off = 0;
        apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;
    const START: i64 = 1_000 * HOUR;

    #[test]
    fn time_passes() {
        let mut course = Course::starting_at(START);
        assert_eq!(course.read(START, 0), (START, None));
        assert_eq!(course.read(START + SECOND, SECOND), (START + SECOND, None));
    }

    #[test]
    fn a_jump_back_changes_nothing_and_is_told_once() {
        let mut course = Course::starting_at(START);
        course.read(START, 0);
        let (now, step) = course.read(START - HOUR, SECOND);
        assert_eq!((now, step), (START + SECOND, Some(Step(-HOUR - SECOND))));
        assert_eq!(course.read(START - HOUR + SECOND, 2 * SECOND), (START + 2 * SECOND, None));
        // Set right again.
        assert_eq!(course.read(START + 3 * SECOND, 3 * SECOND).0, START + 3 * SECOND);
    }

    #[test]
    fn a_jump_forward_is_followed_and_told_once() {
        let mut course = Course::starting_at(START);
        assert_eq!(course.read(START + HOUR, 0), (START + HOUR, Some(Step(HOUR))));
        assert_eq!(course.read(START + HOUR + SECOND, SECOND), (START + HOUR + SECOND, None));
        // And back: time goes on from there.
        assert_eq!(course.read(START + 2 * SECOND, 2 * SECOND).0, START + HOUR + 2 * SECOND);
    }

    #[test]
    fn a_clock_that_runs_a_little_fast_is_followed_without_a_word() {
        let mut course = Course::starting_at(START);
        for second in 1..10_000 {
            let wall = START + second * (SECOND + 10_000);
            assert_eq!(course.read(wall, second * SECOND), (wall, None));
        }
    }

    #[test]
    fn a_clock_that_runs_slow_does_not_hold_time_up() {
        let mut course = Course::starting_at(START);
        for second in 1..10_000 {
            let wall = START + second * (SECOND - 10_000);
            assert_eq!(course.read(wall, second * SECOND), (START + second * SECOND, None));
        }
    }

    #[test]
    fn a_floor_is_kept_and_time_goes_on_from_it() {
        let mut course = Course::starting_at(START);
        assert_eq!(course.not_before(START + HOUR, START, 0), HOUR);
        assert_eq!(course.read(START + SECOND, SECOND), (START + HOUR + SECOND, None));
        assert!(course.not_before(START, START + SECOND, SECOND) < 0, "long ago");
        assert_eq!(course.read(START + 2 * SECOND, 2 * SECOND), (START + HOUR + 2 * SECOND, None));
        // The host's clock comes that far in the end.
        assert_eq!(course.read(START + 2 * HOUR, 2 * HOUR).0, START + 3 * HOUR);
        assert_eq!(course.read(START + 4 * HOUR, 2 * HOUR + SECOND).0, START + 4 * HOUR);
    }

    #[test]
    fn another_clock_is_gone_by_whether_this_one_is_fast_or_slow() {
        for apart in [-300 * SECOND, 300 * SECOND] {
            let mut course = Course::starting_at(START);
            assert_eq!(course.go_by(START + apart, START, 0), apart);
            assert_eq!(course.read(START, 0), (START + apart, None));
            assert_eq!(course.read(START + SECOND, SECOND), (START + apart + SECOND, None));
        }
    }

    #[test]
    fn even_then_nothing_is_gone_back_on() {
        let mut course = Course::starting_at(START);
        assert_eq!(course.read(START, 0).0, START);
        course.go_by(START - 300 * SECOND, START, 0);
        assert_eq!(course.read(START + SECOND, SECOND).0, START, "it stands until the other clock is there");
        assert_eq!(course.read(START + 301 * SECOND, 301 * SECOND).0, START + SECOND);
    }

    #[test]
    fn extremes_do_no_harm() {
        let mut course = Course::starting_at(i64::MAX);
        for wall in [i64::MIN, i64::MAX, 0] {
            assert_eq!(course.read(wall, i64::MAX).0, i64::MAX);
        }
        let mut course = Course::starting_at(i64::MIN);
        course.go_by(i64::MAX, i64::MIN, 0);
        course.not_before(i64::MIN, i64::MIN, 0);
    }

    #[test]
    fn now_never_goes_back_between_threads() {
        let told = Mutex::new(Timestamp(i64::MIN));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let mut last = told.lock().unwrap();
                        let now = Timestamp::now();
                        assert!(now >= *last);
                        *last = now;
                    }
                });
            }
        });
    }
}
