//! The report for a terminal.

use std::fmt::Write;

use super::{CheckResult, Report, Verdict};
use crate::{checks::sections, exchange::Purpose};

/// Lines of a body that are worth showing in a terminal.
const BODY_LINES: usize = 12;
const LINE_LENGTH: usize = 200;

impl Report {
    /// All checks, the failed ones with their requests and answers; the last line is the summary.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "OCCI check of {} ({} mode), {}", self.url, self.mode, self.began)?;
        writeln!(text, "Server: {}", printable(&self.software))?;
        for section in sections() {
            let results: Vec<_> = self.results.iter().filter(|result| result.section == section.letter).collect();
            if results.is_empty() {
                continue;
            }
            writeln!(text, "\n{}. {}", section.letter, section.title)?;
            for result in results {
                write_result(text, result)?;
            }
        }
        if !self.left_behind.is_empty() {
            writeln!(text, "\nThese things were made and could not be removed:")?;
            for line in &self.left_behind {
                writeln!(text, "  {}", printable(line))?;
            }
        }
        writeln!(text)?;
        for (level, count) in self.counts() {
            writeln!(text, "{level}: {} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped)?;
        }
        writeln!(text, "{}", self.summary())
    }
}

fn write_result(text: &mut String, result: &CheckResult) -> std::fmt::Result {
    let (word, reason) = match &result.verdict {
        Verdict::Passed => ("passed ", None),
        Verdict::Failed { reason } => ("FAILED ", Some(reason)),
        Verdict::Skipped { reason } => ("skipped", Some(reason)),
    };
    writeln!(text, "{} {word} {:<7} {}  [{}]", result.name(), result.level.name(), result.rule, result.source)?;
    if let Some(reason) = reason {
        writeln!(text, "      → {}", printable(reason))?;
    }
    if matches!(result.verdict, Verdict::Failed { .. }) {
        for exchange in result.exchanges.iter().filter(|exchange| exchange.purpose == Purpose::Check) {
            writeln!(text, "      > {} {}", exchange.method, printable(&exchange.target))?;
            for (name, value) in &exchange.request_headers {
                if !["Host", "User-Agent"].contains(&name.as_str()) {
                    writeln!(text, "      > {name}: {}", printable(value))?;
                }
            }
            write_body(text, '>', &exchange.request_body)?;
            match (exchange.status, &exchange.problem) {
                (Some(status), _) => writeln!(text, "      < {status}")?,
                (None, problem) => writeln!(text, "      < {}", printable(problem.as_deref().unwrap_or_default()))?,
            }
            for (name, value) in &exchange.answer_headers {
                if !["server", "date"].contains(&name.as_str()) {
                    writeln!(text, "      < {name}: {}", printable(value))?;
                }
            }
            write_body(text, '<', &exchange.answer_body)?;
        }
    }
    Ok(())
}

fn write_body(text: &mut String, mark: char, body: &str) -> std::fmt::Result {
    for line in body.lines().take(BODY_LINES) {
        writeln!(text, "      {mark} {}", printable(line))?;
    }
    match body.lines().count().saturating_sub(BODY_LINES) {
        0 => Ok(()),
        more => writeln!(text, "      {mark} … {more} lines more"),
    }
}

/// In one line, and without what could steer a terminal.
fn printable(text: &str) -> String {
    let mut line: String =
        text.chars().take(LINE_LENGTH).map(|each| if each.is_control() { '\u{fffd}' } else { each }).collect();
    if text.chars().nth(LINE_LENGTH).is_some() {
        line.push('…');
    }
    line
}
