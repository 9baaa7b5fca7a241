use serde::{Deserialize, Serialize};

/// What was found when a site was checked in one respect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// In which respect: `credentials`, `permission to create networks`, `image formats`, `clock`.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, and for anything but good news what to do.
    pub detail: String,
}

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and something will be missed.
    Doubtful,
    /// Nothing works, or something that everybody needs.
    Bad,
}

impl Finding {
    /// A finding.
    pub fn new(subject: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict, detail: detail.into() }
    }
}
