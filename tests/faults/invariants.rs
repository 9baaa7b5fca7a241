//! What holds after every fault, once it is over.

use std::{collections::BTreeSet, io::Write, time::Duration};

use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use crate::{server::Answer, world::World};

const AT_REST: [&str; 6] = ["active", "inactive", "online", "offline", "suspended", "error"];

/// What a row of faults came to. Anything but zeros in `duplicates`, `lost` and `orphans` is a failure.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub runs: usize,
    pub kills: usize,
    pub duplicates: usize,
    pub lost: usize,
    pub orphans: usize,
    /// What was measured, in words.
    pub figures: Map<String, Value>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.kills += other.kills;
        self.duplicates += other.duplicates;
        self.lost += other.lost;
        self.orphans += other.orphans;
        for (name, value) in other.figures {
            self.figure(&name, value);
        }
    }

    /// Notes what was measured; of several of one name the largest stays.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.figures.get(name).and_then(Value::as_f64) {
            Some(known) if value.as_f64().is_none_or(|new| new <= known) => {}
            _ => drop(self.figures.insert(name.to_owned(), value)),
        }
    }

    pub fn seconds(&mut self, name: &str, duration: Duration) {
        self.figure(name, (duration.as_secs_f64() * 100.0).round() / 100.0);
    }

    /// Prints the line that `scripts/faults` collects, and fails unless all is well.
    pub fn report(self, row: &str, database: &str) {
        let Self { runs, kills, duplicates, lost, orphans, figures } = self;
        let mut line = json!({
            "row": row, "database": database, "runs": runs, "kills": kills,
            "duplicates": duplicates, "lost": lost, "orphans": orphans,
        });
        if !figures.is_empty() {
            line["figures"] = figures.into();
        }
        // Past the test harness, which keeps what `println` says of a test that passes.
        let _ = writeln!(std::io::stdout(), "\nFAULTS {line}");
        assert_eq!((duplicates, lost, orphans), (0, 0, 0), "{row} on {database}");
    }
}

impl World {
    /// Waits for rest, checks I1 to I6, and answers what this world came to.
    pub async fn check(&mut self) -> Tally {
        self.settle().await;
        self.start_all();
        let known_orphans = self.database.query("SELECT count(*) FROM orphans").parse().unwrap();
        let mut tally = Tally { runs: 1, kills: self.kills, orphans: known_orphans, ..Tally::default() };
        tally.lost = self.lost().await;
        tally.duplicates = self.simulator.duplicates().len();
        tally.orphans += self.unowned();
        self.check_log();
        self.check_strangers().await;
        tally
    }

    /// I1: accepted, and neither at rest in a known state, nor gone as its client wished.
    async fn lost(&self) -> usize {
        let mut lost = 0;
        for promise in &self.accepted {
            let request = self.server(0).request("GET", &promise.path).header("Accept", "application/occi+json");
            let answer = Answer::of(request.send().await.unwrap()).await;
            let kept = match answer.status {
                StatusCode::OK => !promise.removed && is_at_rest(&answer.body),
                StatusCode::GONE => promise.removed,
                _ => false,
            };
            if !kept {
                lost += 1;
                eprintln!("lost: {promise:?}: {} {}", answer.status, answer.body);
            }
        }
        lost
    }

    /// I2 and I3: the site has exactly what live entities have; what it has beyond that is counted.
    fn unowned(&self) -> usize {
        let owned =
            self.database.query("SELECT backend_id FROM entities WHERE backend_id IS NOT NULL AND source IS NULL");
        let owned: BTreeSet<String> = owned.lines().map(str::to_owned).collect();
        let there: BTreeSet<String> = self.simulator.objects().into_iter().map(|object| object.id).collect();
        let missing: Vec<_> = owned.difference(&there).collect();
        assert!(missing.is_empty(), "entities whose objects are not there: {missing:?}");
        let unowned: Vec<_> = there.difference(&owned).collect();
        if !unowned.is_empty() {
            eprintln!("objects that belong to nobody: {unowned:?}");
        }
        let links = "SELECT count(*) FROM entities WHERE backend_id IS NOT NULL AND source IS NOT NULL";
        let inventory = self.simulator.inventory();
        let joined = inventory.attachments + inventory.interfaces + inventory.applied_groups;
        assert_eq!(self.database.query(links), joined.to_string(), "links as remembered and as at the site");
        unowned.len()
    }

    /// I4 and I5: the log is as it was sealed, and what it comes to is what is reserved.
    fn check_log(&self) {
        let output = self.office.run(&["events", "verify"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }

    /// I6: another project sees nothing of it.
    async fn check_strangers(&self) {
        let get = async |path: &str| {
            let url = format!("{}{path}", self.server(0).base);
            let request = crate::client::client().get(url).bearer_auth(&self.stranger);
            Answer::of(request.send().await.unwrap()).await
        };
        for collection in ["/compute/", "/storage/", "/network/", "/storagelink/"] {
            assert_eq!(get(collection).await.body, "", "{collection}");
        }
        if let Some(promise) = self.accepted.first() {
            assert_eq!(get(&promise.path).await.status, StatusCode::NOT_FOUND);
        }
    }
}

fn is_at_rest(entity: &str) -> bool {
    let entity: Value = serde_json::from_str(entity).unwrap();
    let attributes = entity["attributes"].as_object().unwrap();
    let of =
        |suffix: &str| attributes.iter().find(|(name, _)| name.ends_with(suffix)).and_then(|(_, value)| value.as_str());
    let state = of(".state").unwrap_or_default();
    AT_REST.contains(&state) && (state != "error" || of(".state.message").is_some_and(|words| !words.is_empty()))
}
