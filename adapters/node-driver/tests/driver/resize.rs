use std::time::Duration;

use backend::{BackendError, MachineId, MachineSize, MachineState, StopMethod, SuspendMethod};
use node_driver::NodeError;

use crate::{
    guests,
    node::{Node, command_line},
};

const MIB: u64 = 1 << 20;

async fn node() -> Node {
    Node::with(|options| {
        options.graceful_deadline = Duration::from_millis(200);
        options.max_cores = Some(4);
        options.max_memory_mib = Some(128);
        options.max_disk_bytes = Some(8 << 30);
    })
    .await
}

fn disk(node: &Node, id: &MachineId) -> u64 {
    let header = std::fs::read(node.directory(id).join("disk.qcow2")).unwrap();
    u64::from_be_bytes(header[24..32].try_into().unwrap())
}

fn board(node: &Node, id: &MachineId) -> (String, String) {
    let line = command_line(node.pid(id));
    let value = |flag: &str| line.windows(2).find(|pair| pair[0] == flag).unwrap()[1].clone();
    (value("-smp").split(',').next().unwrap().to_owned(), value("-m"))
}

#[tokio::test]
async fn qemu_stopped_machine_stays_stopped_and_starts_larger() {
    let node = node().await;
    let machine = node.run(&guests::deaf()).await;
    node.driver.stop(&machine.id, StopMethod::PowerOff).await.unwrap();
    node.reaches(&machine.id, MachineState::Stopped).await;
    // Beyond what one table of the disk's format maps, so that it has to be moved.
    let size = MachineSize { cores: 3, memory_mib: 48, disk_bytes: 3 << 30 };
    node.driver.resize(&machine.id, &size).await.unwrap();
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Stopped);
    node.driver.start(&machine.id).await.unwrap();
    node.reaches(&machine.id, MachineState::Running).await;
    assert_eq!(board(&node, &machine.id), ("3".into(), "48M".into()));
    assert_eq!(disk(&node, &machine.id), 3 << 30);
    node.clear().await;
}

#[tokio::test]
async fn qemu_running_machine_starts_anew_for_cores_and_memory_but_not_for_its_disk() {
    let mut node = node().await;
    let machine = node.run(&guests::deaf()).await;
    let first = node.pid(&machine.id);
    let size = MachineSize { cores: 1, memory_mib: 32, disk_bytes: 2 * MIB };
    node.driver.resize(&machine.id, &size).await.unwrap();
    assert_eq!((node.pid(&machine.id), disk(&node, &machine.id)), (first, 2 * MIB));

    let larger = MachineSize { cores: 2, memory_mib: 40, disk_bytes: 5 * MIB };
    node.driver.resize(&machine.id, &larger).await.unwrap();
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Stopping);
    // The next driver goes on with it.
    node.reopen().await;
    node.reaches(&machine.id, MachineState::Running).await;
    let second = node.pid(&machine.id);
    assert_ne!(first, second);
    assert_eq!(board(&node, &machine.id), ("2".into(), "40M".into()));
    assert_eq!(disk(&node, &machine.id), 5 * MIB);

    node.driver.resize(&machine.id, &larger).await.unwrap();
    let less = MachineSize { disk_bytes: 0, ..larger };
    node.driver.resize(&machine.id, &less).await.unwrap();
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running);
    assert_eq!((node.pid(&machine.id), disk(&node, &machine.id)), (second, 5 * MIB), "it has this size already");
    node.clear().await;
}

#[tokio::test]
async fn qemu_sizes_past_the_limits_are_refused_and_sleepers_are_left_alone() {
    let node = node().await;
    let machine = node.run(&guests::deaf()).await;
    let good = MachineSize { cores: 1, memory_mib: 32, disk_bytes: 0 };
    for size in [
        MachineSize { cores: 5, ..good },
        MachineSize { cores: 0, ..good },
        MachineSize { memory_mib: 129, ..good },
        MachineSize { memory_mib: 1, ..good },
        MachineSize { disk_bytes: u64::MAX, ..good },
    ] {
        let refused = BackendError::from(&node.driver.resize(&machine.id, &size).await.unwrap_err());
        assert!(matches!(refused, BackendError::Refused(_)), "{refused}");
    }
    for method in [SuspendMethod::Suspend, SuspendMethod::Hibernate] {
        node.driver.suspend(&machine.id, method).await.unwrap();
        node.reaches(&machine.id, MachineState::Suspended).await;
        let size = MachineSize { cores: 2, ..good };
        let refused = node.driver.resize(&machine.id, &size).await.unwrap_err();
        assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");
        node.driver.start(&machine.id).await.unwrap();
        node.reaches(&machine.id, MachineState::Running).await;
    }
    node.clear().await;
}
