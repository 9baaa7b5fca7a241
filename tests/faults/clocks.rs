//! F29 and F30: clocks that disagree, and a clock that is set back while the server runs (libfaketime).

use std::{path::Path, sync::Arc, time::Duration};

use backend::simulator::Delays;

use crate::{database::Database, invariants::Tally, postgres::Postgres, server::Home, world::World};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// Requests expire soon, so that they expire at once where somebody trusts a wrong clock.
const SHORT_LIVED: &str = "[dispatch]\npolicy = \"\"\"\ncreate: active < 1\ncreate: waited < 2 min\n\"\"\"\n";
const MACHINES: usize = 4;

/// Lets every server of this home live by another clock. Only the clock that people read: time passes as ever.
fn other_clock(home: &mut Home, name: &str, value: &str) {
    assert!(Path::new(LIBRARY).exists(), "libfaketime is missing: scripts/install-dependencies test");
    for (name, value) in [
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
        ("FAKETIME_NO_CACHE", "1"),
        (name, value),
    ] {
        home.set_environment(name, value);
    }
}

/// Each takes a while, so that others wait for their turn.
fn take_a_while(world: &World) {
    let delays = Delays { boot: Duration::from_millis(400), ..Delays::default() };
    world.simulator.change(|behaviour| behaviour.delays = delays);
}

/// All machines run: nothing was given up, and no time in the log is before an earlier one of the same entity, or
/// before any earlier one by more than transactions overlap.
async fn nothing_expired(world: &mut World) -> Tally {
    let tally = world.check().await;
    let states = world.database.query("SELECT DISTINCT state FROM entities");
    assert_eq!(states, "active", "nothing was given up");
    // Those of the last moment may still be without a place, which SQLite counts as the first.
    let unsealed = "SELECT count(*) FROM events WHERE position IS NULL";
    world.until("all events have their places", |world| world.database.query(unsealed) == "0").await;
    let back = "SELECT count(*) FROM events AS earlier JOIN events AS later ON earlier.entity_id = later.entity_id \
                WHERE earlier.position < later.position AND earlier.at > later.at";
    assert_eq!(world.database.query(back), "0", "times never go back");
    let jumps = "SELECT count(*) FROM (SELECT at, lag(at) OVER (ORDER BY position) AS before FROM events) AS log \
                 WHERE at < before - 1000000";
    assert_eq!(world.database.query(jumps), "0", "times never go back");
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn f29_replicas_whose_clocks_are_ten_minutes_apart_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    let mut world = World::with(2, Some(Database::on(&postgres, "apart")), SHORT_LIVED).await;
    other_clock(&mut world.homes[0], "FAKETIME", "+300");
    other_clock(&mut world.homes[1], "FAKETIME", "-300");
    world.start_all();
    take_a_while(&world);
    for _ in 0..MACHINES {
        world.order_machine().await;
    }
    // The other one takes over, by its own clock.
    world.kill(0);
    for _ in 0..MACHINES {
        world.order_machine().await;
    }
    let mut tally = nothing_expired(&mut world).await;
    assert_eq!(world.simulator.machine_count(), 2 * MACHINES);
    tally.kills = world.kills;
    tally.report("F29", "postgresql");
}

async fn set_back(mut world: World) -> Tally {
    let clock = world.path("clock");
    std::fs::write(&clock, "+0").unwrap();
    let file = clock.to_str().unwrap().to_owned();
    world.homes.iter_mut().for_each(|home| other_clock(home, "FAKETIME_TIMESTAMP_FILE", &file));
    world.start_all();
    take_a_while(&world);
    for _ in 0..MACHINES {
        world.order_machine().await;
    }
    std::fs::write(&clock, "-3600").unwrap();
    for _ in 0..MACHINES {
        world.order_machine().await;
    }
    let began = std::time::Instant::now();
    world.settle().await;
    let rest = began.elapsed();
    let told = std::fs::read_to_string(world.homes[0].path("serve.log")).unwrap();
    assert!(told.contains("set back"), "the server has seen it: {told}");
    // And a server that starts under the wrong clock.
    world.kill(0);
    world.start_all();
    world.order_machine().await;
    let mut tally = nothing_expired(&mut world).await;
    assert_eq!(world.simulator.machine_count(), 2 * MACHINES + 1);
    tally.seconds("all at rest after, s", rest);
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_a_clock_that_is_set_back_an_hour_on_sqlite() {
    set_back(World::with(1, None, SHORT_LIVED).await).await.report("F30", "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn f30_a_clock_that_is_set_back_an_hour_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    let database = Database::on(&postgres, "back");
    set_back(World::with(1, Some(database), SHORT_LIVED).await).await.report("F30", "postgresql");
}
