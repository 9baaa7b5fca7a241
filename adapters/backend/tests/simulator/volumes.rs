use std::time::Duration;

use backend::{
    AttachmentSpec, Backend, BackendError, CopyPurpose, VolumeId, VolumeSpec, VolumeState,
    simulator::{Behaviour, Delays, Simulator},
};
use tokio::time::sleep;

use crate::{machine, tag};

fn part(simulator: &Simulator) -> &dyn backend::Volumes {
    simulator.volumes().unwrap()
}

fn spec(size_bytes: u64) -> VolumeSpec {
    VolumeSpec { tag: tag(), name: "one".into(), size_bytes }
}

fn wish(volume: &VolumeId, device: Option<&str>) -> AttachmentSpec {
    AttachmentSpec { tag: tag(), volume: volume.clone(), device: device.map(str::to_owned) }
}

async fn device(simulator: &Simulator, machine: &backend::MachineId, wanted: Option<&str>) -> String {
    let volume = part(simulator).create(&spec(512)).await.unwrap().id;
    part(simulator).attach(machine, &wish(&volume, wanted)).await.unwrap().device
}

#[tokio::test]
async fn devices_are_honoured_when_they_are_some_and_free() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    for (wanted, given) in [
        (None, "/dev/vdb"),
        (Some("/dev/vdc"), "/dev/vdc"),
        (Some("/dev/vdc"), "/dev/vdd"),
        (Some("/dev/vda"), "/dev/vde"),
        (Some("/dev/sd1"), "/dev/sd1"),
        (Some("vdz"), "/dev/vdf"),
        (Some("/dev/../etc"), "/dev/vdg"),
        (Some("/dev/"), "/dev/vdh"),
        (Some("/dev/VDX"), "/dev/vdi"),
        (Some(&format!("/dev/{}", "a".repeat(33))), "/dev/vdj"),
    ] {
        assert_eq!(device(&simulator, &machine, wanted).await, given, "{wanted:?}");
    }
    for _ in 'k'..='z' {
        device(&simulator, &machine, None).await;
    }
    assert_eq!(device(&simulator, &machine, None).await, "/dev/vdaa");
}

#[tokio::test]
async fn sizes_that_no_disk_has_are_refused() {
    let simulator = Simulator::default();
    for size in [0, 1, 511, 513, (1 << 42) + 512, u64::MAX] {
        let answer = part(&simulator).create(&spec(size)).await;
        assert!(matches!(answer, Err(BackendError::Refused(_))), "{size}: {answer:?}");
    }
    let id = part(&simulator).create(&spec(1024)).await.unwrap().id;
    for size in [0, 512, 1025, u64::MAX] {
        let answer = part(&simulator).resize(&id, size).await;
        assert!(matches!(answer, Err(BackendError::Refused(_))), "{size}: {answer:?}");
    }
    assert_eq!(simulator.volume_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_busy_while_it_grows_and_comes_back_to_where_it_was() {
    let delays = Delays { volume: Duration::from_secs(10), ..Delays::default() };
    let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
    let volumes = part(&simulator);
    let id = volumes.create(&spec(512)).await.unwrap().id;
    let seen = async || {
        let volume = volumes.volume(&id).await.unwrap();
        (volume.state, volume.size_bytes)
    };
    assert_eq!(seen().await, (VolumeState::Building, 512));
    assert!(matches!(volumes.resize(&id, 1024).await, Err(BackendError::Conflict(_))));
    sleep(Duration::from_secs(10)).await;
    volumes.set_online(&id, false).await.unwrap();
    volumes.resize(&id, 1024).await.unwrap();
    assert_eq!(seen().await, (VolumeState::Busy, 512));
    volumes.resize(&id, 1024).await.unwrap();
    let copy = volumes.copy(&id, CopyPurpose::Backup, tag()).await;
    assert!(matches!(copy, Err(BackendError::Conflict(_))), "{copy:?}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(seen().await, (VolumeState::Offline, 1024));
}

#[tokio::test]
async fn copies_go_with_their_volume() {
    let simulator = Simulator::default();
    let volumes = part(&simulator);
    let id = volumes.create(&spec(512)).await.unwrap().id;
    let first = tag();
    for tag in [first, first, tag()] {
        volumes.copy(&id, CopyPurpose::Snapshot, tag).await.unwrap();
    }
    assert_eq!(simulator.copy_count(), 2);
    volumes.delete(&id).await.unwrap();
    assert_eq!((simulator.copy_count(), simulator.volume_count()), (0, 0));
}

#[tokio::test]
async fn a_volume_is_in_one_place_only() {
    let simulator = Simulator::default();
    let (one, other) = (machine(&simulator).await, machine(&simulator).await);
    let volumes = part(&simulator);
    let id = volumes.create(&spec(512)).await.unwrap().id;
    volumes.attach(&one, &wish(&id, None)).await.unwrap();
    for machine in [&one, &other] {
        let again = volumes.attach(machine, &wish(&id, None)).await;
        assert!(matches!(again, Err(BackendError::Conflict(_))), "{again:?}");
    }
    assert_eq!(simulator.attachment_count(), 1);
    simulator.delete(&one).await.unwrap();
    assert_eq!((simulator.attachment_count(), simulator.volume_count()), (0, 1));
    volumes.attach(&other, &wish(&id, None)).await.unwrap();
}

#[tokio::test]
async fn a_volume_may_fail_or_vanish() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let volumes = part(&simulator);
    let spec = spec(512);
    let id = volumes.create(&spec).await.unwrap().id;
    volumes.attach(&machine, &wish(&id, None)).await.unwrap();
    simulator.volume_fails(spec.tag, "no such disk");
    let facts = volumes.volume(&id).await.unwrap();
    assert_eq!((facts.state, facts.detail.as_deref()), (VolumeState::Failed, Some("no such disk")));
    assert!(matches!(volumes.set_online(&id, true).await, Err(BackendError::Conflict(_))));
    simulator.vanish_volume(spec.tag);
    assert!(matches!(volumes.volume(&id).await, Err(BackendError::NotFound(_))));
    assert_eq!((simulator.attachment_count(), simulator.volume_count()), (0, 0));
}

#[tokio::test]
async fn the_limit_of_a_volume_is_nought_where_there_are_none() {
    let parts = backend::simulator::Parts { volumes: false, ..Default::default() };
    let simulator = Simulator::new(Behaviour { parts, ..Behaviour::default() });
    assert!(simulator.volumes().is_none());
    assert_eq!(simulator.describe().await.unwrap().limits.volume_bytes, 0);
}
