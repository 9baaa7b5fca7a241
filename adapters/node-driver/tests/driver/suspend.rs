//! A guest that is frozen has its memory when it goes on.

use std::fs;

use backend::{MachineId, MachineState, RestartMethod, StopMethod, SuspendMethod};
use node_driver::NodeError;

use crate::{
    guests,
    node::{Node, processes_in, until},
};

fn dots(node: &Node, id: &MachineId) -> usize {
    let said = fs::read_to_string(node.directory(id).join("serial.log")).unwrap();
    assert_eq!(said.matches("ticking guest").count(), 1, "it was never reset: {said}");
    said.matches('.').count()
}

async fn ticks_on(node: &Node, id: &MachineId) {
    let before = dots(node, id);
    until(|| async { (dots(node, id) > before).then_some(()) }).await;
}

#[tokio::test]
async fn qemu_guest_is_suspended_and_goes_on() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::ticking()).await;
    node.serial_says(&machine.id, "ticking guest\r\n.").await;
    node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap();
    let refused = node.driver.restart(&machine.id, RestartMethod::Cold).await.unwrap_err();
    assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");

    // The next driver leaves it as it is.
    let pid = node.pid(&machine.id);
    node.reopen().await;
    node.reaches(&machine.id, MachineState::Suspended).await;
    assert_eq!(node.pid(&machine.id), pid);
    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    ticks_on(&node, &machine.id).await;

    node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap();
    node.driver.stop(&machine.id, StopMethod::PowerOff).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    let refused = node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap_err();
    assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");
    node.clear().await;
}

#[tokio::test]
async fn qemu_suspended_guest_hears_a_graceful_stop() {
    let node = Node::new().await;
    let machine = node.run(&guests::obedient()).await;
    node.serial_says(&machine.id, "obedient guest").await;
    node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_guest_hibernates_over_a_restart_of_the_driver() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::ticking()).await;
    node.serial_says(&machine.id, "ticking guest\r\n.").await;
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    assert_eq!(processes_in(node.root.path()), Vec::<u32>::new(), "the host's memory is given back");
    let memory = node.directory(&machine.id).join("memory");
    assert!(memory.exists());
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();

    node.reopen().await;
    node.reaches(&machine.id, MachineState::Suspended).await;
    let before = dots(&node, &machine.id);
    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    assert!(!memory.exists(), "it has run since");
    until(|| async { (dots(&node, &machine.id) > before).then_some(()) }).await;

    // From one kind of sleep into the other.
    node.driver.suspend(&machine.id, SuspendMethod::Suspend).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();
    until(|| async { memory.exists().then_some(()) }).await;
    until(|| async { processes_in(node.root.path()).is_empty().then_some(()) }).await;
    node.driver.stop(&machine.id, StopMethod::PowerOff).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    assert!(!memory.exists());
    node.clear().await;
}

#[tokio::test]
async fn qemu_memory_of_another_time_than_the_disk_is_never_used() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::ticking()).await;
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    until(|| async { processes_in(node.root.path()).is_empty().then_some(()) }).await;
    node.driver.close().await;
    // As if the host had lost its power in the middle of a run.
    let record = node.directory(&machine.id).join("machine.json");
    let text = fs::read_to_string(&record).unwrap();
    let running = text.replace("\"is\": \"hibernated\"", "\"is\": \"running\"");
    assert_ne!(running, text);
    fs::write(&record, running).unwrap();
    node.reopen().await;
    node.reaches(&machine.id, MachineState::Stopped).await;
    assert!(!node.directory(&machine.id).join("memory").exists());
    node.clear().await;
}

#[tokio::test]
async fn qemu_memory_that_cannot_be_read_fails_the_machine_until_it_is_given_up() {
    let node = Node::new().await;
    let machine = node.run(&guests::ticking()).await;
    node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap();
    node.reaches(&machine.id, MachineState::Suspended).await;
    let memory = node.directory(&machine.id).join("memory");
    fs::write(&memory, b"nonsense").unwrap();
    node.driver.start(&machine.id).await.unwrap();
    let failed = until(|| async {
        let machine = node.driver.machine(&machine.id).unwrap();
        (machine.state == MachineState::Failed).then_some(machine)
    })
    .await;
    assert!(failed.detail.is_some_and(|detail| detail.contains("memory")));
    node.driver.stop(&machine.id, StopMethod::PowerOff).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    node.clear().await;
}
