use backend::{
    Backend, BackendError, Interface, InterfaceSpec, InterfaceTarget, MachineId, NetworkId, NetworkSpec, NetworkState,
    Subnet, simulator::Simulator,
};

use crate::{ip, machine, tag};

fn part(simulator: &Simulator) -> &dyn backend::Networks {
    simulator.networks().unwrap()
}

fn spec(subnet: Option<Subnet>) -> NetworkSpec {
    NetworkSpec { tag: tag(), name: "one".into(), vlan: Some(4095), label: Some("lab".into()), subnet }
}

fn subnet(address: &str, prefix: u8, gateway: Option<&str>) -> Option<Subnet> {
    Some(Subnet { address: ip(address), prefix, gateway: gateway.map(ip), dynamic: false })
}

fn wish(network: &NetworkId) -> InterfaceSpec {
    InterfaceSpec { tag: tag(), target: InterfaceTarget::Network(network.clone()), mac: None, address: None }
}

async fn plug(simulator: &Simulator, machine: &MachineId, network: &NetworkId) -> Interface {
    part(simulator).plug(machine, &wish(network)).await.unwrap()
}

async fn network(simulator: &Simulator, subnet: Option<Subnet>) -> NetworkId {
    part(simulator).create(&spec(subnet)).await.unwrap().id
}

#[tokio::test]
async fn addresses_run_out_and_come_back() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    // With the bits behind the prefix that OCCI's own example has.
    let id = network(&simulator, subnet("192.0.2.9", 29, Some("192.0.2.9"))).await;
    let mut plugged = Vec::new();
    for last in 10..=14 {
        let interface = plug(&simulator, &machine, &id).await;
        assert_eq!(interface.address, Some(ip(&format!("192.0.2.{last}"))));
        assert_eq!(interface.gateway, Some(ip("192.0.2.9")));
        plugged.push(interface);
    }
    let one_more = part(&simulator).plug(&machine, &wish(&id)).await;
    assert!(matches!(one_more, Err(BackendError::Capacity(_))), "{one_more:?}");
    part(&simulator).unplug(&machine, plugged[2].tag).await.unwrap();
    let again = plug(&simulator, &machine, &id).await;
    assert_eq!((again.address, again.device), (plugged[2].address, plugged[2].device.clone()));
    assert_eq!(simulator.interface_count(), 5);
}

#[tokio::test]
async fn ipv6_networks_hand_out_too() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let id = network(&simulator, subnet("2001:db8::", 64, Some("2001:db8::1"))).await;
    let interface = plug(&simulator, &machine, &id).await;
    assert_eq!((interface.address, interface.device.as_str()), (Some(ip("2001:db8::2")), "eth1"));
}

#[tokio::test]
async fn wishes_are_granted_or_refused() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let id = network(&simulator, subnet("192.0.2.0", 24, Some("192.0.2.1"))).await;
    let networks = part(&simulator);
    let wanted = InterfaceSpec { mac: "02:00:00:00:00:01".parse().ok(), address: Some(ip("192.0.2.77")), ..wish(&id) };
    let there = networks.plug(&machine, &wanted).await.unwrap();
    assert_eq!((Some(there.mac), there.address), (wanted.mac, wanted.address));
    for (wish, taken) in [
        (InterfaceSpec { address: wanted.address, ..wish(&id) }, true),
        (InterfaceSpec { mac: wanted.mac, ..wish(&id) }, true),
        (InterfaceSpec { address: Some(ip("192.0.2.1")), ..wish(&id) }, false),
        (InterfaceSpec { address: Some(ip("192.0.2.0")), ..wish(&id) }, false),
        (InterfaceSpec { address: Some(ip("192.0.2.255")), ..wish(&id) }, false),
        (InterfaceSpec { address: Some(ip("192.0.3.7")), ..wish(&id) }, false),
        (InterfaceSpec { address: Some(ip("2001:db8::7")), ..wish(&id) }, false),
        (InterfaceSpec { mac: "01:00:5e:00:00:01".parse().ok(), ..wish(&id) }, false),
        (InterfaceSpec { mac: "00:00:00:00:00:00".parse().ok(), ..wish(&id) }, false),
    ] {
        let answer = networks.plug(&machine, &wish).await;
        let right = match &answer {
            Err(BackendError::Conflict(_)) => taken,
            Err(BackendError::Refused(_)) => !taken,
            _ => false,
        };
        assert!(right, "{wish:?}: {answer:?}");
    }
    assert_eq!(simulator.interface_count(), 1);
}

#[tokio::test]
async fn a_network_without_addresses_leaves_them_to_its_machines() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let id = network(&simulator, None).await;
    let interface = plug(&simulator, &machine, &id).await;
    assert_eq!((interface.address, interface.gateway), (None, None));
    assert_eq!(interface.mac.0[0], 0x02);
    let wanted = InterfaceSpec { address: Some(ip("192.0.2.1")), ..wish(&id) };
    assert_eq!(part(&simulator).plug(&machine, &wanted).await.unwrap().address, wanted.address);
}

#[tokio::test]
async fn what_cannot_be_a_network_is_refused() {
    let simulator = Simulator::default();
    let good = spec(None);
    let id = part(&simulator).create(&good).await.unwrap().id;
    for wrong in [
        NetworkSpec { vlan: Some(4096), ..spec(None) },
        NetworkSpec { label: Some("two words".into()), ..spec(None) },
        NetworkSpec { label: Some(String::new()), ..spec(None) },
        spec(subnet("192.0.2.0", 33, None)),
        spec(subnet("192.0.2.0", 24, Some("192.0.3.1"))),
    ] {
        let created = part(&simulator).create(&wrong).await;
        assert!(matches!(created, Err(BackendError::Refused(_))), "{created:?}");
        let changed = part(&simulator).change(&id, &wrong).await;
        assert!(matches!(changed, Err(BackendError::Refused(_))), "{changed:?}");
    }
    assert_eq!((simulator.network_count(), simulator.network_spec(good.tag)), (1, Some(good)));
}

#[tokio::test]
async fn a_change_keeps_the_tag() {
    let simulator = Simulator::default();
    let before = spec(None);
    let id = part(&simulator).create(&before).await.unwrap().id;
    let after = NetworkSpec { name: "other".into(), vlan: Some(7), ..spec(subnet("192.0.2.0", 24, None)) };
    part(&simulator).change(&id, &after).await.unwrap();
    assert_eq!(simulator.network_spec(before.tag), Some(NetworkSpec { tag: before.tag, ..after }));
}

#[tokio::test]
async fn a_network_may_fail_or_vanish() {
    let simulator = Simulator::default();
    let machine = machine(&simulator).await;
    let spec = spec(None);
    let id = part(&simulator).create(&spec).await.unwrap().id;
    plug(&simulator, &machine, &id).await;
    simulator.network_fails(spec.tag, "no bridge");
    let facts = part(&simulator).network(&id).await.unwrap();
    assert_eq!((facts.state, facts.detail.as_deref()), (NetworkState::Failed, Some("no bridge")));
    assert!(matches!(part(&simulator).set_up(&id, true).await, Err(BackendError::Conflict(_))));
    simulator.vanish_network(spec.tag);
    assert!(matches!(part(&simulator).network(&id).await, Err(BackendError::NotFound(_))));
    assert_eq!((simulator.interface_count(), simulator.network_count()), (0, 0));
}
