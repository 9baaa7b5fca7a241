//! What was found, for people and for programs.

mod html;
mod json;
mod text;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    check::{Check, Level, Section},
    exchange::Exchange,
    options::Mode,
};

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// The server keeps the rule.
    Passed,
    /// The server breaks the rule.
    Failed {
        /// What was found instead.
        reason: String,
    },
    /// The rule says nothing about this server, or could not be tried.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// One check with its evidence.
#[derive(Debug, Clone, Serialize)]
pub struct CheckResult {
    /// Its number in the list.
    pub number: u16,
    /// How strongly the rule is asked for.
    pub level: Level,
    /// The letter of its section.
    pub section: char,
    /// Document and section.
    pub source: &'static str,
    /// The rule in our words.
    pub rule: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// All requests and answers, without secrets.
    pub exchanges: Vec<Exchange>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

impl CheckResult {
    pub(crate) fn new(
        section: &Section,
        check: &Check,
        verdict: Verdict,
        exchanges: Vec<Exchange>,
        took: Duration,
    ) -> Self {
        Self {
            number: check.number,
            level: check.level,
            section: section.letter,
            source: check.source,
            rule: check.rule,
            verdict,
            exchanges,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// `C-001`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("C-{:03}", self.number)
    }
}

/// How many checks of a level ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The server keeps so many rules.
    pub passed: u32,
    /// The server breaks so many rules.
    pub failed: u32,
    /// So many rules say nothing about this server.
    pub skipped: u32,
}

impl Count {
    /// Rules that say something about this server.
    #[must_use]
    pub fn applicable(self) -> u32 {
        self.passed + self.failed
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The server's address.
    pub url: String,
    /// What the server says it is.
    pub software: String,
    /// `interop` or `strict`.
    pub mode: &'static str,
    /// When the first check began, in UTC.
    pub began: String,
    /// When all was cleaned up, in UTC.
    pub ended: String,
    /// One result for each check asked for, in the order of their numbers.
    pub results: Vec<CheckResult>,
    /// What the tester made and could not remove, with the reason.
    pub left_behind: Vec<String>,
}

impl Report {
    pub(crate) fn new(url: &str, software: &str, mode: Mode, began: Timestamp) -> Self {
        let mode = match mode {
            Mode::Interop => "interop",
            Mode::Strict => "strict",
        };
        Self {
            url: url.to_owned(),
            software: software.to_owned(),
            mode,
            began: began.to_string(),
            ended: String::new(),
            results: Vec::new(),
            left_behind: Vec::new(),
        }
    }

    /// Counts by level, all levels present.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Level, Count> {
        let mut counts: BTreeMap<_, _> = Level::ALL.into_iter().map(|level| (level, Count::default())).collect();
        for result in &self.results {
            let count = counts.entry(result.level).or_default();
            match result.verdict {
                Verdict::Passed => count.passed += 1,
                Verdict::Failed { .. } => count.failed += 1,
                Verdict::Skipped { .. } => count.skipped += 1,
            }
        }
        counts
    }

    /// `MUST n/n, SHOULD n/n, MAY n/n, interop n/n`: passed of applicable.
    #[must_use]
    pub fn summary(&self) -> String {
        let each =
            self.counts().into_iter().map(|(level, count)| format!("{level} {}/{}", count.passed, count.applicable()));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Whether no MUST and no rule of interoperability is broken.
    #[must_use]
    pub fn is_conformant(&self) -> bool {
        let counts = self.counts();
        [Level::Must, Level::Interop].iter().all(|level| counts.get(level).is_none_or(|count| count.failed == 0))
    }
}
