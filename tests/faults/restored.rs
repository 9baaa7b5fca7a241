//! F17: the database is put back as it was a while ago. What was made since belongs to nobody: it is listed, and nothing
//! is done to it.

use std::sync::Arc;

use crate::{invariants::Tally, postgres::Postgres, world::World};

async fn restored(mut world: World) -> Tally {
    world.start_all();
    let kept = [world.order_machine().await, world.order_volume().await];
    world.settle().await;
    let copy = world.path("copy");
    world.office.must(&["backup", copy.to_str().unwrap()]);
    let promised = world.accepted.clone();
    for _ in 0..3 {
        world.order_machine().await;
    }
    world.order_volume().await;
    world.settle().await;
    let there = world.simulator.objects();
    assert_eq!(there.len(), kept.len() + 4);
    world.kill(0);
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND datname = current_database()";
    if world.is_on_postgres() {
        world.until("the sessions of the killed server end", |world| world.database.query(sessions) == "1").await;
    }
    world.office.must(&["restore", copy.to_str().unwrap()]);
    // What came after the copy is forgotten, and no promise that anybody could keep.
    world.accepted = promised;
    world.start_all();
    let listed = "SELECT backend_id FROM orphans ORDER BY backend_id";
    world.until("what was made since is listed", |world| world.database.query(listed).lines().count() == 4).await;
    let found: Vec<String> = world.database.query(listed).lines().map(str::to_owned).collect();
    assert_eq!(world.simulator.objects(), there, "nothing is deleted");
    let mut tally = world.check().await;
    // Each is counted as listed and as without an owner; that is what has to be so here, and all that may be.
    assert_eq!(tally.orphans, 2 * found.len(), "all of them are listed, and nothing else");
    tally.figure("found again", found.len());
    tally.orphans = 0;
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_an_older_database_lists_what_was_made_since_on_sqlite() {
    restored(World::on_sqlite().await).await.report("F17", "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_an_older_database_lists_what_was_made_since_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    restored(World::on_postgres(1, &postgres, "restored").await).await.report("F17", "postgresql");
}
