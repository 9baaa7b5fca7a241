//! A driver in a process of its own, which can be killed and counted.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

use backend::MachineSpec;
use node_driver::{
    Driver,
    door::{Door, Listen},
    wire::NewMachine,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{
    guests,
    node::{digest, names, options, processes, processes_in, spec},
};

/// The other side of [`NodeProcess`]: reads its data directory from its input, and serves until that closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by other tests as a process of its own"]
async fn node_process() {
    let mut data_dir = String::new();
    io::stdin().read_line(&mut data_dir).unwrap();
    if data_dir.is_empty() {
        return;
    }
    let data_dir = PathBuf::from(data_dir.trim());
    let driver = Driver::open(options(&data_dir)).await.unwrap();
    let door = Door::bind(driver.clone(), Listen::Unix(data_dir.join("door.sock"))).unwrap();
    println!("\nready");
    let shutdown = CancellationToken::new();
    let end = shutdown.clone();
    std::thread::spawn(move || {
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        end.cancel();
    });
    door.serve(shutdown).await.unwrap();
    driver.close().await;
}

pub struct NodeProcess {
    process: Child,
    data_dir: PathBuf,
}

impl NodeProcess {
    pub async fn start(data_dir: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "leaks::node_process", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = process.stdin.as_mut().unwrap();
        stdin.write_all(format!("{}\n", data_dir.display()).as_bytes()).await.unwrap();
        let mut said = BufReader::new(process.stdout.as_mut().unwrap()).lines();
        while said.next_line().await.unwrap().expect("the node process failed") != "ready" {}
        Self { process, data_dir: data_dir.to_owned() }
    }

    /// As `kill -9` does.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    async fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().await.unwrap().success());
    }

    fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// One request, of which the status and the JSON body come back.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.data_dir.join("door.sock"), method, path, body).await
    }

    pub async fn create(&self, image: &[u8]) -> String {
        let source = self.data_dir.join("image");
        fs::write(&source, image).unwrap();
        let link = serde_json::json!({ "link": source });
        let path = format!("/images/{}?size={}", digest(image), image.len());
        assert_eq!(self.ask("PUT", &path, &link).await.0, 204);
        self.create_from(spec(digest(image))).await
    }

    async fn create_from(&self, wanted: MachineSpec) -> String {
        let wanted = serde_json::to_value(NewMachine::from(wanted)).unwrap();
        let (status, machine) = self.ask("POST", "/machines", &wanted).await;
        assert_eq!(status, 200, "{machine}");
        machine["id"].as_str().unwrap().to_owned()
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Children, zombies included.
    fn children(&self) -> Vec<u32> {
        let parent = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
        };
        processes().filter(|pid| parent(*pid) == Some(self.pid())).collect()
    }
}

pub async fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut line = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn qemu_machines_leave_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("node");
    let node = NodeProcess::start(&data_dir).await;
    let mut ids = Vec::new();
    let interfaces = names(Path::new("/sys/class/net"));
    let mut counts = Vec::new();
    for _ in 0..4 {
        for guest in [guests::deaf(), guests::short_lived()] {
            let id = node.create(&guest).await;
            ids.push(id.clone());
            let (status, _) = node.ask("POST", &format!("/machines/{id}/restart"), &serde_json::json!({})).await;
            assert!(status == 202 || status == 409, "{status}");
            assert_eq!(node.ask("DELETE", &format!("/machines/{id}"), &Value::Null).await.0, 204);
            assert_eq!(node.ask("DELETE", "/images/unused", &Value::Null).await.0, 200);
        }
        counts.push(node.open_files());
    }
    assert_eq!(node.children(), Vec::<u32>::new(), "no process, and no zombie");
    assert_eq!(names(&data_dir.join("machines")), Vec::<String>::new());
    assert_eq!(names(&data_dir.join("images")), Vec::<String>::new());
    assert_eq!(control_groups(Path::new("/sys/fs/cgroup"), &ids), Vec::<PathBuf>::new());
    assert_eq!(names(Path::new("/sys/class/net")), interfaces);
    // The first round opens what stays open; after it the number may only waver by a request that is just closing.
    assert!(counts.iter().skip(1).all(|count| *count <= counts[0] + 2), "{counts:?}");
    node.end().await;
    assert_eq!(names(&data_dir), ["image", "images", "lock", "machines", "networks", "volumes"]);
    assert_eq!(processes_in(root.path()), Vec::<u32>::new());
}

/// The control groups of these machines.
fn control_groups(directory: &Path, ids: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(control_groups(&path, ids));
            if ids.iter().any(|id| path.to_string_lossy().ends_with(id.as_str())) {
                found.push(path);
            }
        }
    }
    found
}
