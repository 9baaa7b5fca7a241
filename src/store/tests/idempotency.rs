//! A request that comes ten times is done once.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{event::seal_all, project};
use crate::store::{
    Db, StoreError, Timestamp,
    event::{self, NewEvent},
    idempotency::{self, Remembered},
    member::ProjectId,
};

pub async fn keys_are_taken_once(db: &Db, other: &Db) {
    let project = project(db, "keys").await;
    one_of_ten_at_once(db, other, project).await;
    keys_belong_to_projects(db, project).await;
    keys_are_forgotten(db, project).await;
}

async fn take(db: &Db, project: ProjectId, key: &str, of: &'static str, answer: &'static str) -> Remembered {
    let key = key.to_owned();
    db.write(move |connection| idempotency::take(connection, project, &key, of, answer)).await.unwrap()
}

async fn one_of_ten_at_once(db: &Db, other: &Db, project: ProjectId) {
    for round in 0..5 {
        let takes = (0..10).map(|number| {
            let db = if number % 2 == 0 { db.clone() } else { other.clone() };
            tokio::spawn(async move {
                let answer = format!("answer {number}");
                let taken = db
                    .write(move |connection| {
                        let taken = idempotency::take(connection, project, &format!("key {round}"), "same", &answer)?;
                        if taken == Remembered::New {
                            let kind = "test.made";
                            event::record(
                                connection,
                                &NewEvent { kind, project: Some(project), ..Default::default() },
                            )?;
                        }
                        Ok(taken)
                    })
                    .await
                    .unwrap();
                (number, taken)
            })
        });
        let mut answers = Vec::new();
        let mut winner = None;
        for taken in join_all(takes.collect::<Vec<_>>()).await {
            match taken.unwrap() {
                (number, Remembered::New) => assert_eq!(winner.replace(format!("answer {number}")), None),
                (_, Remembered::Answered(answer)) => answers.push(answer),
                (_, Remembered::Different) => panic!("it is the same request"),
            }
        }
        assert_eq!(answers, vec![winner.unwrap(); 9]);
    }
    seal_all(db).await;
    let made = db.read(move |connection| event::after(connection, Some(project), 0, 100)).await.unwrap();
    assert_eq!(made.len(), 5);
}

async fn keys_belong_to_projects(db: &Db, project: ProjectId) {
    let stranger = super::project(db, "stranger").await;
    assert_eq!(take(db, project, "k", "request", "one").await, Remembered::New);
    assert_eq!(take(db, project, "k", "request", "two").await, Remembered::Answered("one".into()));
    assert_eq!(take(db, project, "k", "another", "two").await, Remembered::Different);
    assert_eq!(take(db, stranger, "k", "another", "two").await, Remembered::New);
    let look = move |key: &'static str, of: &'static str| {
        let db = db.clone();
        async move { db.read(move |connection| idempotency::look(connection, project, key, of)).await.unwrap() }
    };
    assert_eq!(look("k", "request").await, Remembered::Answered("one".into()));
    assert_eq!(look("k", "another").await, Remembered::Different);
    assert_eq!(look("never", "request").await, Remembered::New);
    let failed: Result<(), _> = db
        .write(move |connection| {
            idempotency::take(connection, project, "undone", "request", "one")?;
            Err(StoreError::Refused("for another reason".into()))
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(look("undone", "request").await, Remembered::New, "what was not done is not answered");
}

async fn keys_are_forgotten(db: &Db, project: ProjectId) {
    let long_ago = Timestamp::now().minus(idempotency::REMEMBERED).0;
    let age = format!("UPDATE idempotency_keys SET created_at = {} WHERE key = 'k'", long_ago - 1);
    db.write(move |connection| Ok(connection.batch_execute(&age)?)).await.unwrap();
    assert_eq!(take(db, project, "k", "another", "three").await, Remembered::New, "of yesterday");
    assert_eq!(take(db, project, "k", "another", "four").await, Remembered::Answered("three".into()));

    let rows = (0..300)
        .map(|age| format!("('{}', 'old', '', '', {})", Uuid::now_v7(), long_ago - age))
        .collect::<Vec<_>>()
        .join(", ");
    let insert =
        format!("INSERT INTO idempotency_keys (project_id, key, fingerprint, answer, created_at) VALUES {rows}");
    db.write(move |connection| Ok(connection.batch_execute(&insert)?)).await.unwrap();
    let remove = || db.write(|connection| idempotency::remove_expired(connection, Timestamp::now()));
    let (first, rest, none) = (remove().await.unwrap(), remove().await.unwrap(), remove().await.unwrap());
    // The stranger's is as old by now.
    assert_eq!((first, rest, none), (256, 45, 0), "a bounded number at once");
    assert_eq!(take(db, project, "k", "another", "five").await, Remembered::Answered("three".into()));
}
