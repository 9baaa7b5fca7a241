//! Several processes at one store, some of which die; and a store without room. The ignored tests are the other
//! processes: the tests above each of them start it.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use image_store::{ImageStore, StoreError};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::disk::{Disk, names};

const STORE: &str = "TEST_STORE";
const BEGUN: &str = "begun";

fn quiet(_: u64, _: u64) {}

fn given_store() -> PathBuf {
    env::var_os(STORE).map(PathBuf::from).expect("only to be run by another test")
}

/// The arguments that make this test binary run one ignored test.
fn only(test: &str) -> Vec<OsString> {
    ["--ignored", "--exact", "--nocapture", "--test-threads=1", test].map(OsString::from).into()
}

/// Another process in the middle of an import.
struct Importer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Importer {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(only("processes::import_and_wait"))
            .env(STORE, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(BEGUN) {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the other process ended early");
        }
        Self { child, output }
    }

    fn finish(mut self) {
        writeln!(self.child.stdin.take().unwrap()).unwrap();
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn an_import_of_a_living_process_is_not_swept() {
    let directory = TempDir::new().unwrap();
    let importer = Importer::start(directory.path());
    assert_eq!(names(directory.path()).len(), 1);
    let store = ImageStore::open(directory.path()).unwrap();
    assert!(store.list().unwrap().is_empty(), "what is not finished is not there");
    assert_eq!(names(directory.path()).len(), 1);
    importer.finish();
    let images = store.list().unwrap();
    assert_eq!((images.len(), names(directory.path()).len()), (1, 1));
    store.verify(&images[0].digest, &quiet).unwrap();
}

#[test]
fn an_import_of_a_dead_process_is_swept() {
    let directory = TempDir::new().unwrap();
    let dies = Importer::start(directory.path());
    let lives = Importer::start(directory.path());
    dies.kill();
    assert_eq!(names(directory.path()).len(), 2, "a killed process leaves its file");
    let store = ImageStore::open(directory.path()).unwrap();
    assert_eq!(names(directory.path()).len(), 1);
    lives.finish();
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
#[ignore = "the other process of the tests above"]
fn import_and_wait() {
    let store = ImageStore::open(given_store()).unwrap();
    let wait_once = |done, _| {
        if done <= 1 << 20 {
            println!("{BEGUN}");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    };
    store.import(&Disk::patterned(3 << 20), &wait_once).unwrap();
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    // A small file system that only the child sees, in a user namespace of its own unless we are root anyway.
    let namespaces = if geteuid().is_root() { "-m" } else { "-Urm" };
    let output = Command::new("unshare")
        .args([namespaces, "sh", "-c", "mount -t tmpfs -o size=1m tmpfs \"$TEST_STORE\" && exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(only("processes::import_without_room"))
        .env(STORE, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

#[test]
#[ignore = "the other process of the test above"]
fn import_without_room() {
    let root = given_store();
    let store = ImageStore::open(&root).unwrap();
    for _ in 0..3 {
        let error = store.import(&Disk::patterned(3 << 20), &quiet).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert!(error.to_string().contains("free some space"));
        assert_eq!(names(&root), [""; 0]);
    }
    let small = store.import(&Disk::patterned(64 << 10), &quiet).unwrap();
    store.verify(&small.digest, &quiet).unwrap();
}
