//! The log of events on the command line: who changes it is found out.

use std::{path::Path, process::Command};

use sha2::{Digest, Sha256};

use crate::server::Home;

/// Runs statements on a SQLite database, and answers what they print.
pub fn statements(database: &Path, statements: &str) -> String {
    let output = Command::new("sqlite3").arg(database).arg(statements).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What `tombolo events verify` says about a log with faults.
fn faults(home: &Home) -> String {
    let output = home.run(&["events", "verify"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{told}");
    told
}

/// The seal of an event of nobody, as the documents say that it is made.
fn seal(previous: &str, position: i64, id: &str, body: &str) -> String {
    let mut bytes = previous.as_bytes().to_vec();
    bytes.extend(position.to_be_bytes());
    bytes.extend(1_i64.to_be_bytes());
    for field in [Some(id), Some("test"), None, None, None, Some(body)] {
        bytes.push(u8::from(field.is_some()));
        bytes.extend((field.unwrap_or("").len() as u64).to_be_bytes());
        bytes.extend(field.unwrap_or("").as_bytes());
    }
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many things have happened, and are sealed. Answers the last seal.
fn happen(database: &Path, count: i64) -> String {
    let mut last = "0".repeat(64);
    for position in 1..=count {
        let (id, body) = (format!("0191f3c2-7c1f-7e0a-8000-{position:012}"), r#"{"text":"\u001b[2J"}"#);
        last = seal(&last, position, &id, body);
        statements(
            database,
            &format!(
                "INSERT INTO events (id, at, kind, body, position, seal)
                 VALUES ('{id}', 1, 'test', '{body}', {position}, '{last}')"
            ),
        );
    }
    last
}

#[test]
fn a49_who_edits_removes_or_exchanges_events_is_found_out() {
    for (change, words) in [
        ("UPDATE events SET body = '{}' WHERE position = 2", "event 2 ("),
        ("UPDATE events SET at = 2 WHERE position = 1", "event 1 ("),
        ("DELETE FROM events WHERE position = 2", "event 2"),
        (
            "UPDATE events SET position = -1 WHERE position = 1; UPDATE events SET position = 1 WHERE position = 2;
             UPDATE events SET position = 2 WHERE position = -1",
            "event 1 (",
        ),
    ] {
        let home = Home::simulated();
        home.must(&["events", "verify"]);
        let database = home.data_dir().join("tombolo.sqlite");
        happen(&database, 3);
        assert!(home.must(&["events", "verify"]).contains("3 events"), "the control");
        // The database itself refuses, until somebody takes that away.
        let refused = Command::new("sqlite3").arg(&database).arg(change).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("events"), "{change}: {refused:?}");
        home.must(&["events", "verify"]);
        statements(&database, &format!("DROP TRIGGER events_stay; DROP TRIGGER IF EXISTS events_are_kept; {change}"));
        let found = faults(&home);
        assert!(found.contains(words), "{change}: {found}");
    }
}

#[test]
fn a_log_is_listed_and_verified() {
    let home = Home::simulated();
    assert!(home.must(&["events", "verify"]).starts_with("0 events"));
    assert_eq!((home.must(&["events", "list", "--json"]), home.must(&["usage", "--json"])), ("[]".into(), "[]".into()));
    let database = home.data_dir().join("tombolo.sqlite");
    let run = |text: &str| statements(&database, text);
    let last = happen(&database, 2);
    assert!(home.must(&["events", "verify"]).contains(&format!("2:{last}")));
    home.must(&["events", "verify", "--known", &format!("2:{last}")]);
    let wrong = home.run(&["events", "verify", "--known", &format!("1:{last}")]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stdout).contains("made anew"));

    let listed: serde_json::Value = serde_json::from_str(&home.must(&["events", "list", "--json"])).unwrap();
    assert_eq!((&listed[0]["event"], &listed[1]["event"]), (&1.into(), &2.into()));
    let page = home.must(&["events", "list", "--after", "1"]);
    assert!(page.starts_with("2  1970-01-01T00:00:00Z  test  -  -  -  {") && page.lines().count() == 1, "{page}");
    assert!(home.must(&["events", "list", "--limit", "1"]).starts_with('2'), "the newest");
    assert!(!page.contains('\u{1b}'));
    let nobody = home.run(&["events", "list", "--project", "nobody"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no project nobody"));

    run("DROP TRIGGER events_stay; UPDATE events SET body = '{}' WHERE position = 1");
    assert!(faults(&home).contains("event 1 (0191f3c2-7c1f-7e0a-8000-000000000001) is not what was sealed"));
    run("INSERT INTO events (id, at, kind, body) VALUES ('z', 1, 'test', '{}')");
    assert!(faults(&home).contains("wait for their seal, the oldest since 1970"));
}

#[test]
fn usage_is_shown_and_compared_with_the_log() {
    let home = Home::simulated();
    home.token("ann", "class-3b");
    let database = home.data_dir().join("tombolo.sqlite");
    statements(
        &database,
        "INSERT INTO reservations (entity_id, project_id, site, machines, cores, memory_mib, disk_bytes, addresses)
         SELECT '0191f3c2-7c1f-7e0a-8000-000000000003', id, 'lab', 1, 2, 1024, 7, 0 FROM projects",
    );
    let usage: serde_json::Value = serde_json::from_str(&home.must(&["usage", "--json"])).unwrap();
    assert_eq!((&usage[0]["project"], &usage[0]["usage"]["cores"]), (&"class-3b".into(), &2.into()));
    assert!(home.must(&["usage"]).starts_with("class-3b  1 machines, 2 cores, 1024 MiB of memory"));
    assert!(faults(&home).contains("entity 0191f3c2-7c1f-7e0a-8000-000000000003"));
    let told = statements(
        &database,
        "INSERT INTO events (id, at, kind, project_id, entity_id, body)
         SELECT '0191f3c2-7c1f-7e0a-8000-000000000004', unixepoch() * 1000000, 'test', project_id, entity_id,
                '{\"usage\":{\"machines\":1,\"cores\":2,\"memory_mib\":1024,\"disk_bytes\":7}}' FROM reservations",
    );
    assert_eq!(told, "");
    // Beside those that tell of the token.
    let waiting = statements(&database, "SELECT count(*) FROM events WHERE position IS NULL");
    assert!(home.must(&["events", "verify"]).contains(&format!("{waiting} that wait for their seal")));
}
