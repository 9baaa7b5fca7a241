//! What was measured, against what is wanted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process;

/// Which side of the limit is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// One goal and what came of it; `None` when nothing could be measured.
struct Goal {
    name: String,
    unit: &'static str,
    wanted: Wanted,
    figure: Option<f64>,
}

/// Text lines and goals, in the order of measuring.
pub struct Report {
    lines: Vec<String>,
    goals: Vec<Goal>,
    details: serde_json::Map<String, Value>,
    quiet: bool,
}

impl Report {
    /// A report that begins with the state of the machine. `quiet` keeps standard output for the document at the end.
    pub fn new(quiet: bool, about: &str) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let load = process::machine_load();
        let mut report = Self { lines: Vec::new(), goals: Vec::new(), details: serde_json::Map::new(), quiet };
        report.line(format!("{processors} processors, load {load:.1} before the start; {about}"));
        if load > 0.5 {
            report.line("this machine was BUSY with something else: only the ratios count".into());
        }
        report.detail("machine", &json!({ "processors": processors, "load": load }));
        report
    }

    /// A line for people, at once.
    pub fn line(&mut self, line: String) {
        if self.quiet {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
        self.lines.push(line);
    }

    /// All numbers of a measurement, for programs.
    pub fn detail(&mut self, name: &str, value: &Value) {
        self.details.insert(name.to_owned(), value.clone());
    }

    /// A goal and what came of it, for the end.
    pub fn goal(&mut self, name: impl Into<String>, unit: &'static str, wanted: Wanted, figure: Option<f64>) {
        self.goals.push(Goal { name: name.into(), unit, wanted, figure });
    }

    /// The goals, one line each, at the end.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let goals: Vec<Value> = self.goals.iter().map(Goal::json).collect();
            let mut document = self.details.clone();
            document.insert("goals".into(), goals.into());
            println!("{:#}", Value::Object(document));
            return;
        }
        println!("\n{:<48} {:>12} {:>14}   ratio", "goal", "figure", "wanted");
        for goal in &self.goals {
            println!("{}", goal.text());
        }
    }
}

impl Goal {
    /// How good the figure is: 1 is just enough, 2 is twice as good as wanted.
    fn ratio(&self) -> Option<f64> {
        let figure = self.figure?;
        Some(match self.wanted {
            Wanted::AtLeast(limit) => figure / limit,
            Wanted::AtMost(limit) => limit / figure.max(f64::MIN_POSITIVE),
        })
    }

    fn verdict(&self) -> String {
        let Some(figure) = self.figure else { return "MISSED: not measured".into() };
        let off = match self.wanted {
            Wanted::AtLeast(limit) if figure < limit => limit - figure,
            Wanted::AtMost(limit) if figure > limit => figure - limit,
            _ => return "met".into(),
        };
        let limit = self.limit();
        format!("MISSED by {} ({:.0} %)", number(off), 100.0 * off / limit)
    }

    fn limit(&self) -> f64 {
        match self.wanted {
            Wanted::AtLeast(limit) | Wanted::AtMost(limit) => limit,
        }
    }

    fn text(&self) -> String {
        let sign = if matches!(self.wanted, Wanted::AtLeast(_)) { "≥" } else { "≤" };
        let unit = self.unit;
        let figure = self.figure.map_or_else(|| "–".into(), |figure| format!("{} {unit}", number(figure)));
        let wanted = format!("{sign} {} {unit}", number(self.limit()));
        let ratio = self.ratio().map_or_else(|| "–".into(), number);
        format!("{:<48} {figure:>12} {wanted:>14}   {ratio:>5}  {}", self.name, self.verdict())
    }

    fn json(&self) -> Value {
        json!({
            "goal": self.name, "unit": self.unit, "figure": self.figure, "wanted": self.limit(),
            "at_least": matches!(self.wanted, Wanted::AtLeast(_)), "ratio": self.ratio(), "verdict": self.verdict(),
        })
    }
}

/// A number with about three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The value below which this part of the sorted ones lies.
pub fn quantile(sorted: &[Duration], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().map_or(f64::NAN, milliseconds)
}
