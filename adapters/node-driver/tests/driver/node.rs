//! A node to test, and how to look at what it leaves.

use std::{
    fs::{self, File},
    future::Future,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use backend::{Architecture, IntentTag, Machine, MachineId, MachineSpec, MachineState};
use disk_image::ContentDigest;
use node_driver::{AcceleratorChoice, Driver, Options};
use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

/// Long enough for a loaded machine; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub struct Node {
    pub root: tempfile::TempDir,
    pub options: Options,
    pub driver: Driver,
}

/// Options as tests want them: without KVM, which may be useless here.
pub fn options(data_dir: &Path) -> Options {
    let mut options = Options::new(data_dir);
    options.accelerator = AcceleratorChoice::Tcg;
    options.ssh_ports = ports_of_our_own();
    options
}

/// Ports that no other test uses, in this process or another one, until this process ends.
fn ports_of_our_own() -> RangeInclusive<u16> {
    // Below what nodes have by default and the system gives by itself.
    const FIRST: u16 = 12_000;
    const EACH: u16 = 20;
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let turns = std::env::temp_dir().join("tombolo-node-driver-ports");
    fs::create_dir_all(&turns).unwrap();
    for turn in 0..500 {
        let lock = File::create(turns.join(turn.to_string())).unwrap();
        if lock.try_lock().is_ok() {
            HELD.lock().unwrap().push(lock);
            let first = FIRST + turn * EACH;
            return first..=first + EACH - 1;
        }
    }
    panic!("too many tests at once");
}

impl Node {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut options = options(&root.path().join("node"));
        change(&mut options);
        let driver = Driver::open(options.clone()).await.unwrap();
        Self { root, options, driver }
    }

    /// What the next driver on this host would find.
    pub async fn reopen(&mut self) {
        self.driver.close().await;
        self.driver = Driver::open(self.options.clone()).await.unwrap();
    }

    pub async fn provide(&self, image: &[u8]) -> ContentDigest {
        let path = self.root.path().join(Uuid::new_v4().to_string());
        fs::write(&path, image).unwrap();
        let digest = digest(image);
        self.driver.link_image(digest, image.len() as u64, path).await.unwrap();
        digest
    }

    /// A machine that runs this image.
    pub async fn run(&self, image: &[u8]) -> Machine {
        let image = self.provide(image).await;
        self.driver.create(spec(image)).await.unwrap()
    }

    pub async fn reaches(&self, id: &MachineId, state: MachineState) -> Machine {
        let look = || async {
            let machine = self.driver.machine(id).unwrap();
            let over = machine.state == state || machine.state == MachineState::Failed;
            over.then_some(machine)
        };
        let machine = until(look).await;
        assert_eq!(machine.state, state, "{:?}", machine.detail);
        machine
    }

    pub fn directory(&self, id: &MachineId) -> PathBuf {
        self.options.data_dir.join("machines").join(id.as_str())
    }

    /// The serial log, once it has this in it.
    pub async fn serial_says(&self, id: &MachineId, text: &str) -> String {
        let log = self.directory(id).join("serial.log");
        until(|| async { fs::read_to_string(&log).ok().filter(|said| said.contains(text)) }).await
    }

    pub fn pid(&self, id: &MachineId) -> u32 {
        let note = fs::read_to_string(self.directory(id).join("pid")).unwrap();
        note.split(' ').next().unwrap().parse().unwrap()
    }

    /// Names of the machines' directories.
    pub fn machine_directories(&self) -> Vec<String> {
        names(&self.options.data_dir.join("machines"))
    }

    /// Deletes all machines, and looks that nothing is left of them.
    pub async fn clear(self) {
        for machine in self.driver.machines() {
            self.driver.delete(&machine.id).await.unwrap();
        }
        self.assert_nothing_is_left();
        self.driver.close().await;
    }

    pub fn assert_nothing_is_left(&self) {
        assert_eq!(self.machine_directories(), Vec::<String>::new());
        assert_eq!(processes_in(self.root.path()), Vec::<u32>::new());
        for port in self.options.ssh_ports.clone().take(3) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Of a test that failed half way.
        for pid in processes_in(self.root.path()) {
            let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
        }
    }
}

pub fn digest(image: &[u8]) -> ContentDigest {
    ContentDigest::from_bytes(*blake3::hash(image).as_bytes())
}

pub fn spec(image: ContentDigest) -> MachineSpec {
    MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: "test".into(),
        hostname: Some("classroom-1".into()),
        cores: 1,
        memory_mib: 32,
        disk_bytes: 0,
        architecture: Architecture::X86_64,
        image,
        ssh_keys: Vec::new(),
        user_data: None,
        joins: backend::MachineJoins::default(),
    }
}

/// Looks again and again until there is something to see.
pub async fn until<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    let look = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it never happened")
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Processes that work in a directory under this one, be it removed.
pub fn processes_in(root: &Path) -> Vec<u32> {
    let root = root.canonicalize().unwrap();
    let works_there = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&root));
    processes().filter(works_there).collect()
}

pub fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The arguments of a process.
pub fn command_line(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A simulated QEMU: a shell script which answers the driver's questions, and does `body` when it is started.
pub fn simulated_qemu(directory: &Path, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("simulated-qemu");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*--version) echo 'QEMU emulator version 10.0.2' ;;\n\
         '-machine help') echo 'q35 (alias of pc-q35-10.0)' ;;\n*) {body} ;;\nesac\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}
