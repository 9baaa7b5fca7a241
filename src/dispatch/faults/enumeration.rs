//! F12 and F13: every step of every saga, done and undone, interrupted at every moment and done twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backend::{
    BackendError, SaveMethod, StopMethod,
    simulator::{Fault, Operation},
};
use marketplace::ApplianceDraft;
use tokio::sync::Semaphore;

use super::{
    Tally,
    world::{Setting, World, moments},
};
use crate::{
    dispatch::{Change, PowerAction, SaveOrder, saga::Moment},
    store::{entity::EntityState, tests::postgres::Postgres},
};

/// How many worlds run at once.
const AT_ONCE: usize = 8;

/// The sagas, as the engine has them.
const SAGAS: [(&str, &[&str]); 7] = [
    ("change", &["ask", "arrive"]),
    ("link", &["join"]),
    ("make", &["create", "arrive"]),
    ("power", &["ask", "arrive"]),
    ("provision", &["deliver image", "create machine", "boot"]),
    ("removal", &["remove machine"]),
    ("save", &["save disk"]),
];

/// Lets one saga of this name run; its last step fails for good if it is to be undone.
async fn trigger(world: &mut World, saga: &str, undoing: bool) {
    let simulator = world.simulator().clone();
    let fail = |operation| {
        if undoing {
            simulator.inject(operation, Fault::Before(BackendError::Refused("not this time".into())), 1);
        }
    };
    match saga {
        "provision" => {
            fail(Operation::Machine);
            world.order_machine().await;
        }
        "make" => {
            fail(Operation::Volume);
            world.order_volume().await;
        }
        "link" => {
            fail(Operation::Attach);
            let (machine, volume) = (world.order_machine().await, world.order_volume().await);
            world.order_link(machine, volume).await.unwrap();
        }
        "power" => {
            let machine = world.order_machine().await;
            world.await_state(machine, EntityState::Active).await;
            fail(Operation::Machine);
            assert!(world.act(machine, PowerAction::Stop(StopMethod::PowerOff)).await);
        }
        "change" => {
            let volume = world.order_volume().await;
            world.await_entity(volume, |found| found.is_some_and(|found| found.state_message.is_none())).await;
            fail(Operation::Volume);
            assert!(world.change(volume, Change::Online).await);
        }
        "save" => {
            let machine = world.order_machine().await;
            world.await_state(machine, EntityState::Active).await;
            fail(Operation::Save);
            let (planner, project) = (world.dispatch.planner(), world.project);
            let order = SaveOrder {
                method: SaveMethod::Hot,
                appliance: ApplianceDraft {
                    name: format!("saved-{}", &project.0.simple().to_string()[20..]),
                    title: "Saved".into(),
                    description: String::new(),
                    publisher: "this project".into(),
                },
                state: EntityState::Active.as_str().to_owned(),
            };
            let entity = world.find(machine).await.unwrap();
            world.db.write(move |connection| planner.plan_save(connection, &entity, &order)).await.unwrap();
            world.dispatch.wake("lab", crate::dispatch::policy::Operation::Save);
        }
        "removal" => {
            let machine = world.order_machine().await;
            world.await_state(machine, EntityState::Active).await;
            world.remove(machine).await;
        }
        other => panic!("nobody knows how to let {other} run"),
    }
}

/// A removal is never undone, and everything else may be.
fn all_moments() -> Vec<Moment> {
    let ways = SAGAS.iter().flat_map(|(saga, steps)| [(saga, steps, false), (saga, steps, true)]);
    ways.filter(|(saga, _, undoing)| !undoing || **saga != "removal")
        .flat_map(|(saga, steps, undoing)| moments(saga, steps, undoing))
        .collect()
}

async fn dies_at(setting: Setting, moment: Moment) -> Tally {
    let mut world = World::new(setting).await;
    world.death.at(&moment);
    let name = moment.name();
    // Whatever a story has to wait for may be what dies.
    let death = world.death.clone();
    let story = async {
        trigger(&mut world, &moment.saga, moment.undoing).await;
        world
    };
    let mut world = story.await;
    tokio::time::timeout(Duration::from_secs(60), death.comes()).await.unwrap_or_else(|_| panic!("{name} never comes"));
    world.kill().await;
    world.check().await
}

async fn every_moment(databases: Option<&Postgres>) -> Tally {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut worlds = tokio::task::JoinSet::new();
    for (number, moment) in all_moments().into_iter().enumerate() {
        let database =
            databases.map(|postgres| tokio::task::block_in_place(|| postgres.make_store(&format!("moment_{number}"))));
        let turns = Arc::clone(&turns);
        worlds.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            dies_at(Setting { database, ..Setting::default() }, moment).await
        });
    }
    let mut tally = Tally::default();
    while let Some(world) = worlds.join_next().await {
        tally.add(&world.unwrap());
    }
    assert_eq!(tally.kills, all_moments().len());
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_killed_at_every_moment_of_every_saga_on_sqlite() {
    every_moment(None).await.report("F12", "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_killed_at_every_moment_of_every_saga_on_postgresql() {
    let postgres = Postgres::start();
    tokio::task::block_in_place(|| postgres.await_start());
    every_moment(Some(&postgres)).await.report("F12", "postgresql");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_enumeration_knows_every_step_of_every_saga() {
    let mut world = World::new(Setting::default()).await;
    let known: BTreeMap<_, _> = SAGAS.into_iter().collect();
    assert_eq!(world.dispatch.steps(), known);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_every_step_and_every_undo_twice() {
    let mut tally = Tally::default();
    for (saga, _) in SAGAS {
        for undoing in [false, true] {
            if undoing && saga == "removal" {
                continue;
            }
            let mut world = World::new(Setting { twice: true, ..Setting::default() }).await;
            trigger(&mut world, saga, undoing).await;
            world.settle().await;
            tally.add(&world.check().await);
        }
    }
    tally.report("F13", "sqlite");
}
