//! A guest with an operating system: what it sees of itself, and that it hears us.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use backend::{Endpoint, MachineSpec, MachineState, StopMethod};

use crate::node::{Node, digest, names, spec, until};

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
            .args(["-o", "ConnectTimeout=10", "-p", &at.port.to_string(), "-i"])
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
