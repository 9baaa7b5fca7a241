//! Terminals and programs wait for a person's word, and hear it once, on both databases.

use std::time::Duration;

use super::{postgres::Postgres, project, sqlite};
use crate::{
    login::Rights,
    store::{
        Db, Timestamp,
        authorization_code::{self, AuthorizationCode},
        device::{self, Approval, Decision, NewDevice, Opened, Polled},
        member::{self, ProjectId, UserId},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a17_waiting_terminals_are_bounded_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    story(&sqlite(&directory)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_waiting_terminals_are_bounded_on_postgresql() {
    let postgres = Postgres::start();
    tokio::task::block_in_place(|| postgres.await_start());
    let db = tokio::task::block_in_place(|| postgres.open());
    story(&db).await;
}

async fn story(db: &Db) {
    let project = project(db, "class-3b").await;
    let user = db.write(|connection| member::ensure_user(connection, "anna")).await.unwrap();
    a_decision_is_heard_once(db, user, project).await;
    who_asks_too_soon_waits_longer(db).await;
    a_code_that_goes_round_is_void(db, user, project).await;
    there_is_room_for_so_many(db).await;
    of_many_at_once_one_hears_it(db, user, project).await;
    a_code_is_taken_once(db, user, project).await;
}

fn at(second: u64) -> Timestamp {
    Timestamp(1_800_000_000_000_000).plus(Duration::from_secs(second))
}

fn terminal(name: &str, address: &str, asked: Timestamp) -> NewDevice {
    NewDevice {
        device_code_hash: format!("device {name}"),
        user_code_hash: format!("user {name}"),
        client: "a terminal".into(),
        address: address.into(),
        rights: Rights::ALL,
        interval_seconds: 5,
        expires_at: asked.plus(Duration::from_secs(600)),
    }
}

async fn open(db: &Db, name: &str, address: &str, now: Timestamp) -> Opened {
    let new = terminal(name, address, now);
    db.write(move |connection| device::open(connection, &new, now)).await.unwrap()
}

async fn poll(db: &Db, name: &str, now: Timestamp) -> Polled {
    let hash = format!("device {name}");
    db.write(move |connection| device::poll(connection, &hash, now)).await.unwrap()
}

async fn decide(db: &Db, name: &str, decision: Decision, now: Timestamp) -> bool {
    let hash = format!("user {name}");
    db.write(move |connection| device::decide(connection, &hash, &decision, now)).await.unwrap()
}

async fn enter(db: &Db, name: &str, now: Timestamp) -> Option<device::Waiting> {
    let hash = format!("user {name}");
    db.write(move |connection| device::enter(connection, &hash, now)).await.unwrap()
}

fn approve(user: UserId, project: ProjectId) -> Decision {
    Decision::Approve { user, project, rights: "read".parse().unwrap(), days: 7 }
}

async fn a_decision_is_heard_once(db: &Db, user: UserId, project: ProjectId) {
    for name in ["yes", "no", "late"] {
        assert_eq!(open(db, name, "192.0.2.1", at(0)).await, Opened::Waits);
    }
    assert_eq!(poll(db, "yes", at(1)).await, Polled::Pending);
    assert_eq!(poll(db, "nobody", at(1)).await, Polled::Unknown);
    let waiting = enter(db, "yes", at(2)).await.unwrap();
    assert_eq!((waiting.client.as_str(), waiting.address.as_str()), ("a terminal", "192.0.2.1"));
    assert_eq!((waiting.rights, waiting.created_at), (Rights::ALL, at(0)));

    assert!(decide(db, "yes", approve(user, project), at(3)).await);
    assert!(!decide(db, "yes", approve(user, project), at(3)).await, "once");
    assert!(!decide(db, "yes", Decision::Deny, at(3)).await, "and nobody changes it");
    assert_eq!(enter(db, "yes", at(3)).await, None);
    // What the person agreed to, not what the terminal has asked for.
    let (rights, client) = ("read".parse().unwrap(), "a terminal".into());
    let approval = Approval { user, project, rights, days: 7, client };
    assert_eq!(poll(db, "yes", at(4)).await, Polled::Approved(approval));
    assert_eq!(poll(db, "yes", at(5)).await, Polled::Unknown, "it is handed out once");

    assert!(decide(db, "no", Decision::Deny, at(3)).await);
    assert!(!decide(db, "no", approve(user, project), at(3)).await);
    for second in [4, 5] {
        assert_eq!(poll(db, "no", at(second)).await, Polled::Denied);
    }

    assert_eq!(poll(db, "late", at(599)).await, Polled::Pending);
    assert_eq!(poll(db, "late", at(600)).await, Polled::Expired);
    assert_eq!(enter(db, "late", at(600)).await, None);
    assert!(!decide(db, "late", approve(user, project), at(600)).await, "too late");
    // An approval that nobody has fetched in time is void as well.
    assert_eq!(open(db, "fetched late", "192.0.2.1", at(0)).await, Opened::Waits);
    assert!(decide(db, "fetched late", approve(user, project), at(599)).await);
    assert_eq!(poll(db, "fetched late", at(600)).await, Polled::Expired);
}

async fn who_asks_too_soon_waits_longer(db: &Db) {
    open(db, "hasty", "192.0.2.2", at(0)).await;
    assert_eq!(poll(db, "hasty", at(10)).await, Polled::Pending);
    assert_eq!(poll(db, "hasty", at(14)).await, Polled::SlowDown(10));
    assert_eq!(poll(db, "hasty", at(23)).await, Polled::SlowDown(15));
    assert_eq!(poll(db, "hasty", at(38)).await, Polled::Pending, "it has waited");
    assert_eq!(poll(db, "hasty", at(52)).await, Polled::SlowDown(20));
    for _ in 0..40 {
        assert!(matches!(poll(db, "hasty", at(53)).await, Polled::SlowDown(seconds) if seconds <= 120));
    }
}

async fn a_code_that_goes_round_is_void(db: &Db, user: UserId, project: ProjectId) {
    open(db, "shown around", "192.0.2.3", at(0)).await;
    for _ in 0..10 {
        assert!(enter(db, "shown around", at(1)).await.is_some());
    }
    assert_eq!(enter(db, "shown around", at(1)).await, None);
    assert!(!decide(db, "shown around", approve(user, project), at(2)).await);
    assert_eq!(poll(db, "shown around", at(3)).await, Polled::Denied);
}

async fn there_is_room_for_so_many(db: &Db) {
    let later = at(10_000);
    for number in 0..40 {
        assert_eq!(open(db, &format!("flood {number}"), "198.51.100.1", later).await, Opened::Waits);
    }
    assert_eq!(open(db, "one more", "198.51.100.1", later).await, Opened::TooManyOfAddress);
    for number in 40..1000 {
        let address = format!("2001:db8::{}", number / 40);
        assert_eq!(open(db, &format!("flood {number}"), &address, later).await, Opened::Waits);
    }
    assert_eq!(open(db, "one more", "203.0.113.1", later).await, Opened::TooMany);
    // The former ones are gone, and these go in their turn.
    assert_eq!(poll(db, "hasty", later).await, Polled::Unknown);
    let much_later = at(11_201);
    assert_eq!(open(db, "one more", "198.51.100.1", much_later).await, Opened::Waits);
    assert_eq!(poll(db, "flood 7", much_later).await, Polled::Unknown);
}

async fn of_many_at_once_one_hears_it(db: &Db, user: UserId, project: ProjectId) {
    open(db, "raced", "192.0.2.4", at(20_000)).await;
    decide(db, "raced", approve(user, project), at(20_001)).await;
    let polls = (0..8).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { poll(&db, "raced", at(20_002)).await })
    });
    let mut heard = Vec::new();
    for polled in polls.collect::<Vec<_>>() {
        heard.push(polled.await.unwrap());
    }
    let approvals = heard.iter().filter(|polled| matches!(polled, Polled::Approved(_))).count();
    assert_eq!((approvals, heard.len()), (1, 8), "{heard:?}");
}

async fn a_code_is_taken_once(db: &Db, user: UserId, project: ProjectId) {
    let code = AuthorizationCode {
        user,
        project,
        client: "a program".into(),
        rights: Rights::ALL,
        days: 30,
        redirect_uri: "http://127.0.0.1:4711/".into(),
        challenge: "c".into(),
        expires_at: at(60),
    };
    let insert = async |hash: &'static str, now: Timestamp| {
        let code = code.clone();
        db.write(move |connection| authorization_code::insert(connection, hash, &code, now)).await.unwrap()
    };
    let take = async |hash: &'static str, now: Timestamp| {
        db.write(move |connection| authorization_code::take(connection, hash, now)).await.unwrap()
    };
    assert!(insert("one", at(0)).await);
    assert_eq!(take("one", at(59)).await, Some(code.clone()));
    assert_eq!(take("one", at(59)).await, None);
    assert!(insert("late", at(0)).await);
    assert_eq!(take("late", at(60)).await, None);
    for hash in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"] {
        assert!(insert(hash, at(0)).await);
    }
    assert!(!insert("11", at(0)).await, "nobody clicks so fast");
    assert!(insert("11", at(60)).await, "and those whose time is over do not count");
}
