//! Faults between the adapter and a real OpenStack.

use backend::{Architecture, Backend, BackendError, IntentTag, MachineJoins, MachineSpec, VolumeSpec, VolumeState};
use fault_proxy::{Answer, Fault, FaultProxy, Times, Which};
use openstack_adapter::OpenStackBackend;

use crate::real::{by_application_credential, image, real};

fn spec() -> MachineSpec {
    let image = image();
    MachineSpec {
        tag: IntentTag(uuid::Uuid::now_v7()),
        name: "fault rows".into(),
        hostname: None,
        cores: 1,
        memory_mib: 64,
        disk_bytes: image.size,
        architecture: Architecture::X86_64,
        image: image.digest,
        ssh_keys: Vec::new(),
        user_data: None,
        joins: MachineJoins::default(),
    }
}

fn creates() -> Which {
    Which::of("POST").path_ending("/servers")
}

/// The adapter behind a proxy that does as it is told.
macro_rules! behind_a_proxy {
    () => {{
        let environment = real!();
        let proxy = FaultProxy::forward().await.unwrap();
        let mut options = by_application_credential(&environment);
        options.proxy = Some(proxy.url().parse().unwrap());
        (proxy, OpenStackBackend::new(options).unwrap())
    }};
}

async fn is_one(backend: &OpenStackBackend, tag: IntentTag) {
    let listing = backend.machines().await.unwrap();
    let ours: Vec<_> = listing.objects.iter().filter(|machine| machine.tag == tag).collect();
    assert_eq!(ours.len(), 1, "machines with one tag");
    backend.delete(&ours[0].id).await.unwrap();
    assert_eq!(backend.find_by_tag(tag).await.unwrap(), None);
}

#[tokio::test]
async fn f4_f5_f6_a_create_that_goes_wrong_makes_one_machine() {
    let (proxy, backend) = behind_a_proxy!();
    backend.provide_image(&image(), &|_| ()).await.unwrap();
    for fault in [Fault::LoseAnswer, Fault::Replace(Answer::trouble(503)), Fault::Truncate(10)] {
        let wanted = spec();
        proxy.order(creates(), fault.clone(), Times::Next(1));
        let made = backend.create(&wanted).await;
        assert!(made.as_ref().is_ok_and(|machine| machine.tag == wanted.tag), "{fault:?}: {made:?}");
        assert_eq!(proxy.orders_left(), 0, "{fault:?}");
        is_one(&backend, wanted.tag).await;
    }
    for fault in [Fault::Refuse(Answer::trouble(500)), Fault::Cut] {
        let wanted = spec();
        proxy.order(creates(), fault.clone(), Times::Next(1));
        assert!(matches!(backend.create(&wanted).await, Err(BackendError::Unreachable(_))), "{fault:?}");
        assert_eq!(backend.find_by_tag(wanted.tag).await.unwrap(), None);
        assert_eq!(backend.create(&wanted).await.unwrap().tag, wanted.tag);
        is_one(&backend, wanted.tag).await;
    }
}

#[tokio::test]
async fn f4_a_volume_whose_answer_is_lost_is_found_again() {
    let (proxy, backend) = behind_a_proxy!();
    let wanted = VolumeSpec { tag: IntentTag(uuid::Uuid::now_v7()), name: "fault rows".into(), size_bytes: 1 << 20 };
    let volumes = backend.volumes().unwrap();
    proxy.order(Which::of("POST").path_ending("/volumes"), Fault::LoseAnswer, Times::Next(1));
    assert!(matches!(volumes.create(&wanted).await, Err(BackendError::Unreachable(_))));
    let volume = volumes.create(&wanted).await.unwrap();
    let all = volumes.volumes().await.unwrap();
    assert_eq!(all.objects.iter().filter(|other| other.tag == wanted.tag).count(), 1);
    while volumes.volume(&volume.id).await.unwrap().state == VolumeState::Building {}
    volumes.delete(&volume.id).await.unwrap();
}

#[tokio::test]
async fn f1_a_refused_connection_is_unreachable_and_heals() {
    let (proxy, backend) = behind_a_proxy!();
    backend.machines().await.unwrap();
    proxy.refuse_connections().await.unwrap();
    assert!(matches!(backend.machines().await, Err(BackendError::Unreachable(_))));
    proxy.heal().await.unwrap();
    backend.machines().await.unwrap();
}

#[tokio::test]
async fn f27_revoked_credentials_are_tried_once() {
    let (proxy, backend) = behind_a_proxy!();
    backend.machines().await.unwrap();
    let logins = Which::of("POST").path_ending("/auth/tokens");
    proxy.forget();
    proxy.order(Which::any(), Fault::Refuse(Answer::trouble(401)), Times::Always);
    for _ in 0..5 {
        assert!(matches!(backend.machines().await, Err(BackendError::Unauthorized(_))));
    }
    assert_eq!(proxy.count(&logins), 1);
}

#[tokio::test]
async fn f45_one_malformed_machine_does_not_hide_the_others() {
    let (proxy, backend) = behind_a_proxy!();
    backend.provide_image(&image(), &|_| ()).await.unwrap();
    let wanted = spec();
    let machine = backend.create(&wanted).await.unwrap();
    let spoil = |body: Vec<u8>| {
        let mut spoilt = b"{\"servers\": [{\"id\": \"\xff\"}, {\"id\": NaN}, ".to_vec();
        spoilt.extend(body.strip_prefix(b"{\"servers\": [").expect("a list of servers"));
        spoilt
    };
    proxy.order(Which::of("GET").to("/servers/detail?tags=tombolo&"), Fault::body(spoil), Times::Next(1));
    let listing = backend.machines().await.unwrap();
    assert_eq!(listing.unreadable_count(), 2);
    assert!(listing.objects.iter().any(|other| other.id == machine.id));
    backend.delete(&machine.id).await.unwrap();
}
