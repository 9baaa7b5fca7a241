//! The report for programs.

use serde_json::json;

use super::Report;

impl Report {
    /// Everything, with the counts of each level and the summary.
    #[must_use]
    pub fn json(&self) -> String {
        let counts: serde_json::Map<_, _> =
            self.counts().into_iter().map(|(level, count)| (level.name().to_owned(), json!(count))).collect();
        let mut document = json!(self);
        document["counts"] = json!(counts);
        document["summary"] = json!(self.summary());
        document["conformant"] = json!(self.is_conformant());
        format!("{document:#}\n")
    }
}
