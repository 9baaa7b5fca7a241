//! F7, F8 and F9: the same request again, under the same key, with another body, and without a key.

use std::sync::Arc;

use reqwest::StatusCode;

use crate::{
    accepted::{body_of, machine_body, path_of},
    invariants::Tally,
    postgres::Postgres,
    server::Answer,
    world::{Promise, World},
};

/// Ten at once under one key, spread over the servers that there are: one promise.
async fn ten_at_once(world: &mut World, key: &str) -> String {
    let (count, body) = (world.servers.len(), machine_body());
    let shared = &*world;
    let asked = (0..10).map(|number| shared.post(number % count, "/compute/", key, &body));
    let answers = futures_util::future::join_all(asked).await;
    let mut paths: Vec<String> = answers
        .into_iter()
        .map(|answer| {
            let answer = answer.unwrap();
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
            path_of(&answer.header("location"))
        })
        .collect();
    paths.dedup();
    assert_eq!(paths.len(), 1, "one name ten times: {paths:?}");
    world.accepted.push(Promise { path: paths[0].clone(), removed: false });
    paths.remove(0)
}

async fn repeated(mut world: World) -> (Tally, Tally, Tally) {
    world.start_all();
    let first = ten_at_once(&mut world, "ten at once").await;
    world.settle().await;
    assert_eq!(world.simulator.machine_count(), 1, "ten requests under one key are one machine");
    let same = world.check().await;

    let other = format!("{}X-OCCI-Attribute: occi.core.title=\"another\"\n", machine_body());
    for replica in 0..world.servers.len() {
        let refused = world.post(replica, "/compute/", "ten at once", &other).await.unwrap();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        let storage = body_of("storage", "X-OCCI-Attribute: occi.storage.size=1.0");
        let refused = world.post(replica, "/storage/", "ten at once", &storage).await.unwrap();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.body);
        let again = world.post(replica, "/compute/", "ten at once", &machine_body()).await.unwrap();
        assert_eq!(path_of(&again.header("location")), first, "the first one still holds");
    }
    let different = world.check().await;
    assert_eq!(world.simulator.objects().len(), 1);

    for replica in [0, world.servers.len() - 1] {
        let request = world.server(replica).request("POST", "/compute/").header("Content-Type", "text/plain");
        let answer = Answer::of(request.body(machine_body()).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        world.accepted.push(Promise { path: path_of(&answer.header("location")), removed: false });
    }
    let without = world.check().await;
    assert_eq!(world.simulator.machine_count(), 3, "without a key, two requests are two machines, and both are known");
    (same, different, without)
}

fn report((same, different, without): (Tally, Tally, Tally), database: &str) {
    same.report("F7", database);
    different.report("F8", database);
    without.report("F9", database);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_f8_f9_the_same_request_again_on_sqlite() {
    report(repeated(World::on_sqlite().await).await, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_f8_f9_the_same_request_again_at_other_replicas_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    report(repeated(World::on_postgres(3, &postgres, "repeated").await).await, "postgresql");
}
