//! What a check is, and the words it is written in.

use std::{fmt, pin::Pin};

use serde::Serialize;

use crate::session::Session;

/// How strongly the documents ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A document says that it must be so.
    Must,
    /// A document says that it should be so.
    Should,
    /// A document allows it.
    May,
    /// No document says so, but a client in use depends on it.
    Interop,
}

impl Level {
    /// In the order of reports.
    pub const ALL: [Self; 4] = [Self::Must, Self::Should, Self::May, Self::Interop];

    /// As reports show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Interop => "interop",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a check ended before its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The server broke the rule.
    Failed(String),
    /// The rule says nothing about this server.
    Skipped(String),
}

/// How a check ended: passed when its last line was reached.
pub type Outcome = Result<(), Stop>;

/// A check at work.
pub type Running<'session> = Pin<Box<dyn Future<Output = Outcome> + Send + 'session>>;

/// One numbered rule of the list, and how to find out whether a server keeps it.
pub struct Check {
    /// Its number in the list, from 1.
    pub number: u16,
    /// How strongly it is asked for.
    pub level: Level,
    /// Document and section.
    pub source: &'static str,
    /// The rule in our words: what is sent, and what is expected.
    pub rule: &'static str,
    /// Finds out.
    pub(crate) run: for<'session> fn(&'session Session) -> Running<'session>,
}

/// Rules of one subject.
pub struct Section {
    /// Its letter in the list.
    pub letter: char,
    /// Its subject.
    pub title: &'static str,
    /// Its tables, in the order of their numbers.
    pub(crate) parts: &'static [&'static [Check]],
}

impl Section {
    /// Its rules in the order of their numbers.
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

/// A row of a section's table: number, level, source, rule, function.
macro_rules! check {
    ($number:literal, $level:ident, $source:literal, $rule:literal, $run:path) => {
        $crate::check::Check {
            number: $number,
            level: $crate::check::Level::$level,
            source: $source,
            rule: $rule,
            run: |session| Box::pin($run(session)),
        }
    };
}

/// Ends the check: the server broke the rule.
macro_rules! fail {
    ($($words:tt)+) => { return Err($crate::check::Stop::Failed(format!($($words)+))) };
}

/// Ends the check: the rule says nothing about this server.
macro_rules! skip {
    ($($words:tt)+) => { return Err($crate::check::Stop::Skipped(format!($($words)+))) };
}

/// Ends the check as failed unless this holds; the words say what was found instead.
macro_rules! hold {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::check::Stop::Failed(format!($($words)+)));
        }
    };
}
