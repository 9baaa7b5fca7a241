//! F14: a replica is stopped in the middle of creations, as by a long collection of garbage or a frozen host; others
//! take over; it wakes up and believes for a moment that all is as before.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backend::simulator::{Delays, Operation};
use rustix::process::Signal;

use crate::{postgres::Postgres, seed::Dice, world::World};

/// Longer than the term after which a silent replica is buried.
const FREEZE: Duration = Duration::from_secs(20);
const MACHINES: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn f14_a_frozen_replica_writes_nothing_stale_on_postgresql() {
    let mut dice = Dice::new();
    let mut world = World::on_postgres(2, &Arc::new(Postgres::start()), "frozen").await;
    world.start_all();
    // Creations are asked for and not answered when the replica freezes.
    let slow = Delays { call: Duration::from_millis(300 + dice.below(500)), ..Delays::default() };
    world.simulator.change(|behaviour| behaviour.delays = slow);
    for _ in 0..MACHINES {
        world.order_machine().await;
    }
    world.until("creations are under way", |world| world.simulator.calls(Operation::Create) > 0).await;
    world.signal(0, Signal::STOP);
    let frozen = Instant::now();
    let fence = "SELECT coalesce(sum(fence), 0) FROM sagas";
    let before: i64 = world.database.query(fence).parse().unwrap();
    let owners = world.database.query("SELECT DISTINCT owner FROM sagas WHERE owner IS NOT NULL");
    assert!(!owners.is_empty(), "somebody is in the middle of it");
    let unfinished = "SELECT count(*) FROM sagas WHERE state NOT IN ('done', 'undone')";
    world.until("the other one leads all to their end", |world| world.database.query(unfinished) == "0").await;
    let taken_over = frozen.elapsed();
    assert!(world.database.query(fence).parse::<i64>().unwrap() > before, "what was taken over has a new fence");
    let rows = "SELECT id, state, backend_id, version FROM entities ORDER BY id";
    let then = world.database.query(rows);
    tokio::time::sleep(FREEZE.saturating_sub(frozen.elapsed())).await;
    world.signal(0, Signal::CONT);
    // It has woken up when it beats under a new name, and has then had every occasion to write what it knew.
    world
        .until("the frozen replica begins anew", |world| world.database.query("SELECT count(*) FROM replicas") == "2")
        .await;
    let mut tally = world.check().await;
    assert_eq!(world.database.query(rows), then, "nothing of what was taken over was written again");
    assert_eq!(world.simulator.machine_count(), usize::try_from(MACHINES).unwrap());
    tally.seconds("taken over after, s", taken_over);
    tally.report("F14", "postgresql");
}
