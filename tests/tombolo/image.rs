//! `tombolo image`: conversions that appear whole or not at all, and answers for people and scripts.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use tempfile::TempDir;

/// A directory with a raw disk of 8 MiB that holds a little.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let disk = File::create(directory.path().join("disk.raw")).unwrap();
        disk.set_len(8 << 20).unwrap();
        disk.write_all_at(b"first", 0).unwrap();
        disk.write_all_at(&[7; 70_000], 3 << 20).unwrap();
        disk.write_all_at(b"last", (8 << 20) - 4).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tombolo"));
        command.arg("image").args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tombolo image {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.must(arguments)).unwrap()
    }

    /// The status, and the one line that says why.
    fn failure(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors:?}");
        (output.status.code().unwrap(), errors)
    }
}

#[test]
fn a_disk_goes_around_all_formats_and_comes_back() {
    let place = Place::new();
    let mut last = "disk.raw".to_owned();
    for (name, options) in [
        ("a.qcow2", ["--compress=zstd", "--cluster-size=4096"].as_slice()),
        ("b.vmdk", &["--compress"]),
        ("c.vhd", &[]),
        ("d.vhdx", &[]),
        ("e.vdi", &[]),
        ("f.ova", &["--name", "a machine"]),
        ("g.vmdk", &[]),
        ("h.vpc", &["--fixed"]),
        ("back.raw", &[]),
    ] {
        let arguments = [&["convert", &last, name], options].concat();
        assert_eq!(place.must(&arguments), "", "nothing to say");
        assert!(place.must(&["compare", "disk.raw", name]).contains("the same disk"), "{name}");
        assert!(place.must(&["check", name]).contains("no damage"), "{name}");
        last = name.to_owned();
    }
    assert!(fs::read(place.path("disk.raw")).unwrap() == fs::read(place.path("back.raw")).unwrap());
    let stored = fs::metadata(place.path("back.raw")).unwrap().blocks() * 512;
    assert!(stored < 1 << 20, "{stored} bytes of 8 MiB that hold a little are stored");
}

#[test]
fn answers_are_for_scripts_too() {
    let place = Place::new();
    let made = place.json(&["convert", "disk.raw", "disk.vhdx", "--json", "--sector-size=4096"]);
    assert_eq!(made["virtual-size"], 8 << 20);
    let info = place.json(&["info", "disk.vhdx", "--json"]);
    assert_eq!((&info["format"], &info["virtual-size"]), (&"vhdx".into(), &(8 << 20).into()));
    assert_eq!(info["logical-sector-size"], 4096);
    assert!(info["facts"]["block-size"].is_u64(), "{info}");
    assert!(place.must(&["info", "disk.vhdx"]).contains("8.00 MiB (8388608 bytes)"));

    let map = place.json(&["map", "disk.raw", "--json"]);
    let extents = map.as_array().unwrap();
    assert_eq!(extents.iter().map(|extent| extent["length"].as_u64().unwrap()).sum::<u64>(), 8 << 20);
    assert!(extents.iter().any(|extent| extent["data"] == true && extent["start"] == 3 << 20), "{map}");
    assert!(place.must(&["map", "disk.raw"]).contains("absent"));
    let check = place.json(&["check", "disk.vhdx", "--json"]);
    assert_eq!(check["damage"], serde_json::json!([]));
}

#[test]
fn the_first_difference_is_named() {
    let place = Place::new();
    place.must(&["convert", "disk.raw", "disk.vmdk"]);
    File::options().write(true).open(place.path("disk.raw")).unwrap().write_all_at(b"x", 5_000_001).unwrap();
    let output = place.run(&["compare", "disk.vmdk", "disk.raw"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("at byte 5000001 (0x4c4b41): disk.vmdk has 0x00, disk.raw has 0x78"), "{said}");

    fs::write(place.path("short.raw"), [1; 1024]).unwrap();
    fs::write(place.path("long.raw"), [[1; 1024], [0; 1024]].concat()).unwrap();
    let output = place.run(&["compare", "short.raw", "long.raw", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &said["difference"]["only-padding"]), (Some(1), &true.into()));
    place.must(&["compare", "short.raw", "long.raw", "--allow-padding"]);
    let (status, error) = place.failure(&["compare", "short.raw", "absent.raw"]);
    assert!(status == 2 && error.contains("absent.raw"), "{error}");
}

#[test]
fn what_is_there_is_replaced_only_when_told() {
    let place = Place::new();
    fs::write(place.path("taken.qcow2"), "mine").unwrap();
    let (_, error) = place.failure(&["convert", "disk.raw", "taken.qcow2"]);
    assert!(error.contains("taken.qcow2") && error.contains("--force"), "{error}");
    assert_eq!(fs::read(place.path("taken.qcow2")).unwrap(), b"mine");
    place.must(&["convert", "disk.raw", "taken.qcow2", "--force"]);
    place.must(&["compare", "disk.raw", "taken.qcow2"]);
    assert_eq!(place.names(), ["disk.raw", "taken.qcow2"]);
    // In its own place: read to the end before the name is taken over.
    place.must(&["convert", "-O", "vdi", "disk.raw", "disk.raw", "--force"]);
    place.must(&["compare", "disk.raw", "taken.qcow2"]);
    let mode = fs::metadata(place.path("disk.raw")).unwrap().permissions().mode();
    assert_eq!(mode & 0o133, 0, "{mode:o}");
}

#[test]
fn mistakes_are_one_line_that_says_what_to_do() {
    let place = Place::new();
    for (arguments, words) in [
        (["convert", "disk.raw", "there"].as_slice(), "say it with -O"),
        (&["convert", "absent.raw", "x.raw"], "cannot open absent.raw: No such file"),
        (&["convert", "disk.raw", "nowhere/x.raw"], "cannot create nowhere/x.raw"),
        (&["convert", "-O", "raw", "disk.raw", "."], "neither a file nor a block device"),
        (&["convert", "disk.raw", "x.raw", "--compress"], "--compress is of no use for raw"),
        (&["convert", "disk.raw", "x.qcow2", "--cluster-size=1000"], "power of two"),
        (&["convert", "-f", "vdi", "disk.raw", "x.raw"], "declared as vdi"),
        (&["convert", "--disk=a", "disk.raw", "x.raw"], "choose none"),
        (&["info", "--snapshot=s", "disk.raw"], "snapshots"),
    ] {
        let (status, error) = place.failure(arguments);
        assert!(status == 1 && error.contains(words), "{arguments:?}: {error}");
    }
    assert_eq!(place.names(), ["disk.raw"]);
}

#[test]
fn nothing_is_left_when_it_is_interrupted() {
    for signal in ["INT", "TERM", "KILL"] {
        let place = Place::new();
        // A source that never ends would be best; a large one with data all over lasts long enough to be met.
        let large = File::create(place.path("large.raw")).unwrap();
        large.set_len(4 << 30).unwrap();
        let noise: Vec<u8> = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for at in 0..256 {
            large.write_all_at(&noise, at << 20).unwrap();
        }
        let mut child = place
            .command(&["convert", "--compress", "large.raw", "large.qcow2"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_writing(child.id());
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        assert!(!child.wait().unwrap().success());
        assert_eq!(place.names(), ["disk.raw", "large.raw"], "after SIG{signal}");
    }
}

/// Until the process has written a megabyte: it is then in the midst of it.
fn wait_until_writing(pid: u32) {
    loop {
        let counts = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("io")).unwrap();
        let written = counts.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
        if written.parse::<u64>().unwrap() > 1 << 20 {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn there_is_a_bar_on_a_terminal_and_none_in_a_pipe() {
    let place = Place::new();
    let output = place.run(&["convert", "disk.raw", "piped.qcow2"]);
    assert!(output.stderr.is_empty() && output.stdout.is_empty());
    let program = env!("CARGO_BIN_EXE_tombolo");
    let typed = format!("{program} image convert disk.raw seen.qcow2");
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &typed, "/dev/null"])
        .current_dir(place.directory.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("script must be installed (Debian package bsdutils)");
    let seen = String::from_utf8_lossy(&terminal.stdout);
    assert!(terminal.status.success() && seen.contains("converting"), "{seen:?}");
}
