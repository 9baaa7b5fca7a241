//! F12: a server is killed (`kill -9`) at every moment of every saga. Alone, it is started again; among others, one of
//! them goes on.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    invariants::Tally,
    moment::{self, Moment},
    postgres::Postgres,
    seed::{self, Dice},
    world::World,
};

/// Worlds that live at the same time.
const WORLDS: usize = 6;
/// How many moments on PostgreSQL a run of the test suite takes; `TOMBOLO_FAULTS_ALL=1` takes all.
const SAMPLE: usize = 12;
/// How often a story is told until the server that is to die is the one that leads the saga.
const TELLINGS: usize = 12;

/// Tells the story until the server dies of it, lets others go on, and answers how long they took.
async fn die_at(world: &mut World, moment: &Moment) -> Duration {
    for _ in 0..TELLINGS {
        if world.servers[0].is_some() {
            world.settle().await;
            assert!(world.interrupt(0).success());
        }
        world.start_all_from(1);
        world.start(0, &moment.name);
        let kills = world.kills;
        let scene = moment.prepare(world).await;
        moment.trigger(world, &scene).await;
        let unfinished = "SELECT count(*) FROM sagas WHERE state NOT IN ('done', 'undone')";
        // Dead, or another one led the saga to its end.
        world
            .until(&format!("death at {}", moment.name), |world| {
                let is_over = world.database.query(unfinished) == "0";
                world.bury(0);
                world.kills > kills || is_over
            })
            .await;
        if world.kills == kills {
            // What follows the last entry in the log comes after all is over.
            tokio::time::sleep(Duration::from_millis(300)).await;
            world.bury(0);
        }
        if world.kills > kills {
            let died = Instant::now();
            if world.homes.len() == 1 {
                world.start_all();
            }
            world.settle().await;
            return died.elapsed();
        }
    }
    panic!("{} never comes to the server that is to die of it", moment.name);
}

/// Leads worlds through the moments, each through those that are left when it is free.
async fn through(moments: Vec<Moment>, postgres: Option<Arc<Postgres>>) -> Tally {
    let count = moments.len();
    let left = Arc::new(Mutex::new(moments));
    let mut worlds = tokio::task::JoinSet::new();
    for number in 0..WORLDS.min(count) {
        let (left, postgres) = (Arc::clone(&left), postgres.clone());
        worlds.spawn(async move {
            let mut world = match &postgres {
                Some(postgres) => World::on_postgres(2, postgres, &format!("world_{number}")).await,
                None => World::on_sqlite().await,
            };
            let mut tally = Tally::default();
            let next = || left.lock().unwrap().pop();
            while let Some(moment) = next() {
                let recovery = die_at(&mut world, &moment).await;
                let mut one = world.check().await;
                assert!(one.duplicates + one.lost + one.orphans == 0, "{}: {one:?}", moment.name);
                one.kills = std::mem::take(&mut world.kills);
                one.seconds("slowest recovery, s", recovery);
                tally.add(one);
            }
            tally
        });
    }
    let mut tally = Tally::default();
    while let Some(world) = worlds.join_next().await {
        tally.add(world.unwrap());
    }
    assert!(tally.runs == count && tally.kills >= count, "{tally:?}");
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn f12_killed_at_every_moment_of_every_saga_on_sqlite() {
    let mut dice = Dice::new();
    let mut moments = moment::all();
    dice.shuffle(&mut moments);
    through(moments, None).await.report("F12", "sqlite");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn f12_killed_at_moments_of_every_saga_and_taken_over_on_postgresql() {
    let mut dice = Dice::new();
    let mut moments = moment::all();
    dice.shuffle(&mut moments);
    if seed::told("TOMBOLO_FAULTS_ALL").is_none_or(|all| all == 0) {
        moments.truncate(SAMPLE);
    }
    through(moments, Some(Arc::new(Postgres::start()))).await.report("F12", "postgresql");
}
