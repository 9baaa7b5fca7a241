use std::time::Duration;

use backend::{
    Backend, BackendError, ImageOffer, MachineSize, MachineSpec, MachineState, SaveMethod, SavedDisk, StopMethod,
    SuspendMethod,
    simulator::{Behaviour, Delays, Simulator},
};
use futures_util::TryStreamExt;
use tokio::time::{Instant, sleep};

use crate::{machine, offer, spec, tag};

fn slow() -> Simulator {
    let delays = Delays {
        boot: Duration::from_secs(10),
        stop: Duration::from_secs(10),
        suspend: Duration::from_secs(10),
        ..Delays::default()
    };
    Simulator::new(Behaviour { delays, ..Behaviour::default() })
}

async fn after(simulator: &Simulator, seconds: u64, id: &backend::MachineId) -> MachineState {
    sleep(Duration::from_secs(seconds)).await;
    simulator.machine(id).await.unwrap().state
}

async fn bytes(disk: SavedDisk) -> Vec<u8> {
    disk.bytes.try_fold(Vec::new(), |all, chunk| async move { Ok([all, chunk.to_vec()].concat()) }).await.unwrap()
}

#[tokio::test]
async fn an_image_of_another_length_is_refused() {
    let simulator = Simulator::default();
    let lie = ImageOffer { size: 1024, ..offer(512) };
    assert!(matches!(simulator.provide_image(&lie, &|_| {}).await, Err(BackendError::Failed(_))));
    assert!(!simulator.holds_image(&lie.digest));
}

#[tokio::test(start_paused = true)]
async fn a_guest_may_switch_off_and_a_machine_fail_or_vanish() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    let spec = spec();
    let machine = simulator.create(&spec).await.unwrap();
    simulator.guest_powers_off(spec.tag);
    assert_eq!(simulator.machine(&machine.id).await.unwrap().state, MachineState::Stopped);
    simulator.machine_fails(spec.tag, "the disk is broken");
    let facts = simulator.machine(&machine.id).await.unwrap();
    assert_eq!((facts.state, facts.detail.as_deref()), (MachineState::Failed, Some("the disk is broken")));
    simulator.vanish(spec.tag);
    assert!(matches!(simulator.machine(&machine.id).await, Err(BackendError::NotFound(_))));
}

#[tokio::test]
async fn a_machine_without_cores_or_memory_is_refused() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    for wrong in [MachineSpec { cores: 0, ..spec() }, MachineSpec { memory_mib: 0, ..spec() }] {
        assert!(matches!(simulator.create(&wrong).await, Err(BackendError::Refused(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn states_arrive_by_the_clock() {
    let simulator = slow();
    let id = machine(&simulator).await;
    assert_eq!(after(&simulator, 9, &id).await, MachineState::Building);
    assert_eq!(after(&simulator, 1, &id).await, MachineState::Running);

    simulator.suspend(&id, SuspendMethod::Suspend).await.unwrap();
    assert_eq!(after(&simulator, 9, &id).await, MachineState::Running);
    assert_eq!(after(&simulator, 1, &id).await, MachineState::Suspended);
    simulator.start(&id).await.unwrap();
    assert_eq!(after(&simulator, 10, &id).await, MachineState::Running);

    simulator.stop(&id, StopMethod::Graceful).await.unwrap();
    assert_eq!(after(&simulator, 6, &id).await, MachineState::Stopping);
    // Asking again does not put it off.
    simulator.stop(&id, StopMethod::Graceful).await.unwrap();
    assert_eq!(after(&simulator, 4, &id).await, MachineState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn power_off_cuts_a_graceful_stop_short() {
    let simulator = slow();
    let id = machine(&simulator).await;
    simulator.stop(&id, StopMethod::Graceful).await.unwrap();
    simulator.stop(&id, StopMethod::PowerOff).await.unwrap();
    assert_eq!(after(&simulator, 0, &id).await, MachineState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn resize_restarts_only_what_runs_and_changes() {
    let simulator = slow();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    let spec = spec();
    let id = simulator.create(&spec).await.unwrap().id;
    assert_eq!(after(&simulator, 10, &id).await, MachineState::Running);
    let same = MachineSize { cores: 1, memory_mib: 128, disk_bytes: 512 };
    simulator.resize(&id, &same).await.unwrap();
    assert_eq!(after(&simulator, 0, &id).await, MachineState::Running);

    let larger = MachineSize { cores: 2, memory_mib: 256, disk_bytes: 1024 };
    simulator.resize(&id, &larger).await.unwrap();
    assert_eq!(after(&simulator, 0, &id).await, MachineState::Building);
    assert_eq!(after(&simulator, 10, &id).await, MachineState::Running);

    simulator.stop(&id, StopMethod::PowerOff).await.unwrap();
    simulator.resize(&id, &same).await.unwrap();
    assert_eq!(after(&simulator, 60, &id).await, MachineState::Stopped);
    let now = simulator.machine_spec(spec.tag).unwrap();
    assert_eq!((now.cores, now.memory_mib, now.disk_bytes), (1, 128, 1024), "a disk never shrinks");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_is_not_resized() {
    let simulator = Simulator::default();
    let id = machine(&simulator).await;
    simulator.suspend(&id, SuspendMethod::Hibernate).await.unwrap();
    let larger = MachineSize { cores: 2, memory_mib: 128, disk_bytes: 512 };
    assert!(matches!(simulator.resize(&id, &larger).await, Err(BackendError::Conflict(_))));
}

#[tokio::test]
async fn a_saved_disk_is_the_image_with_a_mark_and_twice_the_same() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(1500), &|_| {}).await.unwrap();
    let (one, other) = (spec(), spec());
    let id = simulator.create(&one).await.unwrap().id;
    let disk = simulator.save(&id, SaveMethod::Hot).await.unwrap();
    assert_eq!(disk.size, 1536, "whole sectors");
    let saved = bytes(disk).await;
    assert_eq!(saved[..1024], [7; 1024]);
    assert!(saved[1024..].starts_with(format!("saved from sim-{}", one.tag).as_bytes()));
    assert_eq!(saved[1500..], [0; 36]);
    assert_eq!(bytes(simulator.save(&id, SaveMethod::Hot).await.unwrap()).await, saved);
    let other = simulator.create(&other).await.unwrap().id;
    assert_ne!(bytes(simulator.save(&other, SaveMethod::Hot).await.unwrap()).await, saved, "another machine's");
}

#[tokio::test]
async fn an_image_that_is_too_large_to_keep_is_saved_as_zeros_in_small_chunks() {
    let simulator = Simulator::default();
    let size = (4 << 20) + 512;
    simulator.provide_image(&offer(size), &|_| {}).await.unwrap();
    let id = simulator.create(&spec()).await.unwrap().id;
    let disk = simulator.save(&id, SaveMethod::Hot).await.unwrap();
    let chunks: Vec<_> = disk.bytes.try_collect().await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 1 << 20));
    let all = chunks.concat();
    assert_eq!(all.len(), size);
    assert!(all[..4 << 20].iter().all(|byte| *byte == 0));
    assert!(all[4 << 20..].starts_with(b"saved from"));
}

#[tokio::test(start_paused = true)]
async fn a_deferred_save_switches_a_running_machine_off_and_on() {
    let simulator = slow();
    let id = machine(&simulator).await;
    assert!(matches!(simulator.save(&id, SaveMethod::Hot).await, Err(BackendError::Conflict(_))), "while it boots");
    assert_eq!(after(&simulator, 10, &id).await, MachineState::Running);
    simulator.save(&id, SaveMethod::Deferred).await.unwrap();
    assert_eq!(after(&simulator, 0, &id).await, MachineState::Building);
    assert_eq!(after(&simulator, 10, &id).await, MachineState::Running);
}

#[tokio::test]
async fn an_unknown_tag_finds_nothing() {
    assert_eq!(Simulator::default().find_by_tag(tag()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_when_a_machine_is_at_rest_or_patience_is_over() {
    let simulator = slow();
    let began = Instant::now();
    let id = machine(&simulator).await;
    for (patience, state, after) in
        [(3, MachineState::Building, 3), (60, MachineState::Running, 10), (60, MachineState::Running, 10)]
    {
        let seen = simulator.machine_at_rest(&id, Duration::from_secs(patience)).await.unwrap();
        // The clock of the test goes by milliseconds.
        assert_eq!((seen.state, began.elapsed().as_secs()), (state, after));
        assert!(began.elapsed().subsec_millis() < 10);
    }
}
