use std::{fmt, time::Duration};

use super::{Load, Operation, Period, Priority};

/// Which operations a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    One(Operation),
    /// All operations of a site together.
    Any,
}

impl Subject {
    pub(super) fn includes(self, operation: Operation) -> bool {
        match self {
            Self::One(one) => one == operation,
            Self::Any => true,
        }
    }

    fn sum(self, load: &Load, count: impl Fn(&super::OperationLoad) -> u64) -> u64 {
        match self {
            Self::One(operation) => count(load.of(operation)),
            Self::Any => load.all().map(count).fold(0, u64::saturating_add),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(operation) => operation.fmt(f),
            Self::Any => f.write_str("any"),
        }
    }
}

/// What of a constraint is for internal requests alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserve {
    None,
    Count(u64),
    /// Of the constraint, 1 to 99.
    Percent(u64),
}

/// A constraint on a number, and what of it is in reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Constraint {
    pub(super) most: u64,
    pub(super) reserve: Reserve,
}

impl Constraint {
    /// How far requests of this priority may go. A share of a small number is rounded up, yet leaves users one.
    pub(super) fn limit(self, priority: Priority) -> u64 {
        let reserve = match (priority, self.reserve) {
            (Priority::Internal, _) | (Priority::User, Reserve::None) => 0,
            (Priority::User, Reserve::Count(count)) => count,
            (Priority::User, Reserve::Percent(percent)) => self.most.saturating_mul(percent).div_ceil(100),
        };
        self.most - reserve.min(self.most.saturating_sub(1))
    }
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Count(count) => write!(f, " - {count}"),
            Self::Percent(percent) => write!(f, " - {percent} %"),
        }
    }
}

/// What a rule bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// How many are under way at once.
    Active(Constraint),
    /// How many stand in the queue.
    Waiting(Constraint),
    /// How many are dispatched in a period.
    Started(Constraint, Period),
    /// How long one may stand in the queue.
    Waited { count: u64, unit: Period },
}

impl Bound {
    pub(super) fn measure(self) -> &'static str {
        match self {
            Self::Active(_) => "active",
            Self::Waiting(_) => "waiting",
            Self::Started(..) => "started",
            Self::Waited { .. } => "waited",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} < ", self.measure())?;
        match self {
            Self::Active(Constraint { most, reserve }) | Self::Waiting(Constraint { most, reserve }) => {
                write!(f, "{most}{reserve}")
            }
            Self::Started(Constraint { most, reserve }, period) => write!(f, "{most} per {}{reserve}", period.as_str()),
            Self::Waited { count, unit } => write!(f, "{count} {}", unit.as_str()),
        }
    }
}

/// One line of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) subject: Subject,
    /// Every site when there is none.
    pub(super) site: Option<String>,
    pub(super) bound: Bound,
}

impl Rule {
    /// How many more may be dispatched as far as this rule is concerned.
    pub(super) fn room(&self, priority: Priority, load: &Load) -> Option<u64> {
        let (constraint, count) = match self.bound {
            Bound::Active(constraint) => (constraint, self.subject.sum(load, |load| load.active)),
            Bound::Started(constraint, period) => (constraint, self.subject.sum(load, |load| load.started(period))),
            Bound::Waiting(_) | Bound::Waited { .. } => return None,
        };
        Some(constraint.limit(priority).saturating_sub(count))
    }

    /// How many wait, where this rule forbids one more.
    pub(super) fn refuses(&self, priority: Priority, load: &Load) -> Option<u64> {
        let Bound::Waiting(constraint) = self.bound else { return None };
        let waiting = self.subject.sum(load, |load| load.waiting);
        (waiting >= constraint.limit(priority)).then_some(waiting)
    }

    pub(super) fn time_to_live(&self) -> Option<Duration> {
        let Bound::Waited { count, unit } = self.bound else { return None };
        Some(Duration::from_secs(unit.duration().as_secs().saturating_mul(count)))
    }

    /// Whether the two say the same of the same, so that one of them is a mistake.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let same_bound = match (self.bound, other.bound) {
            (Bound::Started(_, mine), Bound::Started(_, others)) => mine == others,
            (mine, others) => mine.measure() == others.measure(),
        };
        same_bound && self.subject == other.subject && self.site == other.site
    }

    /// Whether the other one is the general line that this one stands for at its site.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.site.is_some()
            && other.site.is_none()
            && self.subject == other.subject
            && self.bound.measure() == other.bound.measure()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subject)?;
        if let Some(site) = &self.site {
            write!(f, " @ {site}")?;
        }
        write!(f, ": {}", self.bound)
    }
}
