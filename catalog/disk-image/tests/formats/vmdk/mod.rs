//! VMDK against `qemu-img`, and against what the format's description says where QEMU writes other files.

mod described;
mod hostile;
mod made;
mod mutation;
mod plans;
mod readers;
mod stream;

use std::{ffi::OsStr, path::Path};

use crate::qemu::qemu_img;

/// Makes a VMDK from a raw file.
fn convert(raw: &Path, path: &Path, options: &str) {
    let head = ["convert", "-f", "raw", "-O", "vmdk", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([raw.as_os_str(), path.as_os_str()]));
}

/// Makes an empty VMDK.
fn create(path: &Path, options: &str, size: &str) {
    qemu_img(["create", "-q", "-f", "vmdk", "-o", options, path.to_str().unwrap(), size]);
}

/// Demands that QEMU sees what it sees in the raw file.
fn judge(path: &Path, raw: &Path) {
    qemu_img(["compare", "-f", "vmdk", "-F", "raw", path.to_str().unwrap(), raw.to_str().unwrap()]);
    qemu_img(["check", "-f", "vmdk", path.to_str().unwrap()]);
}
