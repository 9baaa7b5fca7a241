//! A guest with an operating system: what it sees of itself, and that it hears us.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use backend::{
    CopyPurpose, Endpoint, Interface, Machine, MachineSize, MachineSpec, MachineState, SaveMethod, StopMethod,
    SuspendMethod,
};
use futures_util::TryStreamExt;

use crate::{
    networks::{interface, network},
    node::{Node, digest, names, spec, until},
    volumes::{attachment, tag, volume},
};

/// The image that `TOMBOLO_TEST_GUEST` names, or else a freshly built (usually cached) one.
fn guest_image() -> PathBuf {
    if let Some(path) = env::var_os("TOMBOLO_TEST_GUEST") {
        return path.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/build-guest");
    let built = Command::new(&script).stdin(Stdio::null()).output().unwrap();
    assert!(built.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&built.stderr));
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

struct Key {
    directory: PathBuf,
}

impl Key {
    fn new(directory: &Path) -> Self {
        let path = directory.join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
        assert!(made.unwrap().success());
        Self { directory: directory.to_owned() }
    }

    fn public(&self) -> String {
        fs::read_to_string(self.directory.join("key.pub")).unwrap()
    }

    /// Runs a command in the guest; nothing when that is not possible yet.
    async fn run(&self, at: &Endpoint, command: &str) -> Option<String> {
        let output = tokio::process::Command::new("ssh")
            .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "ConnectTimeout=60", "-p", &at.port.to_string(), "-i"])
            .arg(self.directory.join("key"))
            .args([&format!("root@{}", at.host), command])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

#[tokio::test]
async fn qemu_real_guest_is_what_was_asked_for_and_hears_the_power_button() {
    let node = Node::new().await;
    let key = Key::new(node.root.path());
    let path = guest_image();
    let image = fs::read(&path).unwrap();
    node.driver.link_image(digest(&image), image.len() as u64, path).await.unwrap();
    let wanted = MachineSpec {
        cores: 2,
        memory_mib: 160,
        ssh_keys: vec![key.public()],
        user_data: Some(b"#!/bin/sh\necho 'byte for byte: \"\\' > /tmp/effect\n".to_vec()),
        ..spec(digest(&image))
    };
    let machine = node.driver.create(wanted).await.unwrap();
    let answers = || async { node.driver.machine(&machine.id).unwrap().guest_answers.filter(|heard| *heard) };
    until(answers).await;

    let ssh = &machine.endpoints[0];
    let seen = until(|| key.run(ssh, "hostname; nproc; cat /tmp/effect")).await;
    assert_eq!(seen, "classroom-1\n2\nbyte for byte: \"\\\n");
    let memory = key.run(ssh, "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo").await.unwrap();
    let memory: u64 = memory.trim().parse().unwrap();
    assert!((160 << 10) * 7 / 10 < memory && memory < 160 << 10, "{memory} KiB");
    // The disk is written to in its overlay; the image stays as it is.
    assert_eq!(names(&node.options.data_dir.join("images")).len(), 1);

    node.driver.stop(&machine.id, StopMethod::Graceful).await.unwrap();
    let stopped = node.reaches(&machine.id, MachineState::Stopped).await;
    assert_eq!(stopped.guest_answers, Some(false));
    // The kernel's own last words tell a power off from a kill.
    node.serial_says(&machine.id, "Power down").await;

    node.driver.start(&machine.id).await.unwrap();
    until(answers).await;
    node.clear().await;
}

/// A running guest that lets us in.
async fn booted(node: &Node, key: &Key, memory_mib: u64) -> Machine {
    let path = guest_image();
    let image = fs::read(&path).unwrap();
    node.driver.link_image(digest(&image), image.len() as u64, path).await.unwrap();
    let wanted = MachineSpec { memory_mib, ssh_keys: vec![key.public()], ..spec(digest(&image)) };
    let machine = node.driver.create(wanted).await.unwrap();
    until(|| key.run(&machine.endpoints[0], "true")).await;
    machine
}

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn qemu_real_guest_sees_volumes_come_grow_and_go() {
    let mut node = Node::new().await;
    let key = Key::new(node.root.path());
    let machine = booted(&node, &key, 128).await;
    let (id, ssh) = (&machine.id, &machine.endpoints[0]);
    let disk = volume(&node, 32 * MIB).await;
    let wanted = attachment(&disk);
    let device = node.driver.attach(id, wanted.clone()).await.unwrap().device;
    assert_eq!(device, "/dev/vdc");
    let sectors = "until cat /sys/block/vdc/size 2>/dev/null; do sleep 0.2; done; cat /sys/block/vdc/serial";
    let seen = until(|| key.run(ssh, sectors)).await;
    let serial = disk.id.as_str().replace('-', "").split_off(12);
    assert_eq!(seen, format!("{}\n{serial}", 32 * MIB / 512));
    until(|| key.run(ssh, "echo written by the guest >/dev/vdc && sync")).await;

    // A copy of it while the guest has it, as QEMU's own tool sees it.
    let copy = tag();
    node.driver.copy_volume(&disk.id, CopyPurpose::Snapshot, copy).await.unwrap();
    let directory = node.options.data_dir.join("volumes").join(disk.id.as_str());
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "qcow2", "-O", "raw"]).arg(directory.join(format!("{copy}.snapshot.qcow2")));
    let flat = node.root.path().join("flat");
    assert!(convert.arg(&flat).status().unwrap().success());
    let copied = fs::read(flat).unwrap();
    assert!(copied == fs::read(directory.join("disk.raw")).unwrap());
    assert!(copied.starts_with(b"written by the guest\n"));

    node.driver.resize_volume(&disk.id, 48 * MIB).await.unwrap();
    let grown = format!("until [ $(cat /sys/block/vdc/size) = {} ]; do sleep 0.2; done", 48 * MIB / 512);
    until(|| key.run(ssh, &grown)).await;

    node.driver.detach(id, wanted.tag).await.unwrap();
    assert_eq!(until(|| key.run(ssh, "ls /sys/block")).await.matches("vdc").count(), 0);
    let raw = node.options.data_dir.join("volumes").join(disk.id.as_str()).join("disk.raw");
    assert!(fs::read(raw).unwrap().starts_with(b"written by the guest\n"));

    // The next driver, and the next boot, find it where it was.
    let again = attachment(&disk);
    assert_eq!(node.driver.attach(id, again).await.unwrap().device, "/dev/vdc");
    node.reopen().await;
    let read = until(|| key.run(ssh, "head -n 1 /dev/vdc")).await;
    assert_eq!(read, "written by the guest\n");
    node.driver.stop(id, StopMethod::Graceful).await.unwrap();
    node.reaches(id, MachineState::Stopped).await;
    node.driver.start(id).await.unwrap();
    let read = until(|| key.run(ssh, "head -n 1 /dev/vdc")).await;
    assert_eq!(read, "written by the guest\n");
    node.clear().await;
}

#[tokio::test]
async fn qemu_real_guest_keeps_its_memory_and_is_saved_and_resized() {
    let node = Node::new().await;
    let key = Key::new(node.root.path());
    let machine = booted(&node, &key, 128).await;
    let (id, ssh) = (&machine.id, &machine.endpoints[0]);
    // Its root is in memory.
    until(|| key.run(ssh, "echo remembered >/tmp/mark; cat /proc/sys/kernel/random/boot_id >/tmp/boot")).await;
    for method in [SuspendMethod::Suspend, SuspendMethod::Hibernate] {
        node.driver.suspend(id, method).await.unwrap();
        let suspended = node.reaches(id, MachineState::Suspended).await;
        assert_eq!(suspended.endpoints.is_empty(), method == SuspendMethod::Hibernate);
        node.driver.start(id).await.unwrap();
        node.reaches(id, MachineState::Running).await;
        let command = "cat /tmp/mark; cmp /tmp/boot /proc/sys/kernel/random/boot_id && echo same boot";
        assert_eq!(until(|| key.run(ssh, command)).await, "remembered\nsame boot\n");
    }

    // The first partition begins at 1 MiB: what is before it is nobody's.
    until(|| key.run(ssh, "echo saved words | dd of=/dev/vda bs=512 seek=100 conv=notrunc,fsync 2>/dev/null")).await;
    let saved = node.driver.save(id, SaveMethod::Hot).await.unwrap();
    let bytes = saved.bytes.try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(bytes.len() as u64, guest_image().metadata().unwrap().len());
    assert!(bytes[51_200..].starts_with(b"saved words\n"));

    let size = MachineSize { cores: 2, memory_mib: 192, disk_bytes: 64 * MIB };
    node.driver.resize(id, &size).await.unwrap();
    let command = "nproc; cat /sys/block/vda/size; ls /tmp/mark 2>/dev/null";
    let seen =
        until(|| async { key.run(ssh, &format!("{command} || true")).await.filter(|seen| seen.starts_with('2')) });
    assert_eq!(seen.await, format!("2\n{}\n", 64 * MIB / 512));

    // At rest QEMU's own tool may look at the disk as well.
    node.driver.stop(id, StopMethod::PowerOff).await.unwrap();
    node.reaches(id, MachineState::Stopped).await;
    let flat = node.root.path().join("flat");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "qcow2", "-O", "raw"]).arg(node.directory(id).join("disk.qcow2"));
    assert!(convert.arg(&flat).status().unwrap().success());
    let saved = node.driver.save(id, SaveMethod::Hot).await.unwrap();
    assert!(saved.bytes.try_collect::<Vec<_>>().await.unwrap().concat() == fs::read(flat).unwrap());
    node.clear().await;
}

/// Gives the interface that has this Ethernet address an IP address, whatever the guest calls it.
async fn configure(key: &Key, machine: &Machine, interface: &Interface, address: &str) {
    // Its own search for an address would take away what it is given here.
    let command = format!(
        "i=$(grep -l {mac} /sys/class/net/*/address) && i=${{i%/address}} && i=${{i##*/}} && echo $i >/tmp/nic || exit 1
        if [ ! -e /tmp/{mac} ]; then
            # It may have given up before it is looked for.
            for look in $(seq 60); do pkill -f \"udhcpc -i $i\" && break; sleep 0.2; done
            touch /tmp/{mac}
        fi
        ip link set $i up; ip addr add {address}/24 dev $i 2>/dev/null
        ip addr show dev $i | grep -q {address}",
        mac = interface.mac
    );
    until(|| key.run(&machine.endpoints[0], &command)).await;
}

/// Asks the other guest, by that interface and no other; answers in a word.
const ASK: &str = "ping -I $(cat /tmp/nic) -c 3 -W 5 10.9.0.2 >/dev/null && echo reached || echo lost";

#[tokio::test]
async fn qemu_real_guests_reach_each_other_on_their_network_and_nobody_else() {
    let mut node = Node::new().await;
    let key = Key::new(node.root.path());
    let (one, other) = tokio::join!(booted(&node, &key, 96), booted(&node, &key, 96));
    let (net, elsewhere) = (network(&node).await, network(&node).await);
    let near = node.driver.plug(&one.id, interface(&net)).await.unwrap();
    let far = node.driver.plug(&other.id, interface(&net)).await.unwrap();
    configure(&key, &one, &near, "10.9.0.1").await;
    configure(&key, &other, &far, "10.9.0.2").await;
    let ssh = &one.endpoints[0];
    let reached = || async { key.run(ssh, ASK).await.filter(|answer| answer == "reached\n") };
    until(reached).await;
    // The switch comes back with the next driver.
    node.reopen().await;
    until(reached).await;

    node.driver.set_network_up(&net.id, false).await.unwrap();
    assert_eq!(until(|| key.run(ssh, ASK)).await, "lost\n");
    node.driver.set_network_up(&net.id, true).await.unwrap();
    until(reached).await;

    // From the one network to the other there is no way.
    node.driver.unplug(&other.id, far.tag).await.unwrap();
    let there = node.driver.plug(&other.id, interface(&elsewhere)).await.unwrap();
    configure(&key, &other, &there, "10.9.0.2").await;
    assert_eq!(until(|| key.run(ssh, ASK)).await, "lost\n");
    node.clear().await;
}
