//! VDIs that lie, point elsewhere or were cut off.

use std::{cell::Cell, fs, sync::OnceLock};

use disk_image::{ImageError, ImageFormat, open};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{MAP, create, set32};
use crate::{mutation::exhaust, qemu::qemu_io_as, sample::file};

/// A dynamic VDI of 6 MiB, with three blocks stored, to be spoilt.
fn victim() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("victim.vdi");
        create(&path, "static=off", "6M");
        qemu_io_as("vdi", &path, &["write -P 1 1M 2M", "write -P 2 5M 64k"]);
        fs::read(&path).unwrap()
    });
    bytes.clone()
}

/// The refusal when it is opened.
#[track_caller]
fn refused(bytes: &[u8], field: &str, at: usize, words: &str) {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "victim.vdi", bytes);
    let error = open(&path, Some(ImageFormat::Vdi)).err().expect("must be refused");
    let text = error.to_string();
    let ImageError::Refused { field: named, offset, format, .. } = error else { panic!("{text}") };
    assert_eq!((named, offset, format), (field, at as u64, ImageFormat::Vdi), "{text}");
    assert!(text.contains(words), "{text}");
}

/// The same with one number changed.
#[track_caller]
fn number_refused(at: usize, number: u32, field: &str, words: &str) {
    let mut bytes = victim();
    set32(&mut bytes, at, number);
    refused(&bytes, field, at, words);
}

#[test]
fn what_holds_only_changes() {
    number_refused(76, 3, "image_type", "alone");
    number_refused(76, 4, "image_type", "alone");
    for (at, field) in [(424, "uuid_link"), (440, "uuid_parent")] {
        number_refused(at, 1, field, "alone");
        let mut bytes = victim();
        bytes[at + 15] = 1;
        refused(&bytes, field, at, "another image");
    }
}

#[test]
fn impossible_headers() {
    number_refused(76, 0, "image_type", "is 0");
    number_refused(76, 5, "image_type", "is 5");
    for version in [1, 0x0001_0000, 0x0001_0002, 0x0002_0001, u32::MAX] {
        number_refused(68, version, "version", "1.1");
    }
    number_refused(72, 0, "header_size", "less than 384");
    for sector in [0, 511, 4096] {
        number_refused(360, sector, "sector_size", "not 512");
    }
    for block in [0, 512, 2048, 3 << 20, 512 << 20, u32::MAX] {
        number_refused(376, block, "block_size", "power of two");
    }
    for extra in [1, 512, u32::MAX] {
        number_refused(380, extra, "block_extra", "disagree");
    }
}

#[test]
fn impossible_counts() {
    number_refused(384, 5, "blocks_in_image", "needs 6");
    number_refused(384, (64 << 20) + 1, "blocks_in_image", "at most");
    number_refused(384, u32::MAX, "blocks_in_image", "at most");
    number_refused(388, 7, "blocks_allocated", "is 7, of 6");
    for size in [(64_u64 << 40) + 1, u64::MAX, 1 << 63] {
        let mut bytes = victim();
        bytes[368..376].copy_from_slice(&size.to_le_bytes());
        refused(&bytes, "disk_size", 368, "at most");
    }
    let mut bytes = victim();
    bytes[368..376].copy_from_slice(&((6_u64 << 20) + 1).to_le_bytes());
    refused(&bytes, "blocks_in_image", 384, "needs 7");
    // Smaller blocks need more of them.
    number_refused_as(376, 65536, ("blocks_in_image", 384), "needs 96");
}

/// A number whose lie shows in another field.
#[track_caller]
fn number_refused_as(at: usize, number: u32, (field, place): (&str, usize), words: &str) {
    let mut bytes = victim();
    set32(&mut bytes, at, number);
    refused(&bytes, field, place, words);
}

#[test]
fn maps_and_data_in_wrong_places() {
    for place in [513, 1 << 31 | 4, u32::MAX] {
        number_refused(340, place, "offset_bmap", "sector's beginning");
        number_refused(344, place, "offset_data", "sector's beginning");
    }
    number_refused(340, 0, "offset_bmap", "upon the header");
    number_refused(340, (victim().len() / 512 * 512) as u32, "offset_bmap", "out of the file");
    number_refused(340, u32::MAX - 511, "offset_bmap", "out of the file");
    number_refused(344, 512, "offset_data", "upon the header or the map");
    number_refused(344, 0, "offset_data", "upon the header or the map");
    number_refused_as(340, 1024, ("offset_data", 344), "upon the header or the map");
    // A map that is as long as the file and more.
    number_refused_as(384, 64 << 20, ("offset_bmap", 340), "out of the file");
    number_refused_as(384, 129, ("offset_data", 344), "upon the header or the map");
    number_refused_as(72, 441, ("offset_bmap", 340), "upon the header");
    number_refused_as(72, u32::MAX, ("offset_bmap", 340), "upon the header");
}

#[test]
fn blocks_out_of_the_file_and_shown_twice() {
    let entry =
        |index: usize, number: u32, words: &str| number_refused(MAP + 4 * index, number, "block map entry", words);
    entry(0, 3, "out of the file");
    entry(0, 6, "of 6 blocks");
    entry(0, u32::MAX - 2, "of 6 blocks");
    entry(0, i32::MAX as u32, "of 6 blocks");
    let mut bytes = victim();
    let numbers: Vec<u32> =
        bytes[MAP..MAP + 24].as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
    assert_eq!(numbers, [u32::MAX, 0, 1, u32::MAX, u32::MAX, 2]);
    entry(2, 0, "like that of another");
    set32(&mut bytes, MAP, 1);
    refused(&bytes, "block map entry", MAP + 8, "like that of another");
}

#[test]
fn a_file_that_was_cut_off() {
    let bytes = victim();
    for length in [0, 64, 68, 100, 455, 472, 512, 520, 1024, 1 << 20, bytes.len() - 512, bytes.len() - 1] {
        let directory = TempDir::new().unwrap();
        let path = file(&directory, "cut.vdi", &bytes[..length]);
        assert!(open(&path, Some(ImageFormat::Vdi)).is_err(), "cut to {length} bytes of {}", bytes.len());
        assert!(length < 68 || open(&path, None).is_err(), "nor is it raw");
    }
}

/// The largest map there is, all of whose entries are one: nothing may be built from it.
#[test]
fn a_small_file_that_would_be_a_huge_disk() {
    let directory = TempDir::new().unwrap();
    let mut bytes = victim();
    let blocks = 64 << 20;
    bytes[368..376].copy_from_slice(&(64_u64 << 40).to_le_bytes());
    set32(&mut bytes, 384, blocks);
    set32(&mut bytes, 344, 512 + 4 * blocks);
    // A hole of a file: the map is zeros, and so is what it leads to.
    let path = file(&directory, "bomb.vdi", &bytes[..512]);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(512 + 4 * u64::from(blocks) + (1 << 20)).unwrap();
    let error = open(&path, None).err().unwrap();
    assert!(matches!(error, ImageError::Refused { field: "block map entry", offset: 516, .. }), "{error}");
    // The same with a table that leads nowhere is a disk of nothing.
    set32(&mut bytes, 384, 6);
    bytes[368..376].copy_from_slice(&(6_u64 << 20).to_le_bytes());
    set32(&mut bytes, 344, 1024);
    bytes[MAP..MAP + 24].fill(0xff);
    let path = self::file(&directory, "nothing.vdi", &bytes);
    assert_eq!(open(&path, None).unwrap().size(), 6 << 20);
}

#[test]
fn any_change_of_a_header_or_map() {
    let directory = TempDir::new().unwrap();
    // With blocks of 4 KiB, the file is small.
    let mut small = victim()[..1024].to_vec();
    small[368..376].copy_from_slice(&(6_u64 << 12).to_le_bytes());
    set32(&mut small, 376, 4096);
    small.resize(1024 + (3 << 12), 7);
    assert!(open(&file(&directory, "small.vdi", &small), None).is_ok());
    let place = prop_oneof![1 => 64_usize..84, 4 => 340_usize..392, 1 => 392_usize..472, 4 => 512_usize..536];
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(0xfe), Just(1), Just(2), any::<u8>()];
    let change = proptest::collection::vec((place, value, 1_usize..5), 1..3);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let opened = Cell::new(0);
    runner
        .run(&change, |changes| {
            let mut bytes = small.clone();
            for (at, value, length) in changes {
                bytes[at..at + length].fill(value);
            }
            if let Ok(view) = open(&file(&directory, "changed", &bytes), Some(ImageFormat::Vdi)) {
                exhaust(&*view);
                opened.set(opened.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!((50..450).contains(&opened.get()), "{} of 500 opened: the changes must reach both sides", opened.get());
}
