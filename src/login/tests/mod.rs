//! People, tokens and sessions on SQLite and on a real PostgreSQL.

mod gate;
mod membership;
mod people;
mod session;

use serde_json::{Value, json};

use super::{
    Rules,
    identity::{Claims, Identity},
    people::{Admitted, Occasion, admit},
};
use crate::store::{Db, event::SealedEvent, tests::postgres::Postgres};

/// All of it on one database; `other` is the same one as another process has it.
async fn stories(db: &Db, other: &Db) {
    people::stories(db).await;
    session::stories(db, other).await;
    membership::stories(db, other).await;
    gate::stories(db, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stories_hold_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let address = directory.path().join("t.sqlite").to_str().unwrap().to_owned();
    stories(&Db::open(&address).unwrap(), &Db::open(&address).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stories_hold_on_postgresql() {
    let postgres = Postgres::start();
    tokio::task::block_in_place(|| postgres.await_start());
    let open = || tokio::task::block_in_place(|| postgres.open());
    stories(&open(), &open()).await;
}

const ISSUER: &str = "https://id.school.example";

fn rules(mapping: &[&str]) -> Rules {
    let read = |text: &&str| toml::from_str(&format!("provider = 'school'\n{text}")).unwrap();
    Rules { mapping: mapping.iter().map(read).collect(), valid_for: std::time::Duration::from_secs(3600) }
}

/// Everything that is said is said by one provider.
fn claims(subject: &str, said: Value) -> Claims {
    let Value::Object(all) = said else { panic!("not an object") };
    Claims::new(Identity::new(ISSUER, subject).unwrap(), all).unwrap()
}

async fn sign_in(db: &Db, rules: &Rules, subject: &str, said: Value) -> Admitted {
    admit(db, rules, "school", &claims(subject, said), Occasion::SignIn(None)).await.unwrap()
}

/// Somebody who is a member of `class-<subject>`.
async fn member(db: &Db, subject: &str) -> Admitted {
    let rules = rules(&["claim = 'g'\nmatches = '(?<n>.*)'\nproject = 'class-{n}'\ncreate_projects = true"]);
    sign_in(db, &rules, subject, json!({"g": subject, "preferred_username": subject})).await
}

/// What the log tells, in order.
async fn log(db: &Db) -> Vec<SealedEvent> {
    while db.write(|connection| crate::store::event::seal(connection, 1000)).await.unwrap() > 0 {}
    db.read(|connection| crate::store::event::after(connection, None, 0, 10_000)).await.unwrap()
}
