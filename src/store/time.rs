use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970 in UTC, which both databases keep exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The host's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
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
