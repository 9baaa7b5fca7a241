//! VDI, against QEMU.

use std::{ffi::OsStr, fs, path::Path};

use crate::qemu::qemu_img;

mod plans;
mod reading;
mod refusals;

/// Where QEMU and we put the map.
const MAP: usize = 512;

/// Makes an empty VDI.
fn create(path: &Path, options: &str, size: &str) {
    let head = ["create", "-q", "-f", "vdi", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), OsStr::new(size)]));
}

/// Makes a VDI from a raw file.
fn convert(raw: &Path, path: &Path, options: &str) {
    let head = ["convert", "-f", "raw", "-O", "vdi", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([raw.as_os_str(), path.as_os_str()]));
}

/// What QEMU itself reads from a VDI.
fn guest_bytes(path: &Path) -> Vec<u8> {
    let raw = path.with_extension("judged.raw");
    let head = ["convert", "-f", "vdi", "-O", "raw"].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), raw.as_os_str()]));
    let bytes = fs::read(&raw).unwrap();
    fs::remove_file(raw).unwrap();
    bytes
}

/// Overwrites a number of the header or the map.
fn set32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}
