use std::fs;

use backend::{
    Attachment, AttachmentSpec, BackendError, CopyPurpose, IntentTag, MachineId, MachineState, StopMethod,
    SuspendMethod, Volume, VolumeId, VolumeSpec, VolumeState,
};
use node_driver::NodeError;
use uuid::Uuid;

use crate::{
    guests,
    node::{Node, command_line, names},
};

const MIB: u64 = 1 << 20;

pub fn tag() -> IntentTag {
    IntentTag(Uuid::now_v7())
}

pub async fn volume(node: &Node, size_bytes: u64) -> Volume {
    node.driver.create_volume(VolumeSpec { tag: tag(), name: "test".into(), size_bytes }).await.unwrap()
}

pub fn attachment(volume: &Volume) -> AttachmentSpec {
    AttachmentSpec { tag: tag(), volume: volume.id.clone(), device: None }
}

fn conflict<T: std::fmt::Debug>(answer: Result<T, NodeError>) {
    let error = BackendError::from(&answer.unwrap_err());
    assert!(matches!(error, BackendError::Conflict(_)), "{error}");
}

/// Whether the machine's QEMU was started with the volume.
fn starts_with(node: &Node, machine: &MachineId, volume: &VolumeId) -> bool {
    command_line(node.pid(machine)).iter().any(|word| word.contains(&format!("volumes/{volume}/disk.raw")))
}

/// Whether the machine's QEMU has the volume's file open.
fn has_open(node: &Node, machine: &MachineId, volume: &VolumeId) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", node.pid(machine))).unwrap();
    let mut paths = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    paths.any(|path| path.ends_with(format!("volumes/{volume}/disk.raw")))
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
async fn volumes_are_made_once_grow_and_go() {
    let mut node = Node::with(|options| options.max_disk_bytes = Some(1 << 30)).await;
    let spec = VolumeSpec { tag: tag(), name: "mine".into(), size_bytes: 64 * MIB };
    let made = node.driver.create_volume(spec.clone()).await.unwrap();
    assert_eq!((made.state, made.size_bytes, made.tag), (VolumeState::Online, 64 * MIB, spec.tag));
    assert_eq!(node.driver.create_volume(spec.clone()).await.unwrap(), made);
    assert_eq!(node.driver.find_volume_by_tag(spec.tag).await.as_ref(), Some(&made));
    node.driver.resize_volume(&made.id, 100 * MIB).await.unwrap();
    node.driver.set_volume_online(&made.id, false).await.unwrap();
    node.reopen().await;
    let found = node.driver.volumes().await.unwrap();
    assert_eq!(found, [Volume { state: VolumeState::Offline, size_bytes: 100 * MIB, ..made.clone() }]);
    for size_bytes in [0, 100, MIB, (1 << 30) + 512, u64::MAX] {
        let refused = BackendError::from(&node.driver.resize_volume(&made.id, size_bytes).await.unwrap_err());
        assert!(matches!(refused, BackendError::Refused(_)), "{refused}");
    }
    for size_bytes in [0, 513, (1 << 30) + 512] {
        let wanted = VolumeSpec { tag: tag(), size_bytes, ..spec.clone() };
        let refused = BackendError::from(&node.driver.create_volume(wanted).await.unwrap_err());
        assert!(matches!(refused, BackendError::Refused(_)), "{refused}");
    }
    node.driver.delete_volume(&made.id).await.unwrap();
    node.driver.delete_volume(&made.id).await.unwrap();
    assert!(matches!(node.driver.volume(&made.id).await, Err(NodeError::UnknownVolume(_))));
    assert_eq!(names(&node.options.data_dir.join("volumes")), Vec::<String>::new());
    node.clear().await;
}

#[tokio::test]
async fn copies_are_made_once_bounded_and_take_no_room_for_zeros() {
    let node = Node::new().await;
    let made = volume(&node, 512 * MIB).await;
    let directory = node.options.data_dir.join("volumes").join(made.id.as_str());
    let one = tag();
    for _ in 0..2 {
        node.driver.copy_volume(&made.id, CopyPurpose::Backup, one).await.unwrap();
    }
    assert_eq!(names(&directory), [format!("{one}.backup.raw"), "disk.raw".into(), "volume.json".into()]);
    let copy = fs::metadata(directory.join(format!("{one}.backup.raw"))).unwrap();
    assert_eq!(copy.len(), 512 * MIB);
    assert!(std::os::unix::fs::MetadataExt::blocks(&copy) < 100);
    for _ in 1..16 {
        node.driver.copy_volume(&made.id, CopyPurpose::Snapshot, tag()).await.unwrap();
    }
    let refused =
        BackendError::from(&node.driver.copy_volume(&made.id, CopyPurpose::Snapshot, tag()).await.unwrap_err());
    assert!(matches!(refused, BackendError::Capacity(_)), "{refused}");
    node.driver.delete_volume(&made.id).await.unwrap();
    assert!(!directory.exists(), "the copies as well");
    node.clear().await;
}

#[tokio::test]
async fn what_is_half_made_goes_and_what_cannot_be_read_stays() {
    let mut node = Node::new().await;
    let made = volume(&node, MIB).await;
    node.driver.close().await;
    let volumes = node.options.data_dir.join("volumes");
    fs::create_dir(volumes.join("half")).unwrap();
    fs::write(volumes.join("half").join("disk.raw"), b"nothing yet").unwrap();
    fs::create_dir(volumes.join("precious")).unwrap();
    fs::write(volumes.join("precious").join("volume.json"), b"{\"version\": 99}").unwrap();
    fs::write(volumes.join(made.id.as_str()).join("x.unfinished"), b"half a copy").unwrap();
    // Claimed for a machine that is gone.
    let card = volumes.join(made.id.as_str()).join("volume.json");
    let claim = format!("\"claim\": {{\"machine\": \"gone\", \"tag\": \"{}\"}}", Uuid::now_v7());
    fs::write(&card, fs::read_to_string(&card).unwrap().replace("\"claim\": null", &claim)).unwrap();
    node.reopen().await;
    assert_eq!(names(&volumes), [made.id.as_str(), "precious"]);
    assert_eq!(names(&volumes.join(made.id.as_str())), ["disk.raw", "volume.json"]);
    assert_eq!(node.driver.volumes().await.unwrap(), std::slice::from_ref(&made));
    node.driver.delete_volume(&made.id).await.unwrap();
    node.clear().await;
}

#[tokio::test]
async fn qemu_volume_is_put_into_a_machine_that_is_off() {
    let mut node = Node::new().await;
    let (first, second) = (node.run(&guests::deaf()).await, node.run(&guests::deaf()).await);
    stop(&node, &first.id).await;
    let disk = volume(&node, 4 * MIB).await;
    let wanted = attachment(&disk);
    let there = node.driver.attach(&first.id, wanted.clone()).await.unwrap();
    assert_eq!(there, Attachment { tag: wanted.tag, volume: disk.id.clone(), device: "/dev/vdc".into() });
    assert_eq!(node.driver.attach(&first.id, wanted.clone()).await.unwrap(), there);
    conflict(node.driver.attach(&second.id, attachment(&disk)).await);
    conflict(node.driver.attach(&first.id, attachment(&disk)).await);
    conflict(node.driver.delete_volume(&disk.id).await);
    conflict(node.driver.set_volume_online(&disk.id, false).await);
    node.driver.copy_volume(&disk.id, CopyPurpose::Backup, tag()).await.unwrap();
    node.driver.resize_volume(&disk.id, 8 * MIB).await.unwrap();
    let absent = AttachmentSpec { volume: "nothing".parse().unwrap(), ..attachment(&disk) };
    let unknown = node.driver.attach(&first.id, absent).await.unwrap_err();
    assert!(matches!(unknown, NodeError::UnknownVolume(_)), "{unknown}");

    start(&node, &first.id).await;
    assert!(starts_with(&node, &first.id, &disk.id));
    let copy = tag();
    for _ in 0..2 {
        node.driver.copy_volume(&disk.id, CopyPurpose::Snapshot, copy).await.unwrap();
    }
    let directory = node.options.data_dir.join("volumes").join(disk.id.as_str());
    assert!(directory.join(format!("{copy}.snapshot.qcow2")).exists());
    assert_eq!(names(&directory).len(), 4, "two copies, and nothing unfinished");
    node.driver.resize_volume(&disk.id, 16 * MIB).await.unwrap();
    assert_eq!(node.driver.volume(&disk.id).await.unwrap().size_bytes, 16 * MIB);

    // Asleep it stays where it is, and is there again.
    node.driver.suspend(&first.id, SuspendMethod::Hibernate).await.unwrap();
    node.reaches(&first.id, MachineState::Suspended).await;
    conflict(node.driver.detach(&first.id, wanted.tag).await);
    conflict(node.driver.resize_volume(&disk.id, 32 * MIB).await);
    node.reopen().await;
    start(&node, &first.id).await;
    assert!(starts_with(&node, &first.id, &disk.id));

    stop(&node, &first.id).await;
    node.driver.detach(&first.id, wanted.tag).await.unwrap();
    node.driver.detach(&first.id, wanted.tag).await.unwrap();
    start(&node, &first.id).await;
    assert!(!starts_with(&node, &first.id, &disk.id));
    node.driver.delete_volume(&disk.id).await.unwrap();
    node.clear().await;
}

#[tokio::test]
async fn qemu_volume_comes_and_goes_while_a_deaf_guest_runs() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    node.serial_says(&machine.id, "deaf guest").await;
    let disk = volume(&node, 4 * MIB).await;
    let wanted = attachment(&disk);
    node.driver.attach(&machine.id, wanted.clone()).await.unwrap();
    assert!(has_open(&node, &machine.id, &disk.id));
    // The next driver knows it, and puts it in if the last one did not come to it.
    node.reopen().await;
    assert_eq!(node.driver.attach(&machine.id, wanted.clone()).await.unwrap().device, "/dev/vdc");
    conflict(node.driver.delete_volume(&disk.id).await);

    // The guest does not let go, and loses it all the same.
    node.driver.detach(&machine.id, wanted.tag).await.unwrap();
    assert!(!has_open(&node, &machine.id, &disk.id));
    assert_eq!(node.driver.machine(&machine.id).unwrap().state, MachineState::Running);
    // Its place is free when the machine was off.
    let again = attachment(&disk);
    assert_eq!(node.driver.attach(&machine.id, again.clone()).await.unwrap().device, "/dev/vdd");
    node.driver.delete(&machine.id).await.unwrap();
    assert_eq!(node.driver.volume(&disk.id).await.unwrap().detail, None, "free again");
    node.driver.delete_volume(&disk.id).await.unwrap();
    node.clear().await;
}

#[tokio::test]
async fn qemu_volume_whose_attachment_was_cut_short_is_put_in_or_out() {
    let mut node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    let (missing, leaving) = (volume(&node, MIB).await, volume(&node, MIB).await);
    stop(&node, &machine.id).await;
    let specs = [attachment(&missing), attachment(&leaving)];
    for spec in &specs {
        node.driver.attach(&machine.id, spec.clone()).await.unwrap();
    }
    // As if the driver had been killed after it wrote that one is to go.
    node.driver.close().await;
    let record = node.directory(&machine.id).join("machine.json");
    let text = fs::read_to_string(&record).unwrap();
    let (head, tail) = text.rsplit_once("\"leaving\": false").unwrap();
    fs::write(&record, format!("{head}\"leaving\": true{tail}")).unwrap();
    node.reopen().await;
    start(&node, &machine.id).await;
    assert!(starts_with(&node, &machine.id, &missing.id) && !starts_with(&node, &machine.id, &leaving.id));
    node.driver.delete_volume(&leaving.id).await.unwrap();
    conflict(node.driver.delete_volume(&missing.id).await);
    node.clear().await;
}

#[tokio::test]
async fn qemu_machine_has_places_for_eight_volumes() {
    let node = Node::new().await;
    let machine = node.run(&guests::deaf()).await;
    for letter in "cdefghij".chars() {
        let disk = volume(&node, MIB).await;
        let there = node.driver.attach(&machine.id, attachment(&disk)).await.unwrap();
        assert_eq!(there.device, format!("/dev/vd{letter}"));
    }
    let disk = volume(&node, MIB).await;
    let refused = BackendError::from(&node.driver.attach(&machine.id, attachment(&disk)).await.unwrap_err());
    assert!(matches!(refused, BackendError::Refused(_)), "{refused}");
    assert_eq!(node.driver.volume(&disk.id).await.unwrap().detail, None);
    stop(&node, &machine.id).await;
    start(&node, &machine.id).await;
    node.clear().await;
}
