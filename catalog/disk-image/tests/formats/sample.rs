//! A disk with something of everything, and what any view of it must satisfy.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use disk_image::{DiskView, ExtentKind, content_digest};
use tempfile::TempDir;

/// No multiple of any cluster size beyond a sector.
pub const SIZE: u64 = (5 << 20) + 3 * 512;

/// Deterministic bytes without pattern.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A raw file of [`SIZE`] bytes: noise, text that packs well, written zeros, holes, and a last sector with data.
pub fn raw(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("sample.raw");
    let file = File::create(&path).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(&noise(1, 300_000), 0).unwrap();
    file.write_all_at("the same line again and again\n".repeat(20_000).as_bytes(), 1 << 20).unwrap();
    file.write_all_at(&vec![0; 200_000], 2 << 20).unwrap();
    file.write_all_at(&noise(2, 700), (3 << 20) + 77_777).unwrap();
    file.write_all_at(&noise(3, 512), SIZE - 512).unwrap();
    path
}

/// Demands that the view shows exactly these bytes, by every way of asking.
pub fn assert_shows(view: &dyn DiskView, expected: &[u8]) {
    assert_eq!(view.size(), expected.len() as u64);
    let mut whole = vec![0xaa; expected.len()];
    view.read_at(0, &mut whole).unwrap();
    assert!(whole == expected, "first difference at {:?}", whole.iter().zip(expected).position(|(a, b)| a != b));

    let mut small = Vec::new();
    for (at, length) in [(0, 1), (511, 2), (65_535, 2), (299_990, 70_000), ((1 << 20) - 1, 3), (3_223_000, 5_000)] {
        let end = expected.len().min(at + length);
        if at < end {
            small.resize(end - at, 0xaa);
            view.read_at(at as u64, &mut small).unwrap();
            assert!(small == expected[at..end], "at {at}");
        }
    }
    view.read_at(view.size(), &mut []).unwrap();
    view.read_at(view.size(), &mut [0]).unwrap_err();
    view.read_at(u64::MAX, &mut [0; 2]).unwrap_err();

    let mut at = 0;
    while let Some(extent) = view.extent_at(at).unwrap() {
        assert_eq!(extent.offset, at);
        assert!(extent.length > 0);
        let end = at + extent.length;
        if extent.kind == ExtentKind::Zero {
            assert!(expected[at as usize..end as usize].iter().all(|byte| *byte == 0), "{extent:?} is not zero");
        }
        at = end;
    }
    assert_eq!(at, view.size());
    assert_eq!(digest(view), blake3::hash(expected).to_string());
}

/// The digest by our own pass, which must also tell its progress truly.
pub fn digest(view: &dyn DiskView) -> String {
    let told = std::cell::Cell::new(0);
    let digest = content_digest(view, &|done, all| {
        assert!(done > told.replace(done) && done <= all && all == view.size());
    })
    .unwrap();
    assert_eq!(told.get(), view.size());
    digest.to_string()
}

/// Overwrites bytes of a file.
pub fn patch(path: &Path, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

/// A file of this content.
pub fn file(directory: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    File::create(&path).unwrap().write_all(content).unwrap();
    path
}
