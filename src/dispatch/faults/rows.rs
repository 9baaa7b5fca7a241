//! Single rows of faults, each with what must happen.

use std::time::Duration;

use backend::{
    Architecture, BackendError, IntentTag, MachineSpec, StopMethod,
    simulator::{Behaviour, Delays, Fault, Operation},
};
use uuid::Uuid;

use super::{
    Tally,
    orders::a_while,
    world::{Setting, World},
};
use crate::{
    dispatch::{Policy, PowerAction, policy, standing},
    store::{entity::EntityState, reservation, saga},
};

fn slow_boot(boot: Duration) -> Setting {
    let delays = Delays { boot, ..Delays::default() };
    Setting { behaviour: Behaviour { delays, idempotent_create: false, ..Behaviour::default() }, ..Setting::default() }
}

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

async fn done(world: World, row: &str) {
    let mut tally = Tally::default();
    tally.add(&world.check().await);
    tally.report(row, "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_a_site_that_refuses_connections_concerns_no_other() {
    let mut world = World::new(Setting { sites: vec!["dead", "well"], ..Setting::default() }).await;
    world.simulator_of("dead").refuse_connections(true);
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(world.order_machine_at("dead").await);
    }
    for _ in 0..10 {
        let id = world.order_machine_at("well").await;
        world.await_state(id, EntityState::Active).await;
    }
    // The breaker opens, and what is told says why and that it goes on.
    let told = world
        .await_entity(waiting[0], |found| {
            found.and_then(|found| found.state_message.as_ref()).is_some_and(|words| words.contains("not asked again"))
        })
        .await
        .unwrap();
    assert_eq!(told.state, EntityState::Inactive);
    let calls = world.simulator_of("dead").total_calls();
    a_while(1500).await;
    assert!(world.simulator_of("dead").total_calls() - calls < 10, "an open breaker keeps calls away");
    world.simulator_of("dead").refuse_connections(false);
    for id in waiting {
        world.await_state(id, EntityState::Active).await;
    }
    done(world, "F1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_f5_f6_an_answer_that_is_lost_or_wrong_makes_one_machine() {
    let unreachable = || BackendError::Unreachable("503".into());
    let failed = || BackendError::Failed("500".into());
    let faults = [
        ("F4", Fault::AnswerLost, 1),
        ("F5", Fault::After(unreachable()), 1),
        ("F5", Fault::After(failed()), 1),
        ("F6", Fault::Before(failed()), 1),
        ("F6", Fault::Before(unreachable()), 2),
    ];
    for (row, fault, times) in faults {
        for lag in [0, 300] {
            let listing_lag = Duration::from_millis(lag);
            let behaviour = Behaviour { listing_lag, idempotent_create: false, ..Behaviour::default() };
            let mut world = World::new(Setting { behaviour, ..Setting::default() }).await;
            for operation in [Operation::Create, Operation::CreateVolume, Operation::CreateNetwork] {
                world.simulator().inject(operation, fault.clone(), times);
            }
            let ids = [world.order_machine().await, world.order_volume().await, world.order_network().await];
            world.settle().await;
            for id in ids {
                let entity = world.find(id).await.unwrap();
                assert_ne!(entity.state, EntityState::Error, "{row}: {:?}", entity.state_message);
            }
            assert_eq!(world.simulator().objects().len(), 3, "{row}");
            done(world, row).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_what_was_made_of_a_whole_is_unmade_backwards() {
    let mut world = World::new(Setting::default()).await;
    // Network and disk are made, the machine fails at its last step.
    world.simulator().inject(Operation::Machine, Fault::Before(BackendError::Refused("no boot".into())), 1);
    let desk = world.desk().await;
    world.settle().await;
    let machine = desk.machine;
    assert_eq!(world.find(machine).await.unwrap().state, EntityState::Error);
    let log = world.db.read(move |connection| saga::events(connection, machine)).await.unwrap();
    let undone: Vec<_> = log.iter().filter(|(_, event)| event == "undone").map(|(step, _)| step.as_str()).collect();
    assert_eq!(undone, ["boot", "create machine", "deliver image", ""]);
    assert_eq!(world.simulator().machine_count(), 0);
    for id in [desk.machine, desk.volume, desk.network] {
        world.remove(id).await;
    }
    world.settle().await;
    assert!(world.simulator().objects().is_empty(), "{:?}", world.simulator().objects());
    done(world, "F10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_an_undo_that_fails_stays_visible_and_goes_on() {
    let mut world = World::new(Setting::default()).await;
    world.simulator().inject(Operation::Machine, Fault::Before(BackendError::Refused("no boot".into())), 1);
    world.simulator().inject(Operation::Delete, Fault::Before(BackendError::Failed("stuck".into())), 4);
    let id = world.order_machine().await;
    let seen = world
        .await_entity(id, |found| {
            let words = found.and_then(|found| found.state_message.as_deref()).unwrap_or_default();
            words.contains("no boot") && words.contains("undoing") && words.contains("stuck")
        })
        .await;
    assert!(seen.is_some());
    let unfinished = world.unfinished().await;
    assert_eq!(unfinished.first().map(|saga| saga.state), Some(saga::SagaState::Unwinding));
    world.settle().await;
    assert_eq!(world.simulator().calls(Operation::Delete), 5);
    done(world, "F11").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_what_vanishes_is_shown_gone_and_its_share_is_free() {
    let mut world = World::new(Setting::default()).await;
    let (one, other) = (world.order_machine().await, world.order_machine().await);
    world.settle().await;
    world.simulator().vanish(world.tag(one).await);
    let gone = world.await_state(one, EntityState::Error).await;
    assert!(gone.state_message.unwrap().contains("vanished"));
    let usage = world.db.read(reservation::by_project).await.unwrap();
    assert_eq!(usage.iter().map(|(_, usage)| usage.machines).sum::<i64>(), 1);
    a_while(2500).await;
    let events = world.events(one).await;
    assert_eq!(events, ["entity.created", "entity.state", "entity.vanished", "entity.state"], "no storm");
    assert_eq!(world.find(other).await.unwrap().state, EntityState::Active);
    world.remove(one).await;
    done(world, "F23").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_what_nobody_asked_for_is_kept_apart_and_never_deleted() {
    let mut world = World::new(Setting::default()).await;
    let id = world.order_machine().await;
    world.settle().await;
    let tag = IntentTag(Uuid::now_v7());
    let spec = MachineSpec {
        tag,
        name: "stranger".into(),
        hostname: None,
        cores: 2,
        memory_mib: 128,
        disk_bytes: 4096,
        architecture: Architecture::X86_64,
        image: world.image,
        ssh_keys: Vec::new(),
        user_data: None,
        joins: backend::MachineJoins::default(),
    };
    world.simulator().appear(spec).unwrap();
    for _ in 0..400 {
        if !world.orphans().await.is_empty() {
            break;
        }
        a_while(20).await;
    }
    let orphans = world.orphans().await;
    assert_eq!(orphans.len(), 1, "listed once");
    assert_eq!((orphans[0].tag, orphans[0].kind.as_str()), (tag.0, "machine"));
    a_while(2500).await;
    assert_eq!(world.simulator().machine_count(), 2, "nothing is deleted");
    assert_eq!(world.simulator().calls(Operation::Delete), 0);
    assert_eq!(world.orphans().await[0].id, orphans[0].id, "and it stays the same one");
    // It goes by itself, and leaves the list some time afterwards; here it is enough that nothing else changes.
    world.simulator().vanish(tag);
    assert_eq!(world.find(id).await.unwrap().state, EntityState::Active);
    done(world, "F24").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_an_old_list_makes_nothing_gone() {
    let mut world = World::new(Setting::default()).await;
    world.simulator().remember_lists();
    let id = world.order_machine().await;
    world.settle().await;
    world.simulator().stale_lists(4);
    // Until all of them have been read, and one that is not stale.
    let lists = world.simulator().calls(Operation::Machines);
    while world.simulator().calls(Operation::Machines) < lists + 6 {
        assert_eq!(world.find(id).await.unwrap().state, EntityState::Active, "a false gone");
        a_while(20).await;
    }
    assert_eq!(world.events(id).await, ["entity.created", "entity.state"]);
    assert!(world.orphans().await.is_empty());
    done(world, "F25").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f26_a_machine_that_flaps_makes_few_events() {
    let mut world = World::new(Setting::default()).await;
    let id = world.order_machine().await;
    world.settle().await;
    world.simulator().machine_flaps(world.tag(id).await, Duration::from_millis(700));
    let lists = world.simulator().calls(Operation::Machines);
    while world.simulator().calls(Operation::Machines) < lists + 10 {
        a_while(50).await;
    }
    let changes = world.events(id).await.into_iter().filter(|kind| kind == "entity.state").count();
    assert!(changes <= 4, "{changes} changes");
    done(world, "F26").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f27_revoked_credentials_are_told_and_not_tried_in_a_storm() {
    let mut world = World::new(Setting::default()).await;
    world.simulator().revoke_credentials(true);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.order_machine().await);
    }
    world
        .await_entity(ids[0], |found| {
            found.and_then(|found| found.state_message.as_deref()).is_some_and(|words| words.contains("credentials"))
        })
        .await;
    let calls = world.simulator().total_calls();
    a_while(3000).await;
    assert!(world.simulator().total_calls() - calls <= 2, "one try for a pause of half a minute and more");
    // The pause before the next try is long by design; an operator who has renewed them starts the broker anew.
    world.simulator().revoke_credentials(false);
    world.restart_with(Policy::default()).await;
    for id in &ids {
        world.await_state(*id, EntityState::Active).await;
    }
    done(world, "F27").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_an_internal_request_passes_a_full_queue() {
    let mut world = World::new(Setting {
        policy: policy("create: active < 4 - 25 %\nremove: active < 4 - 25 %"),
        ..slow_boot(Duration::from_secs(3600))
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(world.order_machine().await);
    }
    for _ in 0..500 {
        if world.simulator().machine_count() == 3 {
            break;
        }
        a_while(10).await;
    }
    a_while(700).await;
    assert_eq!(world.simulator().machine_count(), 3, "what is in reserve is not for clients");
    // A create of the system's own: the same order, planned internally.
    let internal = world.order_internally().await;
    world.await_entity(internal, |found| found.is_some_and(|found| found.backend_id.is_some())).await;
    assert_eq!(world.simulator().machine_count(), 4, "it passes those who wait");
    ids.push(internal);
    for id in ids {
        world.remove(id).await;
    }
    done(world, "F37").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f38_what_has_waited_past_its_time_is_never_dispatched() {
    let mut world = World::new(Setting {
        policy: policy("create: active < 1\ncreate: waited < 1 s"),
        ..slow_boot(Duration::from_secs(3))
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.order_machine().await);
    }
    world.settle().await;
    let mut made = 0;
    for id in ids {
        let entity = world.find(id).await.unwrap();
        match entity.state {
            EntityState::Active => made += 1,
            _ => assert!(entity.state_message.unwrap().contains("waited"), "told why"),
        }
    }
    assert_eq!(world.simulator().calls(Operation::Create), made, "nothing that expired was asked for");
    assert!((1..6).contains(&made), "{made}");
    done(world, "F38").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f39_cancelled_while_waiting_or_running_leaves_nothing() {
    let mut world =
        World::new(Setting { policy: policy("create: active < 1"), ..slow_boot(Duration::from_secs(3600)) }).await;
    let (running, waiting) = (world.order_machine().await, world.order_machine().await);
    world.await_entity(running, |found| found.is_some_and(|found| found.backend_id.is_some())).await;
    let told = world.db.read(move |connection| standing(connection, waiting)).await.unwrap().unwrap();
    assert!(told.contains("waiting for its turn at site lab") && told.contains("as the next"), "{told}");
    let calls = world.simulator().calls(Operation::Create);
    world.remove(waiting).await;
    assert!(world.find(waiting).await.is_none(), "what has not begun is gone at once");
    world.remove(running).await;
    world.settle().await;
    assert!(world.find(running).await.is_none());
    assert_eq!((world.simulator().machine_count(), world.simulator().calls(Operation::Create)), (0, calls));
    done(world, "F39").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_one_malformed_object_spoils_no_list() {
    let mut world = World::new(Setting::default()).await;
    let (sound, garbled) = (world.order_machine().await, world.order_machine().await);
    world.settle().await;
    world.simulator().spoil_lists(1);
    world.simulator().garble(world.tag(garbled).await, true);
    assert!(world.act(sound, PowerAction::Stop(StopMethod::PowerOff)).await);
    world.await_state(sound, EntityState::Inactive).await;
    world.simulator().guest_powers_off(world.tag(sound).await);
    let lists = world.simulator().calls(Operation::Machines);
    while world.simulator().calls(Operation::Machines) < lists + 5 {
        a_while(50).await;
    }
    assert_eq!(world.find(garbled).await.unwrap().state, EntityState::Active, "unreadable is not gone");
    assert!(world.orphans().await.is_empty());
    done(world, "F45").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pacing_holds_whatever_is_waiting() {
    let mut world =
        World::new(Setting { policy: policy("create: active < 4"), ..slow_boot(Duration::from_millis(30)) }).await;
    for _ in 0..40 {
        world.order_machine().await;
    }
    world.settle().await;
    assert!(world.simulator().most_at_once(Operation::Create) <= 4);
    assert_eq!(world.simulator().machine_count(), 40);
    let full = world.dispatch.admit("lab", policy::Operation::Create);
    assert!(full.is_ok(), "nothing waits any more");
    done(world, "pacing").await;
}
