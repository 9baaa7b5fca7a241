use std::time::Duration;

use backend::{
    AddressSpec, AttachmentSpec, Backend, BackendError, IntentTag, InterfaceSpec, InterfaceTarget, MachineId,
    MachineState, NetworkSpec, SecurityGroupSpec, VolumeSpec,
    request::{self, RequestId},
    simulator::{Behaviour, Delays, Fault, ObjectKind, Operation, Simulator},
};
use tokio::time::sleep;

use crate::{machine, offer, spec, tag};

const SECOND: Duration = Duration::from_secs(1);

async fn ready(behaviour: Behaviour) -> Simulator {
    let simulator = Simulator::new(behaviour);
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    simulator
}

async fn listed(simulator: &Simulator) -> Vec<MachineId> {
    simulator.machines().await.unwrap().objects.into_iter().map(|machine| machine.id).collect()
}

#[tokio::test]
async fn an_error_after_the_effect_is_heard_as_ordered() {
    let simulator = ready(Behaviour::default()).await;
    simulator.inject(Operation::Create, Fault::After(BackendError::Failed("503".into())), 1);
    let spec = spec();
    assert_eq!(simulator.create(&spec).await, Err(BackendError::Failed("503".into())));
    assert!(simulator.find_by_tag(spec.tag).await.unwrap().is_some());
    // What fails by itself says why.
    simulator.inject(Operation::Start, Fault::After(BackendError::Failed("503".into())), 1);
    let unknown = simulator.start(&"nobody".parse().unwrap()).await;
    assert!(matches!(unknown, Err(BackendError::NotFound(_))), "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_idempotent_makes_one_more_of_everything() {
    let simulator = ready(Behaviour { idempotent_create: false, ..Behaviour::default() }).await;
    let spec = spec();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(simulator.create(&spec).await.unwrap().id);
        sleep(SECOND).await;
    }
    let name = format!("sim-{}", spec.tag);
    assert_eq!(
        ids.iter().map(MachineId::as_str).collect::<Vec<_>>(),
        [name.clone(), format!("{name}-2"), format!("{name}-3")]
    );
    let oldest = async || simulator.find_by_tag(spec.tag).await.unwrap().map(|machine| machine.id);
    assert_eq!(oldest().await.as_ref(), Some(&ids[0]));
    simulator.delete(&ids[0]).await.unwrap();
    assert_eq!(oldest().await.as_ref(), Some(&ids[1]), "the oldest of those that are left");
    assert_eq!(simulator.duplicates(), [spec.tag]);
    simulator.delete(&ids[1]).await.unwrap();
    assert_eq!(simulator.duplicates(), []);

    let (volumes, networks) = (simulator.volumes().unwrap(), simulator.networks().unwrap());
    let (addresses, groups) = (simulator.addresses().unwrap(), simulator.security_groups().unwrap());
    let tags: Vec<IntentTag> = (0..4).map(|_| tag()).collect();
    for _ in 0..2 {
        volumes.create(&VolumeSpec { tag: tags[0], name: "one".into(), size_bytes: 512 }).await.unwrap();
        let network = NetworkSpec { tag: tags[1], name: "one".into(), vlan: None, label: None, subnet: None };
        networks.create(&network).await.unwrap();
        addresses.reserve(&AddressSpec { tag: tags[2], wanted: None }).await.unwrap();
        groups.create(&SecurityGroupSpec { tag: tags[3], name: "one".into(), rules: Vec::new() }).await.unwrap();
    }
    assert_eq!(simulator.duplicates(), tags);
    let kinds: Vec<_> = simulator.objects().iter().map(|object| object.kind).collect();
    assert_eq!(kinds.len(), 9);
    assert_eq!(kinds.iter().filter(|kind| **kind == ObjectKind::Address).count(), 2);
    let inventory = simulator.inventory();
    assert_eq!((inventory.volumes, inventory.networks, inventory.addresses, inventory.security_groups), (2, 2, 2, 2));
}

#[tokio::test]
async fn one_tag_on_two_kinds_of_object_is_a_duplicate_too() {
    let simulator = ready(Behaviour::default()).await;
    let spec = spec();
    simulator.create(&spec).await.unwrap();
    let volume = VolumeSpec { tag: spec.tag, name: "one".into(), size_bytes: 512 };
    simulator.volumes().unwrap().create(&volume).await.unwrap();
    assert_eq!(simulator.duplicates(), [spec.tag]);
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_late_in_lists() {
    let simulator = ready(Behaviour { listing_lag: SECOND * 5, ..Behaviour::default() }).await;
    let spec = spec();
    let id = simulator.create(&spec).await.unwrap().id;
    sleep(SECOND * 4).await;
    assert_eq!((listed(&simulator).await, simulator.find_by_tag(spec.tag).await.unwrap()), (vec![], None));
    assert_eq!(simulator.machine(&id).await.unwrap().id, id);
    assert_eq!(simulator.create(&spec).await.unwrap().id, id, "the service itself knows it");
    sleep(SECOND).await;
    assert_eq!(listed(&simulator).await, [id]);
    assert!(simulator.find_by_tag(spec.tag).await.unwrap().is_some());
}

#[tokio::test]
async fn lists_are_stale_as_often_as_ordered() {
    let simulator = ready(Behaviour::default()).await;
    let first = machine(&simulator).await;
    simulator.remember_lists();
    let second = machine(&simulator).await;
    simulator.delete(&first).await.unwrap();
    simulator.stale_lists(2);
    for _ in 0..2 {
        assert_eq!(listed(&simulator).await, std::slice::from_ref(&first));
        assert_eq!(simulator.volumes().unwrap().volumes().await.unwrap().objects, []);
    }
    assert_eq!(listed(&simulator).await, [second]);
}

#[tokio::test]
async fn lists_are_spoiled_and_hide_what_is_garbled() {
    let simulator = ready(Behaviour::default()).await;
    let spec = spec();
    let id = simulator.create(&spec).await.unwrap().id;
    simulator.spoil_lists(30);
    let listing = simulator.machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (1, 30));
    assert_eq!(simulator.networks().unwrap().networks().await.unwrap().unreadable_count(), 30);
    simulator.spoil_lists(0);
    simulator.garble(spec.tag, true);
    let listing = simulator.machines().await.unwrap();
    assert_eq!((listing.objects, listing.unreadable.len()), (vec![], 1));
    assert_eq!(simulator.machine(&id).await.unwrap().tag, spec.tag);
    simulator.garble(spec.tag, false);
    assert_eq!(listed(&simulator).await, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_flaps_by_the_clock() {
    let simulator = ready(Behaviour::default()).await;
    let spec = spec();
    let id = simulator.create(&spec).await.unwrap().id;
    simulator.machine_flaps(spec.tag, SECOND);
    let state = async || simulator.machine(&id).await.unwrap().state;
    for _ in 0..3 {
        assert_eq!(state().await, MachineState::Running);
        sleep(SECOND).await;
        assert_eq!(state().await, MachineState::Failed);
        assert_eq!(simulator.machines().await.unwrap().objects[0].state, MachineState::Failed);
        sleep(SECOND).await;
    }
    sleep(SECOND).await;
    simulator.stop(&id, backend::StopMethod::PowerOff).await.unwrap();
    assert_eq!(state().await, MachineState::Stopped, "only one that runs flaps");
    simulator.start(&id).await.unwrap();
    assert_eq!(state().await, MachineState::Failed);
    simulator.machine_flaps(spec.tag, Duration::ZERO);
    assert_eq!(state().await, MachineState::Running);
}

#[tokio::test]
async fn a_machine_appears_that_nobody_asked_for() {
    let simulator = Simulator::default();
    let spec = spec();
    let id = simulator.appear(spec.clone()).unwrap();
    let found = simulator.find_by_tag(spec.tag).await.unwrap().unwrap();
    assert_eq!((found.id, found.state), (id, MachineState::Running));
    simulator.appear(spec.clone()).unwrap();
    assert_eq!(simulator.duplicates(), [spec.tag]);
    simulator.vanish(spec.tag);
    assert_eq!(simulator.machine_count(), 0, "all of the tag");
}

#[tokio::test]
async fn nobody_gets_in_while_credentials_are_revoked_or_connections_refused() {
    let simulator = ready(Behaviour::default()).await;
    let id = machine(&simulator).await;
    simulator.inject(Operation::Delete, Fault::Before(BackendError::Failed("as ordered".into())), 1);
    simulator.revoke_credentials(true);
    assert!(matches!(simulator.delete(&id).await, Err(BackendError::Unauthorized(_))));
    let volumes = simulator.volumes().unwrap();
    assert!(matches!(volumes.volumes().await, Err(BackendError::Unauthorized(_))));
    simulator.refuse_connections(true);
    simulator.slow(Duration::from_secs(3600));
    assert!(matches!(simulator.delete(&id).await, Err(BackendError::Unreachable(_))), "at once");
    simulator.slow(Duration::ZERO);
    simulator.refuse_connections(false);
    simulator.revoke_credentials(false);
    assert_eq!(simulator.delete(&id).await, Err(BackendError::Failed("as ordered".into())), "still ordered");
    assert_eq!(simulator.machine_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_was_ordered_can_be_healed() {
    let simulator = ready(Behaviour::default()).await;
    let id = machine(&simulator).await;
    simulator.stale_lists(9);
    simulator.inject(Operation::Machine, Fault::Hang, 9);
    simulator.slow(SECOND);
    simulator.spoil_lists(9);
    simulator.revoke_credentials(true);
    simulator.refuse_connections(true);
    simulator.change(|behaviour| behaviour.listing_lag = SECOND);
    simulator.heal();
    let other = machine(&simulator).await;
    assert_eq!(simulator.machine(&id).await.unwrap().id, id);
    assert_eq!(listed(&simulator).await, [id, other]);
    assert_eq!(simulator.machines().await.unwrap().unreadable_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_are_counted_until_they_end_or_are_dropped() {
    let simulator = ready(Behaviour::default()).await;
    simulator.slow(SECOND);
    let specs: Vec<_> = (0..5).map(|_| spec()).collect();
    let creates = specs.iter().map(|spec| simulator.create(spec));
    futures_util::future::join_all(creates).await;
    assert_eq!(simulator.most_at_once(Operation::Create), 5);
    for _ in 0..3 {
        let dropped = tokio::time::timeout(SECOND / 2, simulator.describe()).await;
        assert!(dropped.is_err());
    }
    assert_eq!((simulator.most_at_once(Operation::Describe), simulator.calls(Operation::Describe)), (1, 3));
    let id = simulator.machines().await.unwrap().objects.remove(0).id;
    assert_eq!((simulator.total_calls(), simulator.most_of_all_at_once()), (10, 5));
    simulator.change(|behaviour| behaviour.delays = Delays { save: SECOND, ..Delays::default() });
    let saves = (0..2).map(|_| simulator.save(&id, backend::SaveMethod::Hot));
    futures_util::future::join_all(saves).await;
    assert_eq!(simulator.most_at_once(Operation::Save), 2, "until the disk is saved");
}

#[tokio::test]
async fn a_call_says_on_whose_behalf_it_is() {
    let simulator = Simulator::default();
    let id: RequestId = "from-the-door".parse().unwrap();
    request::scope(id.clone(), simulator.describe()).await.unwrap();
    assert_eq!(simulator.last_request(Operation::Describe), Some(id));
    simulator.describe().await.unwrap();
    assert_eq!(simulator.last_request(Operation::Describe), None);
}

/// What joins two objects is found from both sides, and never left behind.
#[tokio::test]
async fn joins_end_with_either_side() {
    let simulator = ready(Behaviour::default()).await;
    let (volumes, networks) = (simulator.volumes().unwrap(), simulator.networks().unwrap());
    let groups = simulator.security_groups().unwrap();
    let network = NetworkSpec { tag: tag(), name: "one".into(), vlan: None, label: None, subnet: None };
    let net = networks.create(&network).await.unwrap().id;
    let volume = volumes.create(&VolumeSpec { tag: tag(), name: "one".into(), size_bytes: 512 }).await.unwrap().id;
    let group = SecurityGroupSpec { tag: tag(), name: "one".into(), rules: Vec::new() };
    let group = groups.create(&group).await.unwrap().id;
    let mac = "02:00:00:00:00:01".parse().ok();
    let interface = |tag| InterfaceSpec { tag, target: InterfaceTarget::Network(net.clone()), mac, address: None };
    for end in ["delete", "vanish", "part"] {
        let spec = spec();
        let id = simulator.create(&spec).await.unwrap().id;
        let (plugged, attached) = (tag(), tag());
        networks.plug(&id, &interface(plugged)).await.unwrap();
        let attachment = AttachmentSpec { tag: attached, volume: volume.clone(), device: None };
        volumes.attach(&id, &attachment).await.unwrap();
        groups.apply(&id, &group).await.unwrap();
        assert!(matches!(networks.delete(&net).await, Err(BackendError::Conflict(_))), "{end}");
        assert!(matches!(volumes.delete(&volume).await, Err(BackendError::Conflict(_))), "{end}");
        assert!(matches!(groups.delete(&group).await, Err(BackendError::Conflict(_))), "{end}");
        match end {
            "delete" => simulator.delete(&id).await.unwrap(),
            "vanish" => simulator.vanish(spec.tag),
            _ => {
                networks.unplug(&id, plugged).await.unwrap();
                volumes.detach(&id, attached).await.unwrap();
                groups.lift(&id, &group).await.unwrap();
            }
        }
        let inventory = simulator.inventory();
        assert_eq!((inventory.attachments, inventory.interfaces, inventory.applied_groups), (0, 0, 0), "{end}");
    }
    networks.delete(&net).await.unwrap();
    volumes.delete(&volume).await.unwrap();
    groups.delete(&group).await.unwrap();
}

/// Were every call a search, this would take minutes: sizes tell, not the clock.
#[tokio::test]
async fn twenty_thousand_machines_are_no_burden() {
    let simulator = ready(Behaviour::default()).await;
    let networks = simulator.networks().unwrap();
    let network = NetworkSpec { tag: tag(), name: "one".into(), vlan: None, label: None, subnet: None };
    let target = InterfaceTarget::Network(networks.create(&network).await.unwrap().id);
    for _ in 0..20_000 {
        let spec = spec();
        let id = simulator.create(&spec).await.unwrap().id;
        let interface = InterfaceSpec { tag: tag(), target: target.clone(), mac: None, address: None };
        networks.plug(&id, &interface).await.unwrap();
        assert_eq!(simulator.find_by_tag(spec.tag).await.unwrap().unwrap().id, id);
    }
    assert_eq!(simulator.machines().await.unwrap().objects.len(), 20_000);
    assert_eq!(simulator.duplicates(), []);
}
