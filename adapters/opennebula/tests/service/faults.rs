//! What the adapter makes of a service that fails.

use std::time::{Duration, Instant};

use backend::{
    Architecture, Backend, BackendError, IntentTag, MachineId, MachineJoins, MachineSpec, MachineState, StopMethod,
};
use opennebula_adapter::OpenNebulaBackend;
use opennebula_simulator::{
    DriverAction, Settings,
    faults::{Fault, Order, Times},
};
use uuid::Uuid;

use crate::Rig;

/// A rig with an image, and a machine of it that nobody has ordered yet.
async fn ready(rig: &Rig) -> (OpenNebulaBackend, MachineSpec) {
    let (backend, image) = (rig.backend(), rig.image().await);
    backend.provide_image(&image, &|_| {}).await.unwrap();
    let spec = MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: "web: /one/".into(),
        hostname: Some("web".into()),
        cores: 1,
        memory_mib: 128,
        disk_bytes: image.size,
        architecture: Architecture::X86_64,
        image: image.digest,
        ssh_keys: vec!["ssh-ed25519 AAAA one".into(), "ssh-ed25519 AAAB two".into()],
        user_data: Some(b"#!/bin/sh\n".to_vec()),
        joins: MachineJoins::default(),
    };
    (backend, spec)
}

async fn running(backend: &OpenNebulaBackend, spec: &MachineSpec) -> MachineId {
    let machine = backend.create(spec).await.unwrap();
    let machine = backend.machine_at_rest(&machine.id, Duration::from_secs(30)).await.unwrap();
    assert_eq!(machine.state, MachineState::Running);
    machine.id
}

fn made(rig: &Rig) -> usize {
    rig.simulator.calls().iter().filter(|call| *call == "one.vm.allocate").count()
}

#[tokio::test]
async fn a_machine_whose_create_was_not_answered_is_adopted() {
    let rig = Rig::start().await;
    let (backend, spec) = ready(&rig).await;
    rig.simulator.order(Order::once("one.vm.allocate", Fault::LostAnswer));
    let lost = backend.create(&spec).await;
    assert!(matches!(lost, Err(BackendError::Unreachable(_))), "{lost:?}");
    let adopted = rig.backend().create(&spec).await.unwrap();
    assert_eq!((made(&rig), adopted.tag, adopted.name.as_deref()), (1, spec.tag, Some("web: /one/")));
    assert_eq!(backend.find_by_tag(spec.tag).await.unwrap().map(|machine| machine.id), Some(adopted.id));
    assert_eq!(backend.machines().await.unwrap().objects.len(), 1);
}

#[tokio::test]
async fn one_malformed_machine_costs_itself() {
    let rig = Rig::start().await;
    let (backend, spec) = ready(&rig).await;
    let tag = Uuid::now_v7().to_string();
    let (first, last) = rig.simulator.add_machines(500, "many", &[("TOMBOLO_TAG", &tag)]);
    let spoilt = first + (last - first) / 2;
    let malformed = Fault::MalformedMachine(spoilt);
    rig.simulator.order(Order { fault: malformed, method: None, times: Times::Always });
    let listing = backend.machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (499, 1), "{:?}", listing.unreadable);
    drop(spec);
}

#[tokio::test]
async fn nonsense_bombs_and_endless_answers_are_bounded_failures() {
    let rig = Rig::start().await;
    let (backend, _) = ready(&rig).await;
    for fault in [Fault::Garbage, Fault::EntityBomb, Fault::Huge(1 << 30)] {
        rig.simulator.order(Order { fault: fault.clone(), method: None, times: Times::Always });
        let began = Instant::now();
        let answer = backend.machines().await;
        assert!(matches!(answer, Err(BackendError::Failed(_))), "{fault:?}: {answer:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "{fault:?}");
        rig.simulator.clear_faults();
    }
    assert!(backend.machines().await.is_ok());
}

#[tokio::test]
async fn revoked_credentials_are_unauthorized_and_asked_once() {
    let rig = Rig::start().await;
    let (backend, _) = ready(&rig).await;
    rig.simulator.order(Order::always(Fault::AuthenticationRevoked));
    let before = rig.simulator.call_count();
    let answer = backend.machines().await;
    assert!(matches!(answer, Err(BackendError::Unauthorized(_))), "{answer:?}");
    assert_eq!(rig.simulator.call_count() - before, 1);
}

#[tokio::test]
async fn a_closed_connection_is_tried_once_more_where_nothing_changes() {
    let rig = Rig::start().await;
    let (backend, spec) = ready(&rig).await;
    rig.simulator.order(Order { fault: Fault::Refused, method: None, times: Times::Count(1) });
    assert!(backend.machines().await.is_ok());
    drop(spec);
}

#[tokio::test]
async fn a_machine_that_was_asked_to_stop_never_looks_untouched() {
    let mut settings = Settings::default();
    settings.delays.race = Duration::from_millis(400);
    settings.delays.step = Duration::from_millis(300);
    let rig = Rig::with(settings).await;
    let (backend, spec) = ready(&rig).await;
    let id = running(&backend, &spec).await;
    backend.stop(&id, StopMethod::PowerOff).await.unwrap();
    // Another replica, which remembers nothing.
    let state = rig.backend().machine(&id).await.unwrap().state;
    assert!(matches!(state, MachineState::Stopping | MachineState::Stopped), "{state:?}");
}

#[tokio::test]
async fn a_termination_that_fails_is_ended_by_force() {
    let rig = Rig::start().await;
    let (backend, spec) = ready(&rig).await;
    let id = running(&backend, &spec).await;
    for _ in 0..4 {
        rig.simulator.fail_driver(DriverAction::Shutdown);
    }
    backend.delete(&id).await.unwrap();
    assert!(matches!(backend.machine(&id).await, Err(BackendError::NotFound(_))));
}

#[tokio::test]
async fn an_old_version_is_refused_before_anything_is_made() {
    let rig = Rig::with(Settings { version: "5.10.4".into(), ..Settings::default() }).await;
    let backend = rig.backend();
    let described = backend.describe().await;
    assert!(matches!(&described, Err(BackendError::Refused(why)) if why.contains("5.10.4")), "{described:?}");
    let image = rig.image().await;
    assert!(matches!(backend.provide_image(&image, &|_| {}).await, Err(BackendError::Refused(_))));
    assert!(!rig.simulator.calls().iter().any(|call| call == "one.image.allocate"));
}

#[tokio::test]
async fn login_tokens_are_renewed_once_and_the_password_stays_home() {
    let rig = Rig::start().await;
    let mut options = rig.options();
    options.login_tokens = true;
    let backend = OpenNebulaBackend::new(options).unwrap();
    backend.machines().await.unwrap();
    backend.machines().await.unwrap();
    let logins = || rig.simulator.calls().iter().filter(|call| *call == "one.user.login").count();
    assert_eq!(logins(), 1);
    rig.simulator.order(Order::once("one.vmpool.infoextended", Fault::AuthenticationRevoked));
    backend.machines().await.unwrap();
    assert_eq!(logins(), 2);
}

#[tokio::test]
async fn an_image_that_cannot_be_fetched_leaves_nothing() {
    let rig = Rig::start().await;
    let backend = rig.backend();
    let mut image = rig.image().await;
    image.source = std::sync::Arc::new(crate::ServedImage::nowhere());
    let failed = backend.provide_image(&image, &|_| {}).await;
    assert!(matches!(failed, Err(BackendError::Failed(_))), "{failed:?}");
    assert_eq!(backend.find_image(&image.digest).await.unwrap(), None);
}

#[tokio::test]
async fn ten_thousand_machines_are_listed_page_by_page() {
    let rig = Rig::start().await;
    let tag = Uuid::now_v7().to_string();
    rig.simulator.add_machines(10_000, "many", &[("TOMBOLO_TAG", &tag)]);
    let before = rig.simulator.call_count();
    let listing = rig.backend().machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (10_000, 0));
    let mut ids: Vec<_> = listing.objects.iter().map(|machine| &machine.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
    assert!(rig.simulator.call_count() - before <= 60);
}

#[tokio::test]
async fn a_check_of_a_good_site_finds_nothing_bad() {
    let rig = Rig::start().await;
    let findings = rig.backend().check().await;
    let bad: Vec<_> = findings.iter().filter(|finding| finding.verdict == backend::Verdict::Bad).collect();
    assert!(bad.is_empty() && findings.len() > 6, "{findings:#?}");
    assert_eq!(rig.backend().machines().await.unwrap().objects, []);
    // Nothing is counted for oneadmin.
    assert!(matches!(rig.backend().quota().await, Err(BackendError::Unsupported(_))));
}
