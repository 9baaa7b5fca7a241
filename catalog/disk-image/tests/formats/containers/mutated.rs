//! Containers with any bytes changed: an error or a disk, never a panic.

use std::fs;

use disk_image::{DiskView, Opening};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{flavours::vmware, packed, tar};
use crate::sample::file;

fn victims(directory: &TempDir) -> Vec<Vec<u8>> {
    let disk = file(directory, "disk.raw", &[b"some lines\n".repeat(90), vec![0; 10_000]].concat());
    let small = file(directory, "small", &b"line\n".repeat(200));
    let mut victims = Vec::new();
    for tool in ["gzip", "xz", "zstd", "bzip2"] {
        victims.push(fs::read(packed(&small, &[tool])).unwrap());
    }
    file(directory, "x.ovf", vmware(&[("disk.raw", 5)]).as_bytes());
    for format in ["--format=gnu", "--format=pax"] {
        victims.push(fs::read(tar(directory.path(), &[format], &["x.ovf", "disk.raw"])).unwrap());
    }
    file(directory, &format!("{}.raw", "long".repeat(40)), &fs::read(disk).unwrap());
    victims.push(fs::read(tar(directory.path(), &["--format=gnu"], &[&format!("{}.raw", "long".repeat(40))])).unwrap());
    victims.push(fs::read(directory.path().join("x.ovf")).unwrap());
    victims
}

fn read_all(view: &dyn DiskView) {
    let mut bytes = vec![0; view.size().min(1 << 20) as usize];
    let _ = view.read_at(0, &mut bytes);
}

#[test]
fn any_change_of_a_container() {
    let directory = TempDir::new().unwrap();
    let victims = victims(&directory);
    let place = prop_oneof![1 => 0_usize..600, 1 => 0_usize..8192];
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(b'9'), Just(b'"'), any::<u8>()];
    let change = proptest::collection::vec((place, value, 1_usize..5), 1..3);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 800,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let opened = std::cell::Cell::new(0_u32);
    runner
        .run(&(0..victims.len(), change, any::<bool>()), |(victim, changes, repaired)| {
            let mut bytes = victims[victim].clone();
            for (at, value, length) in changes {
                let at = at % bytes.len();
                let end = bytes.len().min(at + length);
                bytes[at..end].fill(value);
            }
            if repaired && bytes.get(257..262) == Some(b"ustar") {
                repair(&mut bytes);
            }
            let path = file(&directory, "changed", &bytes);
            let opening = Opening::new().with_files_beside_it().unpacked_in(directory.path(), 1 << 20);
            if let Ok(view) = opening.open(&path) {
                read_all(&*view);
                opened.set(opened.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!((80..720).contains(&opened.get()), "{} of 800 opened: changes must reach both sides", opened.get());
}

/// Gives the first header its right checksum again, so that changes of it are met.
fn repair(bytes: &mut [u8]) {
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
