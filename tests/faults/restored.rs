//! F17: the database is put back as it was a while ago. What was made since belongs to nobody: it is listed, and
//! nothing is done to it until somebody decides.

use std::sync::Arc;

use crate::{
    invariants::Tally,
    postgres::Postgres,
    world::{PROJECT, Promise, World},
};

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
    // Each is counted as listed and as without an owner; that is what has to be so here, and all that may be.
    assert_eq!(world.check().await.orphans, 2 * found.len(), "all of them are listed, and nothing else");

    let list: serde_json::Value = serde_json::from_str(&world.office.must(&["orphans", "list", "--json"])).unwrap();
    let of_kind = |kind: &str| {
        let orphans = list.as_array().unwrap().iter().filter(|orphan| orphan["kind"] == kind);
        orphans.map(|orphan| orphan["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (machines, volumes) = (of_kind("machine"), of_kind("volume"));
    assert_eq!((machines.len(), volumes.len()), (3, 1));
    let adopted = world.office.must(&["orphans", "adopt", &machines[0], "--project", PROJECT]);
    let path = format!("/compute/{}", adopted.trim());
    world.accepted.push(Promise { path, removed: false });
    world.office.must(&["orphans", "expire", "--now", &machines[1], &machines[2], &volumes[0]]);
    world.until("no orphan is left", |world| world.database.query(listed).is_empty()).await;
    let mut tally = world.check().await;
    assert_eq!(world.simulator.objects().len(), kept.len() + 1, "what was there, and what was adopted");
    tally.figure("found again", found.len());
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
