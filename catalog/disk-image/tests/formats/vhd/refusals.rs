//! VHDs that lie, point elsewhere or were cut off.

use std::{cell::Cell, fs, sync::OnceLock};

use disk_image::{ImageError, ImageFormat, open};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{FOOTER, HEADER, TABLE, create, handmade, seal, seal_all, set_in_footers};
use crate::{mutation::exhaust, qemu::qemu_io_as, sample::file};

const BLOCK: u64 = 2 << 20;

/// A dynamic VHD of 11 MiB in six blocks, three of them stored, to be spoilt.
fn dynamic() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("victim.vhd");
        create(&path, "force_size=on", "11M");
        qemu_io_as("vpc", &path, &["write -P 1 0 3M", "write -P 2 9M 64k"]);
        fs::read(&path).unwrap()
    });
    bytes.clone()
}

/// A fixed VHD of 1 MiB.
fn fixed() -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("victim.vhd");
    create(&path, "subformat=fixed,force_size=on", "1M");
    fs::read(&path).unwrap()
}

/// The refusal when it is opened.
#[track_caller]
fn refused(bytes: &[u8], field: &str, at: usize, words: &str) {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "victim.vhd", bytes);
    let error = open(&path, Some(ImageFormat::Vhd)).err().expect("must be refused");
    let text = error.to_string();
    let ImageError::Refused { field: named, offset, format, .. } = error else { panic!("{text}") };
    assert_eq!((named, offset, format), (field, at as u64, ImageFormat::Vhd), "{text}");
    assert!(text.contains(words), "{text}");
}

/// The same with a field changed of both footers.
#[track_caller]
fn footer_refused(change: (usize, &[u8]), field: &str, words: &str) {
    let mut bytes = dynamic();
    set_in_footers(&mut bytes, change.0, change.1);
    refused(&bytes, field, bytes.len() - FOOTER + change.0, words);
}

/// The same with a field changed of the dynamic disk's header.
#[track_caller]
fn header_refused(change: (usize, &[u8]), field: &str, words: &str) {
    let mut bytes = dynamic();
    bytes[HEADER + change.0..][..change.1.len()].copy_from_slice(change.1);
    seal_all(&mut bytes);
    refused(&bytes, field, HEADER + change.0, words);
}

/// The same with an entry of the table changed.
#[track_caller]
fn entry_refused(index: usize, sector: u32, words: &str) {
    let mut bytes = dynamic();
    let at = TABLE + 4 * index;
    bytes[at..at + 4].copy_from_slice(&sector.to_be_bytes());
    refused(&bytes, "BAT entry", at, words);
}

#[test]
fn what_holds_only_changes() {
    footer_refused((60, &4_u32.to_be_bytes()), "disk_type", "alone");
    let mut bytes = dynamic();
    for (at, unit) in "..\\secret.vhd".encode_utf16().enumerate() {
        bytes[HEADER + 64 + 2 * at..][..2].copy_from_slice(&unit.to_be_bytes());
    }
    bytes[HEADER + 576..][..4].copy_from_slice(b"W2ru");
    set_in_footers(&mut bytes, 60, &4_u32.to_be_bytes());
    refused(&bytes, "disk_type", bytes.len() - FOOTER + 60, "secret.vhd");
    // A dynamic disk that names a parent all the same.
    set_in_footers(&mut bytes, 60, &3_u32.to_be_bytes());
    refused(&bytes, "parent_locator_entry", HEADER + 576, "secret.vhd");
    header_refused((576 + 7 * 24, b"MacX"), "parent_locator_entry", "parent");
    // The name's place may be a lie too.
    set_in_footers(&mut bytes, 60, &4_u32.to_be_bytes());
    for place in [0, 100, bytes.len() as u64 - 100, u64::MAX - 5] {
        set_in_footers(&mut bytes, 16, &place.to_be_bytes());
        refused(&bytes, "disk_type", bytes.len() - FOOTER + 60, "alone");
    }
}

#[test]
fn footers_that_are_not_sound() {
    let mut bytes = dynamic();
    let end = bytes.len() - FOOTER;
    bytes[64] ^= 1;
    bytes[end + 64] ^= 1;
    refused(&bytes, "checksum", end + 64, "no sound copy");
    let mut bytes = fixed();
    bytes[(1 << 20) + 30] ^= 1;
    refused(&bytes, "checksum", (1 << 20) + 64, "wrong");

    footer_refused((60, &0_u32.to_be_bytes()), "disk_type", "is 0");
    footer_refused((60, &5_u32.to_be_bytes()), "disk_type", "is 5");
    footer_refused((12, &2_u16.to_be_bytes()), "file_format_version", "version 1");
    footer_refused((48, &513_u64.to_be_bytes()), "current_size", "multiple of 512");
    footer_refused((48, &((2040_u64 << 30) + 512).to_be_bytes()), "current_size", "at most");
    footer_refused((48, &u64::MAX.to_be_bytes()), "current_size", "at most");
}

#[test]
fn footers_that_tell_different_disks() {
    for (at, field) in [(48, 10_u64 << 20), (16, 1024)] {
        let mut bytes = dynamic();
        bytes[at..at + 8].copy_from_slice(&field.to_be_bytes());
        seal(&mut bytes, 0, FOOTER, 64);
        refused(&bytes, "footer copy", 0, "another disk");
    }
    // A disk that is dynamic for who looks at the beginning, and fixed for who looks at the end.
    let mut bytes = dynamic();
    let size = bytes.len() as u64;
    bytes.extend_from_slice(&fixed()[1 << 20..]);
    let end = bytes.len() - FOOTER;
    bytes[end + 48..][..8].copy_from_slice(&size.to_be_bytes());
    seal(&mut bytes, end, FOOTER, 64);
    refused(&bytes, "footer copy", 0, "another disk");
}

#[test]
fn a_fixed_disk_that_is_not_there() {
    let mut bytes = fixed();
    let end = bytes.len() - FOOTER;
    bytes[end + 48..][..8].copy_from_slice(&((1_u64 << 20) + 512).to_be_bytes());
    seal(&mut bytes, end, FOOTER, 64);
    refused(&bytes, "current_size", end + 48, "cut off");
    let bytes = fixed();
    refused(&bytes[512..], "current_size", (1 << 20) - 512 + 48, "cut off");
}

#[test]
fn headers_that_are_not_sound() {
    let mut bytes = dynamic();
    bytes[HEADER + 40] ^= 1;
    refused(&bytes, "header checksum", HEADER + 36, "wrong");
    header_refused((0, b"cxsparsE"), "header cookie", "not that");
    header_refused((24, &2_u16.to_be_bytes()), "header_version", "version 1");
    for size in [0, 1, 512, 2048, 3 << 20, u32::MAX] {
        header_refused((32, &u32::to_be_bytes(size)), "block_size", "power of two");
    }
    header_refused((28, &5_u32.to_be_bytes()), "max_table_entries", "needs 6");
    header_refused((28, &u32::MAX.to_be_bytes()), "max_table_entries", "at most");
    // Smaller blocks need a larger table, larger ones leave the file.
    let mut bytes = dynamic();
    bytes[HEADER + 32..][..4].copy_from_slice(&(1_u32 << 20).to_be_bytes());
    seal_all(&mut bytes);
    refused(&bytes, "max_table_entries", HEADER + 28, "needs 11");
    bytes[HEADER + 32..][..4].copy_from_slice(&(1_u32 << 31).to_be_bytes());
    seal_all(&mut bytes);
    refused(&bytes, "BAT entry", TABLE, "out of the file");

    let length = dynamic().len() as u64;
    for place in [0, 511, length - 512, length - 512 - 1023, length, u64::MAX, u64::MAX - 1000] {
        footer_refused((16, &place.to_be_bytes()), "data_offset", "out of the file");
    }
    let mut bytes = dynamic();
    set_in_footers(&mut bytes, 16, &(1_u64 << 20).to_be_bytes());
    refused(&bytes, "header cookie", 1 << 20, "not that");
}

#[test]
fn tables_out_of_the_file_or_upon_headers() {
    let length = dynamic().len() as u64;
    for place in [length - 512 - 23, length - 512, length, 1 << 50, u64::MAX, u64::MAX - 20] {
        header_refused((16, &place.to_be_bytes()), "table_offset", "out of the file");
    }
    for place in [0, 511, 512, 1535, 600] {
        header_refused((16, &u64::to_be_bytes(place)), "table_offset", "upon the headers");
    }
    let mut bytes = dynamic();
    bytes[HEADER + 28..][..4].copy_from_slice(&(4_u32 << 20).to_be_bytes());
    seal_all(&mut bytes);
    refused(&bytes, "table_offset", HEADER + 16, "out of the file");
}

#[test]
fn blocks_out_of_the_file() {
    let length = dynamic().len() as u64;
    let last = (length - FOOTER as u64 - BLOCK - 512) / 512;
    entry_refused(1, last as u32 + 1, "upon the footer");
    entry_refused(2, (length / 512) as u32, "out of the file");
    entry_refused(5, u32::MAX - 1, "out of the file");
    entry_refused(5, i32::MAX as u32, "out of the file");
}

#[test]
fn blocks_upon_tables_and_each_other() {
    for sector in [0, 1, 2, 3] {
        entry_refused(2, sector, "own tables");
    }
    let sector = |index: usize| u32::from_be_bytes(dynamic()[TABLE + 4 * index..][..4].try_into().unwrap());
    assert_eq!((sector(0), sector(1), sector(2)), (4, 4 + 4097, u32::MAX));
    entry_refused(1, sector(0), "another entry");
    entry_refused(5, sector(1), "another entry");
    entry_refused(1, sector(0) + 1, "another entry");
    entry_refused(1, sector(0) + 4096, "another entry");
    let mut bytes = dynamic();
    bytes[TABLE + 12..TABLE + 16].copy_from_slice(&(sector(1) - 1).to_be_bytes());
    refused(&bytes, "BAT entry", TABLE + 12, "another entry");
}

#[test]
fn a_file_that_was_cut_off() {
    let bytes = dynamic();
    for length in
        [0, 8, 510, 512, 1000, 1536, 1540, 4096, 1 << 20, bytes.len() - 513, bytes.len() - 512, bytes.len() - 2]
    {
        let directory = TempDir::new().unwrap();
        let path = file(&directory, "cut.vhd", &bytes[..length]);
        assert!(open(&path, Some(ImageFormat::Vhd)).is_err(), "cut to {length} bytes of {}", bytes.len());
        assert!(length < 8 || open(&path, None).is_err(), "nor is it raw");
    }
    refused(&bytes[..bytes.len() - 512], "cookie", bytes.len() - 1024, "cut off");
    let mut longer = bytes.clone();
    longer.extend([0; 512]);
    refused(&longer, "cookie", bytes.len(), "appended");
    // Without its middle, the footers are sound and a block is not there.
    let mut shorter = bytes[..bytes.len() - 4096].to_vec();
    shorter.extend_from_slice(&bytes[bytes.len() - FOOTER..]);
    refused(&shorter, "BAT entry", TABLE + 16, "cut off");
}

/// A table as large as is read, all of whose blocks are one: nothing may be built from it.
#[test]
fn a_small_file_that_would_be_a_huge_disk() {
    let mut bytes = dynamic();
    let (entries, size) = (1_044_480_u32, 2040_u64 << 30);
    let block: [u8; 4] = ((TABLE + 4 * entries as usize).div_ceil(512) as u32).to_be_bytes();
    bytes.truncate(TABLE);
    for _ in 0..entries {
        bytes.extend(block);
    }
    bytes.resize(bytes.len().next_multiple_of(512) + 512 + BLOCK as usize, 0);
    bytes.extend_from_within(..FOOTER);
    bytes[HEADER + 28..][..4].copy_from_slice(&entries.to_be_bytes());
    set_in_footers(&mut bytes, 48, &size.to_be_bytes());
    refused(&bytes, "BAT entry", TABLE + 4, "another entry");
}

#[test]
fn any_change_of_a_header_or_table() {
    // Where the handmade disk has them.
    const TABLE: usize = 5120;
    const HEADER: usize = 5632;
    let directory = TempDir::new().unwrap();
    let (victim, fixed) = (handmade(4096).0, fixed());
    let place =
        prop_oneof![2 => 0_usize..96, 4 => HEADER..HEADER + 40, 1 => HEADER..HEADER + 700, 4 => TABLE..TABLE + 28];
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(0x80), Just(1), any::<u8>()];
    let change = proptest::collection::vec((place, value, 1_usize..9), 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let opened = Cell::new(0);
    runner
        .run(&(0..8_usize, change, any::<bool>()), |(number, changes, both)| {
            let is_fixed = number == 0;
            let mut bytes = if is_fixed { fixed.clone() } else { victim.clone() };
            let end = bytes.len() - FOOTER;
            for (at, value, length) in changes {
                bytes[at..at + length].fill(value);
                if at < FOOTER - length && (both || is_fixed) {
                    bytes[end + at..][..length].fill(value);
                }
            }
            if !is_fixed {
                seal(&mut bytes, 0, FOOTER, 64);
                seal(&mut bytes, HEADER, 1024, 36);
            }
            seal(&mut bytes, end, FOOTER, 64);
            if let Ok(view) = open(&file(&directory, "changed", &bytes), Some(ImageFormat::Vhd)) {
                exhaust(&*view);
                opened.set(opened.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!((50..450).contains(&opened.get()), "{} of 500 opened: the changes must reach both sides", opened.get());
}
