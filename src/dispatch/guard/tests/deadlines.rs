//! Rows F2 and F3 of the fault table: a call that hangs or crawls comes to an end.

use std::{io, net::IpAddr, time::Duration};

use backend::{
    AddressId, AddressSpec, Addresses, AttachmentSpec, Backend, BackendError, ConsoleKind, CopyPurpose, Events,
    ImageSource, IntentTag, InterfaceSpec, InterfaceTarget, MachineSize, MachineSpec, NetworkId, NetworkSpec, Networks,
    RestartMethod, SaveMethod, SecurityGroupId, SecurityGroupSpec, SecurityGroups, SnapshotId, Snapshots, StopMethod,
    SuspendMethod, VolumeId, VolumeSpec, Volumes,
    simulator::{Behaviour, Fault, Operation, Simulator},
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::{StreamExt, future::BoxFuture, stream};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use super::{
    super::{
        Guarded,
        call::Call,
        movement::{Movement, STANDSTILL, WatchedSource, moving},
    },
    guarded, machine_id, offer,
    recorder::Kept,
};

type Outcome = Result<(), BackendError>;

fn tag() -> IntentTag {
    IntentTag(Uuid::from_u128(1))
}

fn machine_spec() -> MachineSpec {
    MachineSpec {
        tag: tag(),
        name: "one".into(),
        hostname: None,
        cores: 1,
        memory_mib: 64,
        disk_bytes: 4096,
        architecture: backend::Architecture::X86_64,
        image: offer(1, Duration::ZERO).digest,
        ssh_keys: Vec::new(),
        user_data: None,
        joins: backend::MachineJoins::default(),
    }
}

/// Makes the call, whatever it answers.
fn make<'a>(call: Call, to: &'a Guarded) -> BoxFuture<'a, Outcome> {
    macro_rules! made {
        ($part:ident, $method:ident, $($argument:expr),*) => {
            Box::pin(async move { $part::$method(to $(, $argument)*).await.map(drop) })
        };
    }
    let address: AddressId = "a".parse().unwrap();
    let (volume, network): (VolumeId, NetworkId) = ("v".parse().unwrap(), "n".parse().unwrap());
    let (group, machine): (SecurityGroupId, _) = ("g".parse().unwrap(), machine_id());
    let volume_spec = VolumeSpec { tag: tag(), name: "v".into(), size_bytes: 512 };
    let network_spec = NetworkSpec { tag: tag(), name: "n".into(), vlan: None, label: None, subnet: None };
    let attachment = AttachmentSpec { tag: tag(), volume: volume.clone(), device: None };
    let target = InterfaceTarget::Network(network.clone());
    let interface = InterfaceSpec { tag: tag(), target, mac: None, address: None };
    let wanted: Option<IpAddr> = None;
    let address_spec = AddressSpec { tag: tag(), wanted };
    let group_spec = SecurityGroupSpec { tag: tag(), name: "g".into(), rules: Vec::new() };
    let (snapshot, digest): (SnapshotId, _) = ("s".parse().unwrap(), ContentDigest::from_bytes([1; 32]));
    let size = MachineSize { cores: 1, memory_mib: 64, disk_bytes: 4096 };
    match call {
        Call::Describe => made!(Backend, describe,),
        Call::ProvideImage => made!(Backend, provide_image, &offer(1, Duration::ZERO), &|_| ()),
        Call::Create => made!(Backend, create, &machine_spec()),
        Call::Machine => made!(Backend, machine, &machine),
        Call::MachineAtRest => made!(Backend, machine_at_rest, &machine, Duration::from_secs(1)),
        Call::FindByTag => made!(Backend, find_by_tag, tag()),
        Call::Machines => made!(Backend, machines,),
        Call::Start => made!(Backend, start, &machine),
        Call::Stop => made!(Backend, stop, &machine, StopMethod::Graceful),
        Call::Restart => made!(Backend, restart, &machine, RestartMethod::Cold),
        Call::Suspend => made!(Backend, suspend, &machine, SuspendMethod::Suspend),
        Call::Resize => made!(Backend, resize, &machine, &size),
        Call::Save => made!(Backend, save, &machine, SaveMethod::Hot),
        Call::FindImage => made!(Backend, find_image, &digest),
        Call::DeleteImage => made!(Backend, delete_image, &digest),
        Call::Console => made!(Backend, console, &machine, ConsoleKind::Vnc),
        Call::Quota => made!(Backend, quota,),
        Call::TakeSnapshot => made!(Snapshots, take, &machine, tag()),
        Call::Snapshots => made!(Snapshots, snapshots, &machine),
        Call::RevertSnapshot => made!(Snapshots, revert, &machine, &snapshot),
        Call::RemoveSnapshot => made!(Snapshots, remove, &machine, &snapshot),
        Call::FollowEvents => made!(Events, follow,),
        Call::Delete => made!(Backend, delete, &machine),
        Call::CreateVolume => made!(Volumes, create, &volume_spec),
        Call::Volume => made!(Volumes, volume, &volume),
        Call::FindVolumeByTag => made!(Volumes, find_by_tag, tag()),
        Call::Volumes => made!(Volumes, volumes,),
        Call::SetVolumeOnline => made!(Volumes, set_online, &volume, true),
        Call::ResizeVolume => made!(Volumes, resize, &volume, 1024),
        Call::CopyVolume => made!(Volumes, copy, &volume, CopyPurpose::Backup, tag()),
        Call::DeleteVolume => made!(Volumes, delete, &volume),
        Call::Attach => made!(Volumes, attach, &machine, &attachment),
        Call::Detach => made!(Volumes, detach, &machine, tag()),
        Call::CreateNetwork => made!(Networks, create, &network_spec),
        Call::Network => made!(Networks, network, &network),
        Call::FindNetworkByTag => made!(Networks, find_by_tag, tag()),
        Call::Networks => made!(Networks, networks,),
        Call::SetNetworkUp => made!(Networks, set_up, &network, true),
        Call::ChangeNetwork => made!(Networks, change, &network, &network_spec),
        Call::DeleteNetwork => made!(Networks, delete, &network),
        Call::Plug => made!(Networks, plug, &machine, &interface),
        Call::Unplug => made!(Networks, unplug, &machine, tag()),
        Call::ReserveAddress => made!(Addresses, reserve, &address_spec),
        Call::Address => made!(Addresses, address, &address),
        Call::FindAddressByTag => made!(Addresses, find_by_tag, tag()),
        Call::ReleaseAddress => made!(Addresses, release, &address),
        Call::CreateSecurityGroup => made!(SecurityGroups, create, &group_spec),
        Call::SecurityGroup => made!(SecurityGroups, group, &group),
        Call::FindSecurityGroupByTag => made!(SecurityGroups, find_by_tag, tag()),
        Call::ChangeSecurityGroup => made!(SecurityGroups, change, &group, &[]),
        Call::DeleteSecurityGroup => made!(SecurityGroups, delete, &group),
        Call::ApplySecurityGroup => made!(SecurityGroups, apply, &machine, &group),
        Call::LiftSecurityGroup => made!(SecurityGroups, lift, &machine, &group),
    }
}

fn hanging() -> Simulator {
    let mut behaviour = Behaviour::default();
    behaviour.delays.call = Duration::from_secs(30 * 24 * 3600);
    Simulator::new(behaviour)
}

#[tokio::test(start_paused = true)]
async fn f2_every_call_that_hangs_ends_and_is_measured_under_its_own_name() {
    let names: std::collections::BTreeSet<_> = Call::ALL.iter().map(|call| call.as_str()).collect();
    assert_eq!(names.len(), Call::ALL.len());
    for call in Call::ALL.iter().copied() {
        let kept = Kept::default();
        let recording = metrics::set_default_local_recorder(&kept);
        let guarded = guarded("lab", &hanging());
        let error = make(call, &guarded).await.unwrap_err();
        drop(recording);
        assert!(matches!(error, BackendError::Unreachable(_)), "{call:?}: {error}");
        let measured = format!("tombolo_backend_call_seconds{{site=lab,call={},outcome=unreachable}}", call.as_str());
        let bound = call.deadline().unwrap_or(STANDSTILL).as_secs_f64();
        let took = kept.values(&measured);
        assert!(took.len() == 1 && took[0] >= bound && took[0] < bound + 0.1, "{call:?} took {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f3_workers_at_a_hanging_backend_are_free_again_and_no_more_go_there() {
    let simulator = hanging();
    let guarded = std::sync::Arc::new(guarded("lab", &simulator));
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let guarded = std::sync::Arc::clone(&guarded);
        workers.spawn(async move { Backend::create(&*guarded, &machine_spec()).await });
    }
    let began = Instant::now();
    while let Some(ended) = workers.join_next().await {
        assert!(ended.unwrap().unwrap_err().is_transient());
    }
    assert!(began.elapsed() <= Duration::from_secs(121));
    Backend::create(&*guarded, &machine_spec()).await.unwrap_err();
    assert_eq!(simulator.calls(Operation::Create), 64);
}

#[tokio::test(start_paused = true)]
async fn f3_a_slow_image_goes_on_as_long_as_it_moves() {
    let guarded = guarded("lab", &Simulator::default());
    let slow = STANDSTILL - Duration::from_secs(1);
    guarded.provide_image(&offer(50, slow), &|_| ()).await.unwrap();
    let error = guarded.provide_image(&other_offer(slow * 2), &|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("nothing has moved for 120 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn f3_a_backend_that_is_silent_moves_by_what_it_takes() {
    let movement = Movement::new();
    let slow = offer(5, STANDSTILL - Duration::from_secs(1));
    let watched = WatchedSource { source: slow.source, movement: movement.clone() };
    let take_all = async { Ok(watched.stream().count().await) };
    assert_eq!(movement.bounds(take_all).await, Ok(5));
    // To say the same again and again is no movement.
    let repeat = async {
        for _ in 0..20 {
            movement.reached(7);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Ok(())
    };
    assert!(matches!(movement.bounds(repeat).await, Err(BackendError::Unreachable(_))));
}

fn other_offer(pause: Duration) -> backend::ImageOffer {
    let digest = "1".repeat(64).parse().unwrap();
    backend::ImageOffer { digest, ..offer(3, pause) }
}

#[tokio::test(start_paused = true)]
async fn f3_an_image_whose_bytes_are_all_there_is_not_waited_for_without_end() {
    let mut behaviour = Behaviour::default();
    behaviour.delays.image = Duration::from_secs(3600);
    let guarded = guarded("lab", &Simulator::new(behaviour));
    let heard = std::sync::atomic::AtomicU64::new(0);
    let progress = |bytes| heard.store(bytes, std::sync::atomic::Ordering::Relaxed);
    let error = guarded.provide_image(&offer(3, Duration::ZERO), &progress).await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable(_)), "{error}");
    assert_eq!(heard.into_inner(), 3 * super::CHUNK as u64);
}

#[tokio::test(start_paused = true)]
async fn f3_a_saved_disk_comes_as_it_is_or_ends_with_an_error() {
    let chunks = |pauses: Vec<u64>| {
        stream::iter(pauses)
            .then(|pause| async move {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                io::Result::Ok(Bytes::from(pause.to_string()))
            })
            .boxed()
    };
    let read = |pauses: Vec<u64>| moving(chunks(pauses)).map(|chunk| chunk.map_err(|error| error.kind())).collect();
    let ok = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
    let all: Vec<_> = read(vec![0, 119, 119]).await;
    assert_eq!(all, [ok("0"), ok("119"), ok("119")]);
    let cut: Vec<_> = read(vec![1, 121, 1]).await;
    assert_eq!(cut, [ok("1"), Err(io::ErrorKind::TimedOut)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_the_breaker_as_it_was() {
    let simulator = Simulator::default();
    simulator.inject(Operation::Machines, Fault::Hang, 20);
    let guarded = guarded("lab", &simulator);
    let before = guarded.breaker();
    for _ in 0..20 {
        let outcome = tokio::time::timeout(Duration::from_secs(1), guarded.machines()).await;
        assert!(outcome.is_err());
    }
    assert_eq!(guarded.breaker(), before);
    guarded.machines().await.unwrap();
}
