//! The fault harness within one process: a store, simulated sites and an engine that can be killed at every moment.
//! Its sibling with real processes is `tests/faults`; `scripts/faults` runs both and adds up what they print.

mod enumeration;
mod orders;
mod rows;
mod seeds;
mod world;

use std::io::Write;

use serde_json::json;

/// What a row of faults came to. Anything but zeros in the last three is a failure.
#[derive(Debug, Clone, Default)]
struct Tally {
    runs: usize,
    kills: usize,
    duplicates: usize,
    lost: usize,
    orphans: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.kills += other.kills;
        self.duplicates += other.duplicates;
        self.lost += other.lost;
        self.orphans += other.orphans;
    }

    /// Prints the line that `scripts/faults` collects, and fails unless all is well.
    fn report(&self, row: &str, database: &str) {
        let Self { runs, kills, duplicates, lost, orphans } = self;
        let line = json!({
            "row": row, "database": database, "runs": runs, "kills": kills,
            "duplicates": duplicates, "lost": lost, "orphans": orphans,
        });
        // Past the test harness, which keeps what `println` says of a test that passes.
        let _ = writeln!(std::io::stderr(), "FAULTS {line}");
        assert_eq!((*duplicates, *lost, *orphans), (0, 0, 0), "{row} on {database}");
    }
}
