use std::time::Duration;

use backend::{BackendError, MachineSize, MachineState, SaveMethod, SavedDisk, StopMethod, SuspendMethod};
use futures_util::{StreamExt, TryStreamExt};
use node_driver::NodeError;

use crate::{
    guests,
    node::{Node, names},
};

async fn bytes(disk: SavedDisk) -> Vec<u8> {
    let chunks: Vec<_> = disk.bytes.try_collect().await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 1 << 20));
    let all = chunks.concat();
    assert_eq!(all.len() as u64, disk.size);
    all
}

#[tokio::test]
async fn qemu_disk_is_saved_while_the_guest_runs_sleeps_or_is_off() {
    let node = Node::with(|options| options.graceful_deadline = Duration::from_millis(200)).await;
    let machine = node.run(&guests::writing()).await;
    node.serial_says(&machine.id, "writing guest\r\nW").await;
    let id = &machine.id;
    let pid = node.pid(id);
    assert!(bytes(node.driver.save(id, SaveMethod::Hot).await.unwrap()).await == guests::written());
    assert_eq!((node.driver.machine(id).unwrap().state, node.pid(id)), (MachineState::Running, pid));

    assert!(bytes(node.driver.save(id, SaveMethod::Deferred).await.unwrap()).await == guests::written());
    node.reaches(id, MachineState::Running).await;
    assert_ne!(node.pid(id), pid, "it was off meanwhile");

    for method in [SuspendMethod::Suspend, SuspendMethod::Hibernate] {
        node.driver.suspend(id, method).await.unwrap();
        node.reaches(id, MachineState::Suspended).await;
        let refused = node.driver.save(id, SaveMethod::Deferred).await.unwrap_err();
        assert!(matches!(refused, NodeError::Conflict { .. }), "{refused}");
        assert!(bytes(node.driver.save(id, SaveMethod::Hot).await.unwrap()).await == guests::written());
    }
    node.driver.stop(id, StopMethod::PowerOff).await.unwrap();
    node.reaches(id, MachineState::Stopped).await;
    // A disk that has not grown yet is as large as was promised.
    let size = MachineSize { cores: 1, memory_mib: 32, disk_bytes: (3 << 20) + 512 };
    node.driver.resize(id, &size).await.unwrap();
    for method in [SaveMethod::Hot, SaveMethod::Deferred] {
        let mut expected = guests::written();
        expected.resize((3 << 20) + 512, 0);
        assert!(bytes(node.driver.save(id, method).await.unwrap()).await == expected);
        assert_eq!(node.driver.machine(id).unwrap().state, MachineState::Stopped);
    }
    assert!(!names(&node.directory(id)).iter().any(|name| name.contains("saved")));
    node.clear().await;
}

#[tokio::test]
async fn qemu_saves_are_few_at_a_time_and_leave_nothing_when_they_are_given_up() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let id = &machine.id;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(node.driver.save(id, SaveMethod::Hot).await.unwrap());
    }
    let refused = BackendError::from(&node.driver.save(id, SaveMethod::Hot).await.unwrap_err());
    assert!(matches!(refused, BackendError::Capacity(_)), "{refused}");
    let mut last = held.pop().unwrap();
    assert!(last.bytes.next().await.unwrap().is_ok());
    drop(last);
    node.driver.save(id, SaveMethod::Hot).await.unwrap();
    assert!(!names(&node.directory(id)).iter().any(|name| name.contains("saved")));
    drop(held);

    // A driver that was killed in the middle leaves a file, and perhaps a job.
    std::fs::write(node.directory(id).join("saved.qcow2"), b"half").unwrap();
    node.reopen().await;
    node.driver.save(id, SaveMethod::Hot).await.unwrap();
    assert!(!names(&node.directory(id)).iter().any(|name| name.contains("saved")));

    // One that nobody waits for does not keep the next one from its turn.
    {
        let save = node.driver.save(id, SaveMethod::Hot);
        tokio::pin!(save);
        assert!(futures_util::poll!(&mut save).is_pending());
    }
    crate::node::until(|| async { node.driver.save(id, SaveMethod::Hot).await.ok() }).await;
    node.clear().await;
}

#[tokio::test]
async fn qemu_save_without_room_is_refused() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    node.options.disk_reserve_bytes = u64::MAX;
    node.reopen().await;
    let refused = BackendError::from(&node.driver.save(&machine.id, SaveMethod::Hot).await.unwrap_err());
    assert!(matches!(refused, BackendError::Capacity(_)), "{refused}");
    let refused = BackendError::from(&node.driver.suspend(&machine.id, SuspendMethod::Hibernate).await.unwrap_err());
    assert!(matches!(refused, BackendError::Capacity(_)), "{refused}");
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running);
    node.clear().await;
}
