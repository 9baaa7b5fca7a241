use std::time::Duration;

use super::Operation;

/// The periods over which starts are counted. A rule's count slides: it looks back this long from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// The last second.
    Second,
    /// The last minute.
    Minute,
    /// The last hour.
    Hour,
}

impl Period {
    /// How long it is.
    pub fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3600),
        }
    }

    /// The word in the policy's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
        }
    }
}

/// What one operation does to a site at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OperationLoad {
    /// Dispatched and not ended.
    pub active: u64,
    /// Accepted and not dispatched.
    pub waiting: u64,
    /// Dispatched in the last second.
    pub started_in_second: u64,
    /// Dispatched in the last minute.
    pub started_in_minute: u64,
    /// Dispatched in the last hour.
    pub started_in_hour: u64,
}

impl OperationLoad {
    /// How many were dispatched in the period that ends now.
    pub fn started(&self, period: Period) -> u64 {
        match period {
            Period::Second => self.started_in_second,
            Period::Minute => self.started_in_minute,
            Period::Hour => self.started_in_hour,
        }
    }
}

impl OperationLoad {
    /// Notes how many were dispatched in the period that ends now.
    pub fn set_started(&mut self, period: Period, count: u64) {
        match period {
            Period::Second => self.started_in_second = count,
            Period::Minute => self.started_in_minute = count,
            Period::Hour => self.started_in_hour = count,
        }
    }
}

/// What is going on at one site. Counted by the caller, who has the clock; see [`super::Policy::periods`] for the
/// periods that need counting at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load([OperationLoad; Operation::ALL.len()]);

impl Load {
    /// What one operation does.
    pub fn of(&self, operation: Operation) -> &OperationLoad {
        &self.0[operation as usize]
    }

    /// The same, for the one who counts.
    pub fn of_mut(&mut self, operation: Operation) -> &mut OperationLoad {
        &mut self.0[operation as usize]
    }

    /// All operations, for sums.
    pub fn all(&self) -> impl Iterator<Item = &OperationLoad> {
        self.0.iter()
    }

    /// Notes that one that waited is dispatched now, so that the next question about room counts it.
    pub fn claim(&mut self, operation: Operation) {
        let load = self.of_mut(operation);
        load.waiting = load.waiting.saturating_sub(1);
        for count in
            [&mut load.active, &mut load.started_in_second, &mut load.started_in_minute, &mut load.started_in_hour]
        {
            *count = count.saturating_add(1);
        }
    }
}
