use std::{
    fs::OpenOptions,
    io::{Result, Write},
    path::Path,
};

use serde::Serialize;

/// Where reports are kept, if anywhere: a file to which each run adds one line of JSON for each promise.
const KEPT_IN: &str = "TOMBOLO_CONTRACT_REPORT";

/// What was checked, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What this backend does not have, one sentence each.
    pub skipped: Vec<String>,
    rows: Vec<Row>,
    /// Which of them is looked at.
    present: usize,
}

/// One promise of the contract, and how one backend keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which promise: a name that stays the same.
    pub promise: &'static str,
    /// How it is kept.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a promise is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// Everything that it demands was seen.
    Passed,
    /// The backend says that it has nothing of the kind, and behaves so.
    Absent(String),
    /// Something else was seen.
    Broken(String),
}

impl Report {
    /// One row for each promise that was looked at, in the order in which they first were.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What is looked at from now on; it counts as kept until something else is seen.
    pub fn begin(&mut self, promise: &'static str) {
        self.present = self.rows.iter().position(|row| row.promise == promise).unwrap_or(self.rows.len());
        if self.present == self.rows.len() {
            self.rows.push(Row { promise, outcome: Outcome::Passed });
        }
    }

    /// What is looked at is not there.
    pub fn lacks(&mut self, why: impl Into<String>) {
        let why = why.into();
        if let Some(Row { outcome: outcome @ Outcome::Passed, .. }) = self.rows.get_mut(self.present) {
            *outcome = Outcome::Absent(why.clone());
        }
        if !self.skipped.contains(&why) {
            self.skipped.push(why);
        }
    }

    /// What is looked at is not as promised.
    pub fn breaks(&mut self, why: impl Into<String>) {
        if let Some(row) = self.rows.get_mut(self.present) {
            row.outcome = Outcome::Broken(why.into());
        }
    }

    /// Adds the rows to the file that the environment variable `TOMBOLO_CONTRACT_REPORT` names, if it does: one JSON
    /// object each, `{"backend":"simulator","promise":"create","outcome":"passed"}`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, backend: &str) -> Result<()> {
        std::env::var_os(KEPT_IN).map_or(Ok(()), |path| self.keep_in(Path::new(&path), backend))
    }

    /// Adds the rows to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_in(&self, path: &Path, backend: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            backend: &'a str,
            #[serde(flatten)]
            row: &'a Row,
        }
        let mut lines = Vec::new();
        for row in &self.rows {
            serde_json::to_writer(&mut lines, &Line { backend, row })?;
            lines.push(b'\n');
        }
        // One write, since several suites may run beside each other.
        OpenOptions::new().create(true).append(true).open(path)?.write_all(&lines)
    }
}
