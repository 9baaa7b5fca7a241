//! The judge. A machine without `qemu-img` fails these tests rather than passing them unseen.

use std::{ffi::OsStr, path::Path, process::Command};

/// The judge's own memory is not what is tested, so that it is freed from a limit of ours.
fn judge(program: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.args(["--as=unlimited", program]);
    command
}

/// Runs `qemu-img` and gives what it printed.
pub fn qemu_img<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let mut command = judge("qemu-img");
    command.args(arguments);
    let output = command.output().expect("prlimit must be installed (Debian package util-linux)");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Demands that the image has neither errors nor leaks.
pub fn check(path: &Path) {
    qemu_img([OsStr::new("check"), OsStr::new("-f"), OsStr::new("qcow2"), path.as_os_str()]);
}

/// `qemu-img info` of a qcow2.
pub fn info(path: &Path) -> serde_json::Value {
    let text = qemu_img([
        OsStr::new("info"),
        OsStr::new("--output=json"),
        OsStr::new("-f"),
        OsStr::new("qcow2"),
        path.as_os_str(),
    ]);
    serde_json::from_str(&text).unwrap()
}

/// Runs guest reads and writes (`qemu-io` commands) on a qcow2.
pub fn qemu_io(path: &Path, commands: &[&str]) {
    qemu_io_as("qcow2", path, commands);
}

/// Runs guest reads and writes on an image of any format. A read that does not find its pattern fails.
pub fn qemu_io_as(format: &str, path: &Path, commands: &[&str]) {
    let mut command = judge("qemu-io");
    command.args(["-f", format]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.arg(path).output().expect("prlimit must be installed (Debian package util-linux)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("failed"), "{command:?}: {said}");
}

/// What QEMU itself reads from a qcow2.
pub fn guest_bytes(path: &Path) -> Vec<u8> {
    let raw = path.with_extension("judged.raw");
    let arguments = [OsStr::new("convert"), OsStr::new("-f"), OsStr::new("qcow2"), OsStr::new("-O"), OsStr::new("raw")];
    qemu_img(arguments.into_iter().chain([path.as_os_str(), raw.as_os_str()]));
    let bytes = std::fs::read(&raw).unwrap();
    std::fs::remove_file(raw).unwrap();
    bytes
}

/// Makes a qcow2 from a raw file, with these options (`-c` among `flags` compresses).
pub fn convert(raw: &Path, path: &Path, flags: &[&str], options: &str) {
    let head = ["convert", "-f", "raw", "-O", "qcow2", "-o", options].into_iter().chain(flags.iter().copied());
    qemu_img(head.map(OsStr::new).chain([raw.as_os_str(), path.as_os_str()]));
}

/// Makes an empty qcow2.
pub fn create(path: &Path, options: &str, size: &str) {
    let head = ["create", "-q", "-f", "qcow2", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), OsStr::new(size)]));
}
