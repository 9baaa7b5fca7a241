//! VHD, against QEMU, which calls it `vpc`.

use std::{ffi::OsStr, fs, path::Path};

use tempfile::TempDir;

use crate::{qemu::qemu_img, sample::noise};

mod plans;
mod reading;
mod refusals;

pub const FOOTER: usize = 512;
/// Where QEMU and we put a dynamic disk's header and table.
const HEADER: usize = 512;
const TABLE: usize = 1536;

/// Makes an empty VHD.
fn create(path: &Path, options: &str, size: &str) {
    let head = ["create", "-q", "-f", "vpc", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), OsStr::new(size)]));
}

/// Makes a VHD from a raw file.
fn convert(raw: &Path, path: &Path, options: &str) {
    let head = ["convert", "-f", "raw", "-O", "vpc", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([raw.as_os_str(), path.as_os_str()]));
}

/// What QEMU itself reads from a VHD.
fn guest_bytes(path: &Path) -> Vec<u8> {
    let raw = path.with_extension("judged.raw");
    let head = ["convert", "-f", "vpc", "-O", "raw"].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), raw.as_os_str()]));
    let bytes = fs::read(&raw).unwrap();
    fs::remove_file(raw).unwrap();
    bytes
}

/// Makes the checksum right of a structure of so many bytes.
fn seal(bytes: &mut [u8], start: usize, length: usize, checksum_at: usize) {
    let end = bytes.len().min(start + length);
    let place = start + checksum_at..start + checksum_at + 4;
    bytes[place.clone()].fill(0);
    let sum: u32 = bytes[start..end].iter().map(|byte| u32::from(*byte)).sum();
    bytes[place].copy_from_slice(&(!sum).to_be_bytes());
}

/// Makes the checksums right of a dynamic VHD of ours or QEMU's.
fn seal_all(bytes: &mut [u8]) {
    let end = bytes.len() - FOOTER;
    seal(bytes, 0, FOOTER, 64);
    seal(bytes, HEADER, 1024, 36);
    seal(bytes, end, FOOTER, 64);
}

/// Overwrites the same field of both footers of a dynamic VHD, whose checksums stay right.
fn set_in_footers(bytes: &mut [u8], at: usize, field: &[u8]) {
    for start in [0, bytes.len() - FOOTER] {
        bytes[start + at..][..field.len()].copy_from_slice(field);
    }
    seal_all(bytes);
}

/// A dynamic disk of five and a half blocks, with the table before the header and both behind the first block; and what
/// it shows.
fn handmade(block: usize) -> (Vec<u8>, Vec<u8>) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("template.vhd");
    let size = block * 5 + block.div_ceil(1024) * 512;
    create(&path, "force_size=on", &size.to_string());
    let template = fs::read(path).unwrap();
    let (mut footer, mut header) = (template[..FOOTER].to_vec(), template[HEADER..TABLE].to_vec());
    let bitmap = (block / 512).div_ceil(8).next_multiple_of(512);

    let mut expected = vec![0; size];
    let mut bytes = vec![0; FOOTER];
    let mut entries = [u32::MAX; 6];
    let mut store = |bytes: &mut Vec<u8>, number: usize| {
        entries[number] = (bytes.len() / 512) as u32;
        let data = noise(number as u64, block);
        let shown = block.min(size - number * block);
        expected[number * block..][..shown].copy_from_slice(&data[..shown]);
        bytes.resize(bytes.len() + bitmap, 0xff);
        bytes.extend(data);
    };
    store(&mut bytes, 3);
    let table = bytes.len();
    bytes.resize(table + 512, 0xff);
    let header_at = bytes.len();
    bytes.resize(header_at + 1024, 0);
    for number in [5, 0, 1] {
        store(&mut bytes, number);
    }
    for (number, entry) in entries.iter().enumerate() {
        bytes[table + 4 * number..][..4].copy_from_slice(&entry.to_be_bytes());
    }
    header[16..24].copy_from_slice(&(table as u64).to_be_bytes());
    header[28..32].copy_from_slice(&6_u32.to_be_bytes());
    header[32..36].copy_from_slice(&(block as u32).to_be_bytes());
    seal(&mut header, 0, 1024, 36);
    bytes[header_at..][..1024].copy_from_slice(&header);
    footer[16..24].copy_from_slice(&(header_at as u64).to_be_bytes());
    seal(&mut footer, 0, FOOTER, 64);
    bytes[..FOOTER].copy_from_slice(&footer);
    bytes.extend(footer);
    (bytes, expected)
}
