//! The main job with a real QEMU and a real guest: from an appliance to a machine that answers SSH.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use tokio::time::{Duration, Instant, sleep};

use crate::server::{Home, SIZE_SCHEME, Server};

pub const LOCAL_NODE: &str = "[node]\naccelerator = \"tcg\"\nfirst_port = 23000\nlast_port = 23999\n";

/// The QEMU processes whose machines lie below this data directory: process ids.
pub fn qemu_processes(data_dir: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let below = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(data_dir.join("node")));
        if below && name.starts_with("qemu") {
            found.push(pid);
        }
    }
    found
}

/// Everything that belongs to machines below this data directory.
pub fn machine_directories(data_dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(data_dir.join("node/machines")).map_or_else(
        |_| Vec::new(),
        |entries| entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect(),
    )
}

/// Waits until the condition holds, for half a minute at the most.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within half a minute");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The number of rows in a table, as another program reads it.
pub fn rows(home: &Home, table: &str) -> String {
    let database = home.data_dir().join("tombolo.sqlite");
    let output = Command::new("sqlite3").arg(database).arg(format!("select count(*) from {table}")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The guest image that `scripts/build-guest` makes.
fn guest_image() -> PathBuf {
    if let Some(path) = std::env::var_os("TOMBOLO_TEST_GUEST") {
        return path.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/build-guest");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().into()
}

struct Login<'a> {
    key: PathBuf,
    host: String,
    port: String,
    server: &'a Server,
    location: &'a str,
}

impl Login<'_> {
    fn run(&self, command: &str) -> Output {
        Command::new("ssh")
            .args(["-i", self.key.to_str().unwrap(), "-p", &self.port])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"])
            .args(["-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", &format!("root@{}", self.host), command])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What the command prints, once the guest answers.
    async fn ask(&self, command: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let output = self.run(command);
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            // A machine that is no longer there will not answer later.
            let entity = self.server.entity(self.location).await;
            let is_there = entity["attributes"]["occi.compute.state"] == "active";
            let story = || format!("{command:?} in the guest: {errors}\n{entity:#}\n{}", self.server.log());
            assert!(is_there && Instant::now() < deadline, "{}", story());
            sleep(Duration::from_millis(500)).await;
        }
    }
}

#[tokio::test]
async fn qemu_guest_answers_as_it_was_ordered_and_leaves_nothing() {
    let home = Home::new(LOCAL_NODE);
    home.publish("tiny", &guest_image());
    let key = home.path("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let public_key = fs::read_to_string(key.with_extension("pub")).unwrap();
    let token = home.token("ann", "class-3b");
    let server = home.serve().with_token(&token);

    let user_data = STANDARD.encode("#!/bin/sh\necho \"the lesson is ready\" > /tmp/lesson\n");
    let order = format!(
        "Category: medium; scheme=\"{SIZE_SCHEME}\"; class=\"mixin\"\n\
         Category: ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\"; class=\"mixin\"\n\
         Category: user_data; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute#\"; class=\"mixin\"\n\
         X-OCCI-Attribute: occi.compute.hostname=\"desk-7\"\n\
         X-OCCI-Attribute: occi.credentials.ssh.publickey=\"{}\"\n\
         X-OCCI-Attribute: occi.compute.userdata=\"{user_data}\"",
        public_key.trim()
    );
    let location = server.create("tiny", &order).await;
    let entity = server.arrive(&location, "active").await;
    let attribute = |name: &str| entity["attributes"][name].to_string().trim_matches('"').to_owned();
    let login = Login {
        key,
        host: attribute("org.tombolo.compute.ssh.host"),
        port: attribute("org.tombolo.compute.ssh.port"),
        server: &server,
        location: &location,
    };
    assert_eq!(login.ask("cat /tmp/lesson").await, "the lesson is ready");
    assert_eq!(login.ask("hostname").await, "desk-7");
    assert_eq!(login.ask("nproc").await, "2");
    let kib: u64 = login.ask("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo").await.parse().unwrap();
    assert!((1_800_000..=2_097_152).contains(&kib), "2 GiB were asked, the guest sees {kib} KiB");
    assert_eq!(qemu_processes(&home.data_dir()).len(), 1);
    let serial = machine_directories(&home.data_dir())[0].join("serial.log");
    assert!(fs::metadata(serial).unwrap().len() > 0, "the console is logged");

    // Graceful is the default: the guest itself must end, long before its deadline of 60 s ends it.
    assert_eq!(server.act(&location, "stop").await.status, StatusCode::OK);
    server.arrive(&location, "inactive").await;
    assert!(qemu_processes(&home.data_dir()).is_empty());
    assert_eq!(server.act(&location, "start").await.status, StatusCode::OK);
    server.arrive(&location, "active").await;
    assert_eq!(login.ask("hostname").await, "desk-7");

    // The guest may also end by itself.
    login.run("poweroff");
    server.see(&location, "inactive").await;

    assert_eq!(server.delete(&location).await.status, StatusCode::OK);
    eventually("nothing is left", || {
        qemu_processes(&home.data_dir()).is_empty()
            && machine_directories(&home.data_dir()).is_empty()
            && ["entities", "intents", "sagas", "saga_log"].iter().all(|table| rows(&home, table) == "0")
    })
    .await;
}
