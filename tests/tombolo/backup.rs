//! What was copied can be put back, and nothing that is broken takes the place of what works.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::{event_log::statements, postgres::Postgres, server::Home};

const RESTORED: &str = "SELECT count(*) FROM events WHERE kind = 'database.restored'";

/// Names of the users who have tokens.
fn users(home: &Home) -> Vec<String> {
    let tokens: serde_json::Value = serde_json::from_str(&home.must(&["token", "list", "--json"])).unwrap();
    tokens.as_array().unwrap().iter().map(|token| token["user"].as_str().unwrap().to_owned()).collect()
}

fn refused(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(!output.status.success(), "tombolo {arguments:?} must fail");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.trim().lines().count(), 1, "{errors}");
    errors
}

fn hidden_files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn sqlite_is_copied_and_put_back() {
    let home = Home::simulated();
    let copy = home.path("copy ?#%.backup");
    let file = copy.to_str().unwrap();
    assert!(refused(&home, &["backup", file]).contains("no database"));
    home.token("ann", "p");
    {
        let _server = home.serve();
        assert!(home.must(&["backup", file]).contains("events"), "while the server runs");
        assert!(refused(&home, &["restore", file]).contains("another tombolo"));
    }
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused(&home, &["backup", file]).contains("exists already"));
    home.token("bob", "q");

    let told = home.must(&["restore", file]);
    assert_eq!(users(&home), ["ann"]);
    let (_, former) = told.rsplit_once(' ').unwrap();
    assert!(former.contains("tombolo.sqlite.before-restore-"), "{told}");
    assert_eq!(statements(Path::new(former), "SELECT name FROM users ORDER BY name"), "ann\nbob");
    home.must(&["events", "verify"]);
    assert_eq!(statements(&home.data_dir().join("tombolo.sqlite"), RESTORED), "1", "the log tells of it");
    // And on another host, which has nothing yet.
    let elsewhere = Home::simulated();
    elsewhere.must(&["restore", file]);
    assert_eq!(users(&elsewhere), ["ann"]);
    elsewhere.serve();
    for directory in [home.path(""), home.data_dir(), elsewhere.data_dir()] {
        assert_eq!(hidden_files(&directory), [""; 0]);
    }
}

#[test]
fn what_is_broken_is_not_put_back() {
    let home = Home::simulated();
    home.token("ann", "p");
    let copy = home.path("copy");
    let file = copy.to_str().unwrap();
    home.must(&["backup", file]);
    let good = fs::read(&copy).unwrap();

    for (bytes, word) in [(&b"nothing like it"[..], "not a database"), (&good[..good.len() / 2], "malformed")] {
        fs::write(&copy, bytes).unwrap();
        let said = refused(&home, &["restore", file]);
        assert!(said.contains(word) && said.contains("nothing was changed"), "{said}");
    }
    fs::write(&copy, &good).unwrap();
    let mut damaged = OpenOptions::new().write(true).open(&copy).unwrap();
    for page in (good.len() / 2..good.len()).step_by(4096) {
        damaged.seek(SeekFrom::Start(page as u64)).unwrap();
        damaged.write_all(&[0xff; 512]).unwrap();
    }
    assert!(refused(&home, &["restore", file]).contains("nothing was changed"));

    fs::write(&copy, &good).unwrap();
    statements(&copy, "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
    assert!(refused(&home, &["restore", file]).contains("newer version"));
    fs::write(&copy, &good).unwrap();
    statements(&copy, "DROP TABLE __diesel_schema_migrations");
    assert!(refused(&home, &["restore", file]).contains("no database of Tombolo"));
    fs::write(&copy, &good).unwrap();
    File::create(home.path("copy-wal")).unwrap();
    assert!(refused(&home, &["restore", file]).contains("in use"));
    fs::remove_file(home.path("copy-wal")).unwrap();
    assert!(refused(&home, &["restore", "/dev/null"]).contains("not a file"));
    assert!(refused(&home, &["restore", "/nonexistent"]).contains("/nonexistent"));

    statements(&copy, "INSERT INTO events (id, at, kind, body, position, seal) VALUES ('x', 1, 'x', '{}', 1, 'x')");
    assert!(refused(&home, &["restore", file]).contains("--despite-faults"));
    assert_eq!(users(&home), ["ann"]);
    home.must(&["restore", file, "--despite-faults"]);
    assert!(!home.run(&["events", "verify"]).status.success());
}

#[test]
fn a_broken_database_is_kept_and_replaced() {
    let home = Home::simulated();
    home.token("ann", "p");
    let copy = home.path("copy");
    home.must(&["backup", copy.to_str().unwrap()]);
    let database = home.data_dir().join("tombolo.sqlite");
    fs::write(&database, "broken").unwrap();
    fs::write(home.data_dir().join("tombolo.sqlite-wal"), "broken too").unwrap();
    let output = home.run(&["restore", copy.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    let (_, former) = told.trim().rsplit_once(' ').unwrap();
    assert_eq!(fs::read_to_string(former).unwrap(), "broken");
    // What is no part of the new database is not beside it; a log of its own may be.
    let beside = fs::read(home.data_dir().join("tombolo.sqlite-wal")).unwrap_or_default();
    assert_ne!(beside, b"broken too");
    assert_eq!(users(&home), ["ann"]);
}

#[test]
fn postgresql_is_copied_and_put_back() {
    let postgres = Postgres::start();
    let mut home = Home::simulated();
    home.set_environment("TOMBOLO_DATABASE", &postgres.address());
    home.token("ann", "p");
    let copy = home.path("copy");
    let file = copy.to_str().unwrap();
    home.must(&["backup", file]);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    home.token("bob", "q");
    {
        // Of another data directory, which is no reason to refuse.
        let mut replica = Home::simulated();
        replica.set_environment("TOMBOLO_DATABASE", &postgres.address());
        let _server = replica.serve();
        assert!(refused(&home, &["restore", file]).contains("others are connected"));
    }
    // A server that was killed leaves its sessions for a moment.
    while postgres.run("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") != "1" {
        std::thread::yield_now();
    }
    fs::write(home.path("no copy"), "nothing like it").unwrap();
    assert!(refused(&home, &["restore", home.path("no copy").to_str().unwrap()]).contains("nothing was changed"));
    assert_eq!(users(&home), ["ann", "bob"]);
    home.must(&["restore", file]);
    assert_eq!(users(&home), ["ann"]);
    assert_eq!(postgres.run("SELECT count(*) FROM pg_trigger WHERE tgname = 'events_stay'"), "1");
    home.must(&["events", "verify"]);
    assert_eq!(postgres.run(RESTORED), "1");

    home.set_environment("PATH", "/nonexistent");
    let said = refused(&home, &["backup", home.path("another").to_str().unwrap()]);
    assert!(said.contains("pg_dump --format=custom") && said.contains("postgres://tester@"), "{said}");
    assert_eq!(hidden_files(&home.path("")), [""; 0]);
}

#[test]
fn a_file_moves_to_postgresql_with_everything_in_it() {
    let mut home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "p");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let location = runtime.block_on(async {
        let server = home.serve().with_token(&token);
        let busy = home.run(&["database", "copy", "--to", "postgres://nobody@nowhere.invalid/x"]);
        assert!(!busy.status.success(), "a server that runs would go on writing");
        let location = server.create("blank", "X-OCCI-Attribute: occi.core.title=\"教室 \\\"1\\\"\"").await;
        server.arrive(&location, "active").await;
        server.interrupt();
        location.rsplit('/').next().unwrap().to_owned()
    });
    home.must(&["events", "verify"]);
    let postgres = Postgres::start();
    let told = home.must(&["database", "copy", "--to", &postgres.address()]);
    assert!(told.contains("1  entities") && told.contains("1  appliances"), "{told}");
    let again = home.run(&["database", "copy", "--to", &postgres.address()]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("empty database"));
    home.set_environment("TOMBOLO_DATABASE", &postgres.address());
    home.must(&["events", "verify"]);
    runtime.block_on(async {
        let server = home.serve().with_token(&token);
        let entity = server.entity(&format!("/compute/{location}")).await;
        assert_eq!(entity["attributes"]["occi.core.title"], "教室 \"1\"");
        server.create("blank", "").await;
    });
}
