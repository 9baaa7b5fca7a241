//! Events, reservations and keys, on both databases.

use tokio::task::block_in_place;

use super::{event, idempotency, postgres::Postgres, quota, reservation, schema::Schema};
use crate::store::Db;

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_holds_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| Db::open(directory.path().join(name).to_str().unwrap()).unwrap();
    event::the_log_holds(&open("log"), &open("log")).await;
    reservation::usage_is_what_the_log_tells(&open("usage")).await;
    quota::limits_are_found(&open("quota")).await;
    idempotency::keys_are_taken_once(&open("keys"), &open("keys")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_holds_on_postgresql() {
    let postgres = Postgres::start();
    block_in_place(|| postgres.await_start());
    let addresses = block_in_place(|| ["log", "usage", "keys", "quota"].map(|name| postgres.make_database(name)));
    let open = |number: usize| block_in_place(|| Db::open(&addresses[number]).unwrap());
    event::the_log_holds(&open(0), &open(0)).await;
    reservation::usage_is_what_the_log_tells(&open(1)).await;
    quota::limits_are_found(&open(3)).await;
    idempotency::keys_are_taken_once(&open(2), &open(2)).await;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.sqlite").to_str().unwrap().to_owned();
    block_in_place(|| {
        Db::open(&file).unwrap();
        Schema::of(&file).assert_same(&Schema::of(&addresses[1]));
    });
    let descending = "site,operation,priority-,run_at,id";
    assert!(Schema::of(&file).has_index("sagas_due", descending), "it is not the schemas of nothing");
}
