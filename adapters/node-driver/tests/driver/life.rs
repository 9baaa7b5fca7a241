use backend::{MachineState, RestartMethod, StopMethod};
use node_driver::NodeError;

use crate::{
    guests,
    node::{Node, command_line, names, spec},
};

#[tokio::test]
async fn qemu_machine_is_made_stopped_started_and_deleted() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    assert_eq!(machine.state, MachineState::Running);
    assert_eq!(machine.guest_answers, Some(false));
    assert_eq!(machine.endpoints[0].service, "ssh");
    assert!(node.options.ssh_ports.contains(&machine.endpoints[0].port));
    node.serial_says(&machine.id, "deaf guest").await;
    let first = hardware(&node, &machine.id);
    let mut files = names(&node.directory(&machine.id));
    // Only where memory can be bounded.
    files.retain(|name| name != "cgroup");
    assert_eq!(
        files,
        [
            "disk.qcow2",
            "machine.json",
            "pid",
            "qemu.log",
            "qmp.sock",
            "seed.iso",
            "serial.log",
            "serial.sock",
            "vnc.sock"
        ]
    );

    node.driver.start(&machine.id).await.unwrap();
    node.driver.stop(&machine.id, StopMethod::PowerOff).await.unwrap();
    let stopped = node.reaches(&machine.id, MachineState::Stopped).await;
    assert_eq!((stopped.endpoints.len(), stopped.console), (0, None));
    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    let refused = node.driver.restart(&machine.id, RestartMethod::Cold).await.unwrap_err();
    assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");

    node.driver.start(&machine.id).await.unwrap();
    let again = node.reaches(&machine.id, MachineState::Running).await;
    assert_eq!(again.endpoints, machine.endpoints, "the port is kept");
    assert_eq!(hardware(&node, &machine.id), first, "the guest sees the same hardware");
    node.clear().await;
}

/// What the guest can see of its board.
fn hardware(node: &Node, id: &backend::MachineId) -> Vec<String> {
    let line = command_line(node.pid(id));
    let seen = ["-machine", "-device", "-m", "-smp", "-uuid", "-cpu"];
    line.windows(2).filter(|pair| seen.contains(&pair[0].as_str())).map(|pair| pair.join(" ")).collect()
}

#[tokio::test]
async fn qemu_bounds_are_set_before_the_guest_runs() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid(&machine.id))).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!((limit("Max core file size").as_str(), limit("Max open files").as_str()), ("0", "1024"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid(&machine.id))).unwrap();
    assert!(status.contains("Seccomp:\t2"), "system calls are filtered: {status}");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.pid(&machine.id))).unwrap();
    let group = stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap();
    assert_eq!(group, node.pid(&machine.id).to_string(), "no key pressed in our terminal reaches it");
    // Where this host lets us bound memory at all, it is bounded.
    let findings = node_driver::examine(&node.options).await;
    if findings.iter().any(|finding| finding.text.contains("by control group")) {
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", node.pid(&machine.id))).unwrap();
        assert!(groups.contains(&format!("tombolo-{}", machine.id)), "{groups}");
    }
    node.clear().await;
}

#[tokio::test]
async fn qemu_isolated_guest_has_a_network_without_a_way_out() {
    let node = Node::with(|options| options.guest_network = node_driver::GuestNetwork::Isolated).await;
    let machine = node.run(&guests::deaf()).await;
    let line = command_line(node.pid(&machine.id));
    assert!(line.iter().any(|word| word.contains("restrict=on") && word.contains("hostfwd=")), "{line:?}");
    node.clear().await;
}

#[tokio::test]
async fn qemu_guest_that_switches_itself_off_is_stopped() {
    let node = Node::new().await;
    let machine = node.run(&guests::short_lived()).await;
    let stopped = node.reaches(&machine.id, MachineState::Stopped).await;
    assert_eq!(stopped.detail.as_deref(), Some("the guest switched itself off"));
    node.serial_says(&machine.id, "short-lived guest").await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_guest_hears_the_power_button() {
    let node = Node::new().await;
    let machine = node.run(&guests::obedient()).await;
    // No need to wait for the boot: the guest is asked until it hears.
    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Stopping);
    let refused = node.driver.start(&machine.id).await.unwrap_err();
    assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");
    node.reaches(&machine.id, MachineState::Stopped).await;

    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    let first = node.pid(&machine.id);
    node.driver.restart(&machine.id, RestartMethod::Graceful).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    assert_ne!(node.pid(&machine.id), first);
    node.clear().await;
}

#[tokio::test]
async fn qemu_guest_that_does_not_listen_is_switched_off_at_the_deadline() {
    let node = Node::with(|options| options.graceful_deadline = std::time::Duration::from_millis(300)).await;
    let machine = node.run(&guests::deaf()).await;
    node.driver.stop(&machine.id, StopMethod::AcpiOff).await.unwrap();
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running, "only asked");
    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_warm_and_cold_restarts() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    node.serial_says(&machine.id, "deaf guest").await;
    let pid = node.pid(&machine.id);
    node.driver.restart(&machine.id, RestartMethod::Warm).await.unwrap();
    node.serial_says(&machine.id, "deaf guest\r\ndeaf guest").await;
    assert_eq!(node.pid(&machine.id), pid, "the same process");
    node.driver.restart(&machine.id, RestartMethod::Cold).await.unwrap();
    node.serial_says(&machine.id, "deaf guest\r\ndeaf guest\r\ndeaf guest").await;
    assert_ne!(node.pid(&machine.id), pid, "another process");
    node.clear().await;
}

#[tokio::test]
async fn qemu_guest_that_resets_itself_for_ever_does_no_harm() {
    let node = Node::new().await;
    let machine = node.run(&guests::restless()).await;
    node.serial_says(&machine.id, "restless guest\r\nrestless guest").await;
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running);
    node.clear().await;
}

#[tokio::test]
async fn qemu_disk_is_never_smaller_than_asked_or_than_the_image() {
    let node = Node::new().await;
    let image = node.provide(&guests::deaf()).await;
    for (asked, got) in [(0, 1 << 20), ((3 << 20) + 1, (3 << 20) + 512)] {
        let wanted = backend::MachineSpec { disk_bytes: asked, ..spec(image) };
        let machine = node.driver.create(wanted).await.unwrap();
        let header = std::fs::read(node.directory(&machine.id).join("disk.qcow2")).unwrap();
        assert_eq!(u64::from_be_bytes(header[24..32].try_into().unwrap()), got);
    }
    node.clear().await;
}

#[tokio::test]
async fn qemu_images_in_use_stay() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let unused = node.provide(&guests::restless()).await;
    assert_eq!(node.driver.remove_unused_images().await.unwrap(), [unused]);
    node.driver.delete(&machine.id).await.unwrap();
    assert_eq!(node.driver.remove_unused_images().await.unwrap().len(), 1);
    node.clear().await;
}
