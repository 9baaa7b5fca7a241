use std::fs;

use backend::{
    BackendError, InterfaceSpec, InterfaceTarget, MachineId, MachineState, Network, NetworkSpec, NetworkState,
    StopMethod, SuspendMethod,
};
use node_driver::NodeError;
use uuid::Uuid;

use crate::{
    guests,
    node::{Node, command_line, names},
    volumes::tag,
};

pub async fn network(node: &Node) -> Network {
    let spec = NetworkSpec { tag: tag(), name: "class".into(), vlan: None, label: None, subnet: None };
    node.driver.create_network(spec).await.unwrap()
}

pub fn interface(network: &Network) -> InterfaceSpec {
    InterfaceSpec { tag: tag(), target: InterfaceTarget::Network(network.id.clone()), mac: None, address: None }
}

fn conflict<T: std::fmt::Debug>(answer: Result<T, NodeError>) {
    let error = BackendError::from(&answer.unwrap_err());
    assert!(matches!(error, BackendError::Conflict(_)), "{error}");
}

/// Whether the machine's QEMU was started with the interface.
fn starts_with(node: &Node, machine: &MachineId, mac: &str) -> bool {
    command_line(node.pid(machine)).iter().any(|word| word.contains(mac))
}

async fn stop(node: &Node, id: &MachineId) {
    node.driver.stop(id, StopMethod::PowerOff).await.unwrap();
    node.reaches(id, MachineState::Stopped).await;
}

async fn start(node: &Node, id: &MachineId) {
    node.driver.start(id).await.unwrap();
    node.reaches(id, MachineState::Running).await;
}

#[tokio::test]
async fn networks_are_made_once_and_are_found_again() {
    let mut node = Node::new().await;
    let spec = NetworkSpec { tag: tag(), name: "mine".into(), vlan: Some(3), label: None, subnet: None };
    let made = node.driver.create_network(spec.clone()).await.unwrap();
    assert_eq!((made.state, made.tag), (NetworkState::Up, spec.tag));
    assert_eq!(node.driver.create_network(spec.clone()).await.unwrap(), made);
    node.driver.set_network_up(&made.id, false).await.unwrap();
    node.driver.change_network(&made.id, NetworkSpec { tag: tag(), vlan: None, ..spec.clone() }).await.unwrap();
    // A member of a machine that is gone.
    let card = node.options.data_dir.join("networks").join(format!("{}.json", made.id));
    let member = format!(
        "\"members\": [{{\"machine\": \"gone\", \"tag\": \"{}\", \"mac\": \"02:00:00:00:00:01\", \"address\": null}}]",
        Uuid::now_v7()
    );
    node.driver.close().await;
    fs::write(&card, fs::read_to_string(&card).unwrap().replace("\"members\": []", &member)).unwrap();
    fs::write(card.with_file_name("precious.json"), b"{\"version\": 99}").unwrap();
    node.reopen().await;
    let found = node.driver.networks().await.unwrap();
    assert_eq!(found, [Network { state: NetworkState::Down, ..made.clone() }]);
    assert_eq!(node.driver.find_network_by_tag(spec.tag).await.as_ref(), Some(&found[0]));
    for _ in 0..2 {
        node.driver.delete_network(&made.id).await.unwrap();
    }
    assert!(matches!(node.driver.network(&made.id).await, Err(NodeError::UnknownNetwork(_))));
    assert_eq!(names(&node.options.data_dir.join("networks")), ["precious.json"]);
    node.clear().await;
}

#[tokio::test]
async fn qemu_interfaces_come_and_go_with_the_machine_off_or_on() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let net = network(&node).await;
    node.serial_says(&machine.id, "deaf guest").await;
    let running = interface(&net);
    let there = node.driver.plug(&machine.id, running.clone()).await.unwrap();
    assert_eq!((there.tag, there.device.as_str()), (running.tag, "eth1"));
    assert_eq!(node.driver.plug(&machine.id, running.clone()).await.unwrap(), there);
    conflict(node.driver.delete_network(&net.id).await);
    let same = InterfaceSpec { mac: Some(there.mac), ..interface(&net) };
    conflict(node.driver.plug(&machine.id, same).await);

    stop(&node, &machine.id).await;
    let wanted = interface(&net);
    let second = node.driver.plug(&machine.id, wanted.clone()).await.unwrap();
    assert_eq!(second.device, "eth2");
    node.reopen().await;
    start(&node, &machine.id).await;
    for mac in [there.mac, second.mac] {
        assert!(starts_with(&node, &machine.id, &mac.to_string()));
    }
    // Asleep they stay where they are, and are there again.
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    conflict(node.driver.unplug(&machine.id, wanted.tag).await);
    start(&node, &machine.id).await;

    // The guest does not let go, and loses it all the same.
    node.driver.unplug(&machine.id, wanted.tag).await.unwrap();
    node.driver.unplug(&machine.id, wanted.tag).await.unwrap();
    stop(&node, &machine.id).await;
    start(&node, &machine.id).await;
    assert!(!starts_with(&node, &machine.id, &second.mac.to_string()));
    for slot in [2, 3, 4] {
        assert_eq!(node.driver.plug(&machine.id, interface(&net)).await.unwrap().device, format!("eth{slot}"));
    }
    let refused = BackendError::from(&node.driver.plug(&machine.id, interface(&net)).await.unwrap_err());
    assert!(matches!(refused, BackendError::Refused(_)), "{refused}");
    node.driver.delete(&machine.id).await.unwrap();
    node.driver.delete_network(&net.id).await.unwrap();
    node.clear().await;
}
