//! Archives and compressed files, made by the programs that make them: tar, gzip, xz, zstd and bzip2 (the Debian
//! packages of the same names, and xz-utils).

mod appliance;
mod bounded;
mod compressed;
mod flavours;
mod hostile;
mod mutated;
mod ova;
mod written;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use disk_image::{ImageReader, Opening};
use tempfile::TempDir;

use crate::sample::file;

/// Runs a program in a directory and gives what it wrote. The program's memory is not what is tested.
fn run<S: AsRef<OsStr>>(directory: &Path, program: &str, arguments: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut command = Command::new("prlimit");
    command.args(["--as=unlimited", program]).args(arguments).current_dir(directory);
    let output = command.output().expect("prlimit must be installed (Debian package util-linux)");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Packs files of a directory, in this order, into `packed.ova` beside them.
fn tar(directory: &Path, options: &[&str], names: &[&str]) -> PathBuf {
    let name = "packed.ova";
    let head = ["-c", "-f", name, "--owner=0", "--group=0"];
    run(directory, "tar", head.iter().chain(options).chain(names));
    directory.join(name)
}

/// Compresses with a program and its options, into a file beside.
fn packed(path: &Path, tool: &[&str]) -> PathBuf {
    let directory = path.parent().unwrap();
    let arguments = tool[1..].iter().map(OsStr::new).chain([OsStr::new("-c"), path.as_os_str()]);
    let bytes = run(directory, tool[0], arguments);
    let target = path.with_extension("packed");
    fs::write(&target, bytes).unwrap();
    target
}

/// A file of these parts.
fn joined(directory: &TempDir, name: &str, parts: &[&[u8]]) -> PathBuf {
    file(directory, name, &parts.concat())
}

fn open(path: &Path) -> Box<dyn ImageReader> {
    Opening::new().open(path).unwrap()
}

/// The words of the refusal.
#[track_caller]
fn refusal(path: &Path) -> String {
    Opening::new().open(path).err().expect("must be refused").to_string()
}

#[track_caller]
fn assert_refused(path: &Path, words: &str) {
    let refusal = refusal(path);
    assert!(refusal.contains(words), "{refusal}");
}

/// What a file says of itself under this name.
fn fact(view: &dyn ImageReader, name: &str) -> Option<String> {
    view.facts().into_iter().find(|fact| fact.name == name).map(|fact| fact.value.to_string())
}
