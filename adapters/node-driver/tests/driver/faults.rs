use std::{net::TcpListener, path::Path};

use backend::{BackendError, IntentTag, MachineSpec, MachineState};
use disk_image::ContentDigest;
use node_driver::{Driver, NodeError};
use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::{
    guests,
    node::{Node, simulated_qemu, spec},
};

fn kind(error: &NodeError) -> BackendError {
    error.into()
}

#[tokio::test]
async fn wishes_that_cannot_be_fulfilled_are_refused_by_name() {
    let node = Node::with(|options| {
        options.max_cores = Some(2);
        options.max_memory_mib = Some(64);
        options.max_disk_bytes = Some(1 << 30);
    })
    .await;
    let good = spec(node.provide(&guests::deaf()).await);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA a\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA b";
    for (wanted, says) in [
        (MachineSpec { cores: 3, ..good.clone() }, "1 to 2"),
        (MachineSpec { cores: 0, ..good.clone() }, "1 to 2"),
        (MachineSpec { memory_mib: 65, ..good.clone() }, "16 to 64"),
        (MachineSpec { memory_mib: u64::MAX, ..good.clone() }, "16 to 64"),
        (MachineSpec { disk_bytes: u64::MAX, ..good.clone() }, "up to 1073741824"),
        (MachineSpec { hostname: Some("a\nb".into()), ..good.clone() }, "host name"),
        (MachineSpec { ssh_keys: vec![key.into()], ..good.clone() }, "several lines"),
        (MachineSpec { user_data: Some(vec![0; (1 << 20) + 1]), ..good.clone() }, "user data"),
        (MachineSpec { name: "n".repeat(2000), ..good.clone() }, "name"),
    ] {
        let refused = node.driver.create(wanted.clone()).await.unwrap_err();
        assert!(matches!(kind(&refused), BackendError::Refused(text) if text.contains(says)), "{refused}");
        assert_eq!(node.driver.find_by_tag(wanted.tag).await, None);
    }
    let absent = ContentDigest::from_bytes([9; 32]);
    let unknown = node.driver.create(MachineSpec { image: absent, ..good }).await.unwrap_err();
    assert!(matches!(kind(&unknown), BackendError::NotFound(_)), "{unknown}");
    node.clear().await;
}

#[tokio::test]
async fn a_node_without_qemu_says_what_to_install() {
    let node = Node::with(|options| options.qemu = Some("/nonexistent/qemu-system-x86_64".into())).await;
    let described = node.driver.describe().await;
    let obstacle = described.obstacle.expect("nothing can be created");
    assert!(obstacle.contains("/nonexistent/qemu-system-x86_64"), "{obstacle}");
    let image = node.provide(&guests::deaf()).await;
    let refused = node.driver.create(spec(image)).await.unwrap_err();
    assert!(matches!(kind(&refused), BackendError::Refused(text) if text == obstacle), "{refused}");
    node.clear().await;
}

#[tokio::test]
async fn a_simulated_qemu_that_dies_at_once_is_quoted() {
    let root = tempfile::tempdir().unwrap();
    let qemu = simulated_qemu(root.path(), "echo 'no hope: out of luck' >&2; exit 3");
    let node = Node::with(|options| options.qemu = Some(qemu)).await;
    let wanted = spec(node.provide(&guests::deaf()).await);
    let failed = node.driver.create(wanted.clone()).await.unwrap_err();
    let BackendError::Failed(text) = kind(&failed) else { panic!("{failed:?}") };
    assert!(text.contains("no hope: out of luck") && text.contains("exit status: 3"), "{text}");
    assert_eq!(node.driver.find_by_tag(wanted.tag).await, None);
    node.clear().await;
}

#[tokio::test]
async fn a_simulated_qemu_that_floods_its_log_is_quoted_in_bounds() {
    let root = tempfile::tempdir().unwrap();
    let qemu = simulated_qemu(root.path(), "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3");
    let node = Node::with(|options| options.qemu = Some(qemu)).await;
    let failed = node.driver.create(spec(node.provide(&guests::deaf()).await)).await.unwrap_err();
    assert!(failed.to_string().len() < 4000);
    node.clear().await;
}

#[tokio::test]
async fn qemu_takes_the_next_port_when_one_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let node = Node::with(|options| options.ssh_ports = port..=port.saturating_add(100)).await;
    let machine = node.run(&guests::deaf()).await;
    assert_ne!(machine.endpoints[0].port, port);

    // The same for a machine whose port was taken while it was off.
    node.driver.stop(&machine.id, backend::StopMethod::PowerOff).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    let thief = TcpListener::bind(("127.0.0.1", machine.endpoints[0].port)).unwrap();
    node.driver.start(&machine.id).await.unwrap();
    let moved = node.reaches(&machine.id, MachineState::Running).await;
    assert_ne!(moved.endpoints, machine.endpoints);
    drop((taken, thief));
    node.clear().await;
}

#[tokio::test]
async fn qemu_nodes_that_want_the_same_ports_share_them() {
    let one = Node::new().await;
    let ports = one.options.ssh_ports.clone();
    let other = Node::with(|options| options.ssh_ports = ports).await;
    let guest = guests::deaf();
    for _ in 0..3 {
        let (first, second) = tokio::join!(one.run(&guest), other.run(&guest));
        assert_ne!(first.endpoints, second.endpoints);
    }
    for node in [&one, &other] {
        for machine in node.driver.machines() {
            node.driver.delete(&machine.id).await.unwrap();
        }
    }
    one.clear().await;
    other.clear().await;
}

#[tokio::test]
async fn a_simulated_qemu_that_loses_the_race_for_its_port_is_started_again() {
    let root = tempfile::tempdir().unwrap();
    let tries = root.path().join("tries");
    let body = format!(
        "echo again >>{}; echo 'Could not set up host forwarding rule tcp:127.0.0.1:1-:22' >&2; exit 1",
        tries.display()
    );
    let qemu = simulated_qemu(root.path(), &body);
    let node = Node::with(|options| options.qemu = Some(qemu)).await;
    let failed = node.driver.create(spec(node.provide(&guests::deaf()).await)).await.unwrap_err();
    assert!(matches!(kind(&failed), BackendError::Capacity(_)), "{failed}");
    assert!(std::fs::read_to_string(tries).unwrap().lines().count() > 1);
    node.clear().await;
}

#[tokio::test]
async fn no_port_and_no_memory_and_no_disk_are_a_lack_of_room() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let no_port = Node::with(|options| options.ssh_ports = port..=port).await;
    let no_disk = Node::with(|options| options.disk_reserve_bytes = 0).await;
    let image = no_port.provide(&guests::deaf()).await;
    no_disk.provide(&guests::deaf()).await;
    let failed = no_port.driver.create(spec(image)).await.unwrap_err();
    assert!(matches!(kind(&failed), BackendError::Capacity(_)), "{failed}");
    assert_eq!(no_port.machine_directories(), Vec::<String>::new());

    let mut full = no_disk.options.clone();
    no_disk.driver.close().await;
    full.disk_reserve_bytes = u64::MAX;
    let driver = Driver::open(full).await.unwrap();
    assert!(driver.describe().await.obstacle.is_some_and(|text| text.contains("free")));
    let failed = driver.create(spec(image)).await.unwrap_err();
    assert!(matches!(kind(&failed), BackendError::Capacity(_)), "{failed}");
    driver.close().await;
}

#[tokio::test]
async fn qemu_memory_is_given_once() {
    let unreserved = Node::with(|options| options.memory_reserve_mib = Some(0)).await;
    let all = unreserved.driver.describe().await.limits.memory_mib;
    let node = Node::with(|options| options.memory_reserve_mib = Some(all - 80)).await;
    let machine = node.run(&guests::deaf()).await;
    let image = node.provide(&guests::deaf()).await;
    let room = node.driver.describe().await.limits.memory_mib;
    let wanted = MachineSpec { memory_mib: room - 16, ..spec(image) };
    let failed = node.driver.create(wanted.clone()).await.unwrap_err();
    assert!(matches!(kind(&failed), BackendError::Capacity(_)), "{failed}");
    node.driver.delete(&machine.id).await.unwrap();
    node.driver.create(wanted).await.unwrap();
    node.clear().await;
}

#[tokio::test]
async fn qemu_that_is_killed_makes_a_failed_machine_which_starts_again() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let pid = Pid::from_raw(node.pid(&machine.id).try_into().unwrap()).unwrap();
    kill_process(pid, Signal::SEGV).unwrap();
    let failed = crate::node::until(|| async {
        let machine = node.driver.machine(&machine.id).unwrap();
        (machine.state == MachineState::Failed).then_some(machine)
    })
    .await;
    assert!(failed.detail.as_deref().is_some_and(|detail| detail.contains("signal")), "{failed:?}");
    node.driver.start(&machine.id).await.unwrap();
    crate::node::until(|| async {
        (node.driver.machine(&machine.id).unwrap().state == MachineState::Running).then_some(())
    })
    .await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_creates_with_one_tag_make_one_machine() {
    let node = Node::new().await;
    let wanted = spec(node.provide(&guests::deaf()).await);
    let (one, two, three) = tokio::join!(
        node.driver.create(wanted.clone()),
        node.driver.create(wanted.clone()),
        node.driver.create(wanted.clone())
    );
    let ids = [one.unwrap().id, two.unwrap().id, three.unwrap().id];
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(node.driver.machines().len(), 1);
    assert_eq!(node.driver.find_by_tag(wanted.tag).await.unwrap().id, ids[0]);
    node.clear().await;
}

#[tokio::test]
async fn qemu_create_that_nobody_waits_for_comes_to_an_end() {
    let node = Node::new().await;
    let wanted = spec(node.provide(&guests::deaf()).await);
    {
        let create = node.driver.create(wanted.clone());
        tokio::pin!(create);
        assert!(futures_util::poll!(&mut create).is_pending());
    }
    // Asked at once, since "none" would make a broker forget the machine that is about to be there.
    let found = node.driver.find_by_tag(wanted.tag).await.unwrap();
    node.reaches(&found.id, MachineState::Running).await;
    node.clear().await;
}

#[tokio::test]
async fn unknown_machines_are_unknown_and_their_delete_is_a_success() {
    let node = Node::new().await;
    let id = "nobody".parse().unwrap();
    assert!(matches!(node.driver.machine(&id), Err(NodeError::UnknownMachine(_))));
    assert!(matches!(node.driver.start(&id).await, Err(NodeError::UnknownMachine(_))));
    assert_eq!(node.driver.find_by_tag(IntentTag(Uuid::now_v7())).await, None);
    node.driver.delete(&id).await.unwrap();
    node.clear().await;
}

#[tokio::test]
async fn impossible_options_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let base = crate::node::options(&root.path().join("node"));
    let mut sixth = base.clone();
    sixth.forward_host = "::1".parse().unwrap();
    let mut ports = base.clone();
    ports.ssh_ports = 0..=10;
    let mut unwritable = base;
    unwritable.data_dir = Path::new("/proc/nowhere").to_owned();
    for options in [sixth, ports, unwritable] {
        assert!(Driver::open(options).await.is_err());
    }
}
