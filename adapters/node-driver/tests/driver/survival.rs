//! Machines outlive the driver, however it ends.

use std::{fs, path::Path, time::Duration};

use backend::{MachineState, StopMethod};
use node_driver::{Driver, NodeError};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    guests,
    leaks::NodeProcess,
    node::{Node, options, processes_in, until},
};

#[tokio::test]
async fn qemu_machine_is_taken_over_by_the_next_driver() {
    let mut node = Node::new().await;
    let before = node.run(&guests::obedient()).await;
    let pid = node.pid(&before.id);
    node.serial_says(&before.id, "obedient guest").await;
    node.reopen().await;
    let after = node.driver.machine(&before.id).unwrap();
    assert_eq!((after.state, &after.endpoints, &after.tag), (before.state, &before.endpoints, &before.tag));
    assert_eq!(node.pid(&before.id), pid);
    node.driver.restart(&before.id, backend::RestartMethod::Warm).await.unwrap();
    node.serial_says(&before.id, "obedient guest\r\nobedient guest").await;
    node.driver.stop(&before.id, StopMethod::Graceful).await.unwrap();
    let stopped = node.reaches(&before.id, MachineState::Stopped).await;
    assert_eq!(stopped.detail, None);
    node.clear().await;
}

#[tokio::test]
async fn qemu_machine_survives_a_killed_driver() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("node");
    let mut first = NodeProcess::start(&data_dir).await;
    let id = first.create(&guests::obedient()).await;
    let qemu = fs::read_to_string(data_dir.join("machines").join(&id).join("pid")).unwrap();
    first.kill().await;
    assert_eq!(processes_in(root.path()).len(), 1, "QEMU goes on");

    let driver = Driver::open(options(&data_dir)).await.unwrap();
    let machine = driver.machines().remove(0);
    assert_eq!((machine.id.as_str(), machine.state), (id.as_str(), MachineState::Running));
    assert_eq!(fs::read_to_string(data_dir.join("machines").join(&id).join("pid")).unwrap(), qemu);
    driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    until(|| async { (driver.machine(&machine.id).unwrap().state == MachineState::Stopped).then_some(()) }).await;
    driver.delete(&machine.id).await.unwrap();
    assert_eq!(processes_in(root.path()), Vec::<u32>::new());
    driver.close().await;
}

#[tokio::test]
async fn qemu_left_by_a_driver_killed_before_it_could_note_it_is_found() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    fs::remove_file(node.directory(&machine.id).join("pid")).unwrap();
    node.reopen().await;
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running);
    node.clear().await;
}

#[tokio::test]
async fn qemu_that_died_meanwhile_is_a_stopped_machine() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let pid = Pid::from_raw(node.pid(&machine.id).try_into().unwrap()).unwrap();
    node.driver.close().await;
    kill_process(pid, Signal::KILL).unwrap();
    until(|| async { processes_in(node.root.path()).is_empty().then_some(()) }).await;
    node.reopen().await;
    let found = node.driver.machine(&machine.id).unwrap();
    assert_eq!(found.state, MachineState::Stopped);
    assert!(found.detail.is_some_and(|detail| detail.contains("found switched off")));
    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_graceful_stop_goes_on_with_the_next_driver() {
    let mut node = Node::with(|options| options.graceful_deadline = Duration::from_secs(2)).await;
    let machine = node.run(&guests::deaf()).await;
    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    node.reopen().await;
    node.reaches(&machine.id, MachineState::Stopped).await;

    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    let first = node.pid(&machine.id);
    node.driver.restart(&machine.id, backend::RestartMethod::Graceful).await.unwrap();
    node.reopen().await;
    node.reaches(&machine.id, MachineState::Running).await;
    assert_ne!(node.pid(&machine.id), first, "a restart goes on as well");
    node.clear().await;
}

#[tokio::test]
async fn qemu_machine_that_was_half_made_is_removed() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    node.driver.close().await;
    // As if the driver had been killed just before it told anybody.
    let record = node.directory(&machine.id).join("machine.json");
    let text = fs::read_to_string(&record).unwrap();
    let creating = text.replace("\"is\": \"running\"", "\"is\": \"creating\"");
    assert_ne!(creating, text);
    fs::write(&record, creating).unwrap();
    // And another one, killed earlier still.
    let early = node.options.data_dir.join("machines").join("early");
    fs::create_dir(&early).unwrap();
    fs::write(early.join("disk.qcow2"), b"half").unwrap();
    node.reopen().await;
    assert_eq!(node.driver.machines(), []);
    node.assert_nothing_is_left();
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_left_alone() {
    let mut node = Node::new().await;
    node.driver.close().await;
    let directory = node.options.data_dir.join("machines").join("precious");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("machine.json"), b"{\"version\": 99").unwrap();
    fs::write(directory.join("disk.qcow2"), b"a diploma thesis").unwrap();
    node.reopen().await;
    assert_eq!(node.driver.machines(), []);
    assert_eq!(fs::read(directory.join("disk.qcow2")).unwrap(), b"a diploma thesis");
    node.driver.close().await;
}

#[tokio::test]
async fn one_driver_per_data_directory() {
    let node = Node::new().await;
    let second = Driver::open(node.options.clone()).await;
    let Err(error @ NodeError::DataDirectoryTaken(_)) = second else { panic!("a second driver") };
    assert!(error.to_string().contains("another node driver"), "{error}");
    node.driver.close().await;
}

#[tokio::test]
async fn qemu_works_in_data_directories_with_long_and_strange_names() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("école, année=1 (été) \"x\" ".repeat(4)).join("n".repeat(120));
    assert!(data_dir.as_os_str().len() > 200);
    let mut wanted = options(&data_dir);
    wanted.graceful_deadline = Duration::from_secs(1);
    let driver = Driver::open(wanted.clone()).await.unwrap();
    let image = guests::deaf();
    let source = root.path().join("image");
    fs::write(&source, &image).unwrap();
    let digest = crate::node::digest(&image);
    driver.link_image(digest, image.len() as u64, source).await.unwrap();
    let machine = driver.create(crate::node::spec(digest)).await.unwrap();
    driver.close().await;
    let driver = Driver::open(wanted).await.unwrap();
    assert_eq!(driver.machine(&machine.id).unwrap().state, MachineState::Running);
    driver.delete(&machine.id).await.unwrap();
    assert_eq!(processes_in(Path::new(root.path())), Vec::<u32>::new());
    driver.close().await;
}
