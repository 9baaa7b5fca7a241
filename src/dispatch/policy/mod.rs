//! How much is dispatched to a site at once: constraint, reserve and rule, as text.
//!
//! One rule stands on a line, `#` begins a comment:
//!
//! ```text
//! create: active < 256 - 10 %     at every site: under way at once, and what of it is in reserve
//! create @ lab: active < 4        at this site, instead of the general line of the same operation and measure
//! any: waiting < 10000            all operations of a site together: one more is refused
//! create: waited < 1 h            time to live in the queue (s, min, h)
//! create: started < 120 per min   pacing (per s, min, h)
//! ```
//!
//! All lines that match a request hold at once. What is in reserve is for internal requests alone, so that unwinding
//! and the system's own removals pass a queue that is full for clients. Nothing here has a clock or reads anything:
//! the caller counts, and asks.

mod load;
mod operation;
mod parse;
mod rule;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, time::Duration};

pub use load::{Load, OperationLoad, Period};
pub use operation::{Operation, Priority};
pub use parse::PolicyError;
use rule::{Bound, Rule};
use serde::Deserialize;
use thiserror::Error;

/// What holds where the configuration says nothing. Removals never expire: what a client was told is going, goes. A
/// tenth of a site is kept for them and for undoing, and a twentieth of the queue.
pub const DEFAULT: &str = "\
create: active < 64 - 10 %
save: active < 4
any: active < 128 - 10 %
any: waiting < 10000 - 5 %
create: waited < 1 h
power: waited < 1 h
change: waited < 1 h
save: waited < 1 h
link: waited < 1 h
";

/// The queue is full for requests of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the queue is full: {waiting} requests wait, and the policy says \"{line}\"; try again later")]
pub struct Full {
    /// The rule that forbids one more.
    pub line: String,
    /// How many wait already, of those that the rule counts.
    pub waiting: u64,
}

/// The rules of all sites.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// Reads a policy of at most 64 KiB and 1000 lines. Where no line matches, there is no bound.
    ///
    /// # Errors
    /// Which line and column, what was expected there, and what was found.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::parse(text).map(|rules| Self { rules })
    }

    /// The policy in the form in which it is understood, one rule on a line; reading it again gives the same policy.
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<&str> {
        self.rules.iter().filter_map(|rule| rule.site.as_deref()).collect()
    }

    /// The periods over which the caller has to count starts at the site for [`Policy::room`] to be right.
    pub fn periods(&self, site: &str) -> BTreeSet<Period> {
        let rules = Operation::ALL.into_iter().flat_map(|operation| self.matching(site, operation));
        let periods = rules.filter_map(|rule| match rule.bound {
            Bound::Started(_, period) => Some(period),
            _ => None,
        });
        periods.collect()
    }

    /// How many more requests may be dispatched to the site now; 0 is none. Who dispatches one claims it in the load
    /// ([`Load::claim`]) before asking for the next operation, since operations share the lines for `any`.
    pub fn room(&self, site: &str, operation: Operation, priority: Priority, load: &Load) -> u32 {
        let least = self.matching(site, operation).filter_map(|rule| rule.room(priority, load)).min();
        least.map_or(u32::MAX, |room| u32::try_from(room).unwrap_or(u32::MAX))
    }

    /// Whether one more request may join the site's queue.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn admit(&self, site: &str, operation: Operation, priority: Priority, load: &Load) -> Result<(), Full> {
        for rule in self.matching(site, operation) {
            if let Some(waiting) = rule.refuses(priority, load) {
                return Err(Full { line: rule.to_string(), waiting });
            }
        }
        Ok(())
    }

    /// How long a request of a client may wait at the site before it is given up; forever if `None`. Internal requests
    /// do not expire.
    pub fn time_to_live(&self, site: &str, operation: Operation) -> Option<Duration> {
        self.matching(site, operation).filter_map(Rule::time_to_live).min()
    }

    /// The rules that count this operation at this site, without those that another one replaces there.
    fn matching(&self, site: &str, operation: Operation) -> impl Iterator<Item = &Rule> {
        let here = move |rule: &&Rule| {
            rule.subject.includes(operation) && rule.site.as_deref().is_none_or(|named| named == site)
        };
        let matching = self.rules.iter().filter(here);
        matching.clone().filter(move |rule| !matching.clone().any(|other| other.replaces(rule)))
    }
}

impl Default for Policy {
    fn default() -> Self {
        // A test reads DEFAULT, so that it cannot be wrong here.
        Self::parse(DEFAULT).unwrap_or(Self { rules: Vec::new() })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.iter().try_for_each(|rule| writeln!(f, "{rule}"))
    }
}

impl TryFrom<String> for Policy {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        Self::parse(&text)
    }
}
