//! The log has no gaps and keeps its order, and whoever changes it is found out.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;

use super::project;
use crate::store::{
    Db, DbConnection, StoreError, Timestamp,
    event::{self, Fault, NewEvent, SealedEvent, Verification},
    member::ProjectId,
    reservation::Usage,
};

const WRITERS: i64 = 8;
const EACH: i64 = 60;

/// `other` is the same database as another process has it.
pub async fn the_log_holds(db: &Db, other: &Db) {
    let verification = verify(db).await;
    assert!(verification.is_good() && verification.events == 0, "{verification:?}");
    sealing_among_writers(db, other).await;
    more_than_a_batch(db).await;
    what_is_refused(db).await;
    changes_are_found(db).await;
}

pub async fn verify(db: &Db) -> Verification {
    db.read(event::verify).await.unwrap()
}

pub async fn seal_all(db: &Db) {
    while db.write(|connection| event::seal(connection, 1000)).await.unwrap() > 0 {}
}

fn numbered(project: ProjectId, number: i64) -> NewEvent {
    let mut event = NewEvent { kind: "test.written", project: Some(project), ..NewEvent::default() };
    event.body.insert("number".into(), number.into());
    event
}

async fn events(db: &Db, project: Option<ProjectId>) -> Vec<SealedEvent> {
    db.read(move |connection| event::after(connection, project, 0, i64::MAX)).await.unwrap()
}

/// Several write, two seal; there are no gaps, and everybody's events are in the order in which they were written.
async fn sealing_among_writers(db: &Db, other: &Db) {
    let mut projects = Vec::new();
    for name in ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"] {
        projects.push(project(db, name).await);
    }
    let written = Arc::new(AtomicBool::new(false));
    let sealers = [db.clone(), other.clone()].map(|db| {
        let written = Arc::clone(&written);
        tokio::spawn(async move {
            let mut sealed = 0;
            loop {
                let all = written.load(Ordering::Acquire);
                let now = db.write(|connection| event::seal(connection, 17)).await.unwrap();
                sealed += now;
                if all && now == 0 {
                    return sealed;
                }
            }
        })
    });
    let writers = projects.iter().enumerate().map(|(index, project)| {
        let (db, project) = (if index % 2 == 0 { db.clone() } else { other.clone() }, *project);
        tokio::spawn(async move {
            for number in 0..EACH {
                db.write(move |connection| event::record(connection, &numbered(project, number))).await.unwrap();
            }
        })
    });
    for writer in join_all(writers.collect::<Vec<_>>()).await {
        writer.unwrap();
    }
    written.store(true, Ordering::Release);
    let sealed: usize = join_all(sealers).await.into_iter().map(Result::unwrap).sum();
    // One that was not its turn may have ended before the other.
    seal_all(db).await;
    assert!(sealed > 0);
    let all = events(db, None).await;
    assert!(all.iter().map(|event| event.position).eq(1..=WRITERS * EACH));
    for project in projects {
        let mine = events(db, Some(project)).await;
        assert!(mine.iter().map(|event| event.body["number"].as_i64().unwrap()).eq(0..EACH));
        assert!(mine.iter().all(|event| all[usize::try_from(event.position).unwrap() - 1] == *event));
        assert!(mine.is_sorted_by_key(|event| (event.at, event.id)));
    }
    let verification = verify(other).await;
    assert!(verification.is_good(), "{verification:?}");
    assert_eq!((verification.events, verification.unsealed), (WRITERS * EACH, 0));
}

async fn more_than_a_batch(db: &Db) {
    let project = project(db, "batch").await;
    db.write(move |connection| (0..450).try_for_each(|number| event::record(connection, &numbered(project, number))))
        .await
        .unwrap();
    let before = verify(db).await;
    assert_eq!((before.events, before.unsealed, before.is_good()), (WRITERS * EACH, 450, true));
    assert_eq!(db.write(|connection| event::seal(connection, 430)).await.unwrap(), 430);
    assert_eq!(db.write(|connection| event::seal(connection, 430)).await.unwrap(), 20);
    let after = verify(db).await;
    assert!(after.is_good() && after.last_seal != before.last_seal, "{after:?}");
    assert_eq!(db.read(event::last_position).await.unwrap(), after.events);
    let page = db.read(move |c| event::after(c, Some(project), WRITERS * EACH + 10, 5)).await.unwrap();
    assert!(page.iter().map(|event| event.position - WRITERS * EACH).eq(11..=15), "in pages");
}

async fn what_is_refused(db: &Db) {
    let project = project(db, "refused").await;
    let mut long = numbered(project, 0);
    long.body.insert("text".into(), "x".repeat(event::LONGEST_BODY).into());
    let mut forged = numbered(project, 0);
    forged.body.insert("usage".into(), serde_json::json!({"cores": 1}));
    let usage = Usage { cores: 1, ..Usage::default() };
    let nobodys = NewEvent { kind: "test", usage, ..NewEvent::default() };
    for event in [long, forged, nobodys] {
        let refused = db.write(move |connection| event::record(connection, &event)).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    let mut secret = numbered(project, 0);
    secret.body.insert("password".into(), "pony".into());
    secret.request_id = Some("a\0b".into());
    db.write(move |connection| event::record(connection, &secret)).await.unwrap();
    seal_all(db).await;
    let kept = events(db, Some(project)).await;
    assert_eq!((kept.len(), &kept[0].body["password"]), (1, &"(withheld)".into()));
    assert_eq!(kept[0].request_id.as_deref(), Some("a\u{fffd}b"));
}

async fn execute(db: &Db, statements: &'static str) -> Result<(), StoreError> {
    db.write(move |connection| Ok(connection.batch_execute(statements)?)).await
}

/// The log in its present state has these faults, and none after the second statement.
async fn is_found(db: &Db, change: &'static str, expected: &[Fault], undo: &'static str) {
    let before = verify(db).await;
    assert!(before.is_good(), "{before:?}");
    execute(db, change).await.unwrap();
    let after = verify(db).await;
    // Ids are compared where they are told beforehand.
    let found: Vec<Fault> = after
        .faults
        .iter()
        .map(|fault| match fault {
            Fault::Changed { position, .. } => Fault::Changed { position: *position, id: String::new() },
            fault => fault.clone(),
        })
        .collect();
    assert_eq!(found, expected, "{change}");
    assert!(after.faults.iter().all(|fault| !fault.to_string().contains('\n')));
    execute(db, undo).await.unwrap();
    assert!(verify(db).await.is_good(), "{undo}");
}

async fn changes_are_found(db: &Db) {
    let refused = ["DELETE FROM events WHERE position = 3", "UPDATE events SET body = '{}' WHERE position = 3"];
    for statement in refused {
        assert!(execute(db, statement).await.is_err(), "{statement}");
    }
    let drop_triggers = move |connection: &mut DbConnection| {
        connection.batch_execute(match connection {
            DbConnection::Postgres(_) => "DROP TRIGGER events_stay ON events",
            DbConnection::Sqlite(_) => "DROP TRIGGER events_stay; DROP TRIGGER events_are_kept",
        })?;
        Ok(())
    };
    db.write(drop_triggers).await.unwrap();
    let changed = |position| Fault::Changed { position, id: String::new() };
    let last = verify(db).await.events;

    is_found(
        db,
        "UPDATE events SET body = body || ' ' WHERE position = 3",
        &[changed(3)],
        "UPDATE events SET body = rtrim(body) WHERE position = 3",
    )
    .await;
    is_found(
        db,
        "UPDATE events SET at = at - 1 WHERE position = 1",
        &[changed(1)],
        "UPDATE events SET at = at + 1 WHERE position = 1",
    )
    .await;
    is_found(
        db,
        "CREATE TABLE kept AS SELECT * FROM events WHERE position IN (5, 6, 9);
         DELETE FROM events WHERE position IN (5, 6, 9)",
        &[Fault::Missing { first: 5, last: 6 }, Fault::Missing { first: 9, last: 9 }],
        "INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
    )
    .await;
    // Three places do not follow what they should.
    is_found(
        db,
        "UPDATE events SET position = -1 WHERE position = 7; UPDATE events SET position = 7 WHERE position = 8;
         UPDATE events SET position = 8 WHERE position = -1",
        &[changed(7), changed(8), changed(9)],
        "UPDATE events SET position = -1 WHERE position = 7; UPDATE events SET position = 7 WHERE position = 8;
         UPDATE events SET position = 8 WHERE position = -1",
    )
    .await;
    is_found(
        db,
        "CREATE TABLE kept AS SELECT * FROM events WHERE position = 4;
         UPDATE events SET position = 0 WHERE position = 4",
        &[changed(0), Fault::Missing { first: 4, last: 4 }],
        "UPDATE events SET position = 4 WHERE position = 0; DROP TABLE kept",
    )
    .await;
    is_found(
        db,
        "CREATE TABLE kept AS SELECT * FROM events WHERE position > (SELECT max(position) - 3 FROM events);
         DELETE FROM events WHERE id IN (SELECT id FROM kept)",
        &[Fault::Cut { last: last - 3, sealed: last }],
        "INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
    )
    .await;
    is_found(
        db,
        "INSERT INTO events (id, at, kind, body) VALUES ('x', 1, 'test', '{\"usage\":{\"cores\":7}}')",
        &[
            Fault::Unreadable { id: "x".into(), reason: "it changes the usage of no project".into() },
            Fault::Unsealed { count: 1, oldest: Timestamp(1) },
        ],
        "DELETE FROM events WHERE id = 'x'",
    )
    .await;
    places_are_not_given_twice(db, last).await;
    many_faults_are_bounded(db).await;
}

/// An end that was cut off stays missing when the log goes on.
async fn places_are_not_given_twice(db: &Db, last: i64) {
    let project = project(db, "e0").await;
    execute(
        db,
        "CREATE TABLE kept AS SELECT * FROM events WHERE position = (SELECT max(position) FROM events);
         DELETE FROM events WHERE id IN (SELECT id FROM kept)",
    )
    .await
    .unwrap();
    db.write(move |connection| event::record(connection, &numbered(project, 0))).await.unwrap();
    seal_all(db).await;
    assert_eq!(db.read(event::last_position).await.unwrap(), last + 1);
    assert_eq!(verify(db).await.faults, [Fault::Missing { first: last, last }]);
}

async fn many_faults_are_bounded(db: &Db) {
    execute(db, "UPDATE events SET kind = 'changed'").await.unwrap();
    let verification = verify(db).await;
    assert_eq!(verification.faults.len(), 100);
    // One cannot be checked, for it follows one that is missing, which is a fault of its own.
    assert_eq!(verification.more_faults + 100, u64::try_from(verification.events).unwrap());
}
