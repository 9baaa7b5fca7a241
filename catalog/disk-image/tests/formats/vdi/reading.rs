//! Every kind of VDI that QEMU writes, read as QEMU reads it, and what `VirtualBox` writes.

use std::fs;

use disk_image::{ExtentKind, FactValue, ImageFormat, ImageReader, open};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{MAP, convert, create, guest_bytes, set32};
use crate::{
    qemu::qemu_io_as,
    sample::{assert_shows, file, noise, raw},
};

const MIB: usize = 1 << 20;

fn fact(view: &dyn ImageReader, name: &str) -> FactValue {
    view.facts().into_iter().find(|fact| fact.name == name).unwrap().value
}

/// Bytes of this kind, by the extents that the view tells.
fn sum_of(view: &dyn ImageReader, kind: ExtentKind) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while let Some(extent) = view.extent_at(at).unwrap() {
        sum += if extent.kind == kind { extent.length } else { 0 };
        at += extent.length;
    }
    assert_eq!(at, view.size());
    sum
}

#[test]
fn every_kind() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    for (options, kind) in [("static=off", "dynamic"), ("static=on", "fixed")] {
        let path = directory.path().join("image.vdi");
        convert(&source, &path, options);
        let view = open(&path, None).unwrap();
        assert_shows(&*view, &expected);
        assert_eq!((view.format(), view.warnings()), (ImageFormat::Vdi, Vec::new()));
        assert_eq!(fact(&*view, "image-type"), kind.into());
        assert_eq!(fact(&*view, "block-size"), (1_u64 << 20).into());
        open(&path, Some(ImageFormat::Vdi)).unwrap();
    }
}

#[test]
fn the_smallest_and_the_empty() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("small.vdi");
    for options in ["static=off", "static=on"] {
        for size in [0, 512, MIB, MIB + 512] {
            create(&path, options, &size.to_string());
            assert_shows(&*open(&path, None).unwrap(), &vec![0; size]);
        }
    }
}

#[test]
fn absent_zero_and_stored_blocks_in_any_order() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("shuffled.vdi");
    create(&path, "static=off", "20M");
    qemu_io_as("vdi", &path, &["write -P 3 18M 2M", "write -P 1 5M 3k", "write -P 2 0 1M", "write -P 9 11M 4M"]);
    let mut bytes = fs::read(&path).unwrap();
    set32(&mut bytes, MAP + 4 * 7, u32::MAX - 1);
    set32(&mut bytes, MAP + 4 * 8, u32::MAX - 1);
    fs::write(&path, bytes).unwrap();
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &guest_bytes(&path));
    assert_eq!(fact(&*view, "blocks-allocated"), 8_u64.into());
    assert_eq!(sum_of(&*view, ExtentKind::Absent), 10 << 20);
    let zero = view.extent_at(7 << 20).unwrap().unwrap();
    assert_eq!((zero.kind, zero.length), (ExtentKind::Zero, 2 << 20));
}

/// As `VirtualBox` lays a file out: the map and the data at whole mebibytes, a longer header, text, flags.
#[test]
fn files_of_virtualbox() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("box.vdi");
    let source = raw(&directory);
    convert(&source, &path, "static=off");
    let old = fs::read(&path).unwrap();
    let data = u32::from_le_bytes(old[344..348].try_into().unwrap()) as usize;
    let mut bytes = old[..MAP].to_vec();
    bytes.resize(MIB, 0);
    bytes.extend_from_slice(&old[MAP..data]);
    bytes.resize(2 * MIB, 0);
    bytes.extend_from_slice(&old[data..]);
    bytes[..64].fill(0);
    bytes[..40].copy_from_slice(b"<<< Oracle VM VirtualBox Disk Image >>>\n");
    set32(&mut bytes, 72, 400);
    set32(&mut bytes, 80, 1);
    bytes[84..91].copy_from_slice(b"a\x1bc \xc3\xa4\0");
    set32(&mut bytes, 340, 1 << 20);
    set32(&mut bytes, 344, 2 << 20);
    set32(&mut bytes, 468, 512);
    bytes[392..408].copy_from_slice(&[0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 8, 9, 10, 11, 12, 13, 14, 15]);
    fs::write(&path, &bytes).unwrap();
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &fs::read(&source).unwrap());
    assert!(guest_bytes(&path) == fs::read(&source).unwrap());
    assert_eq!(fact(&*view, "creator"), "<<< Oracle VM VirtualBox Disk Image >>>".into());
    assert_eq!(fact(&*view, "description"), "a\u{fffd}c ä".into());
    assert_eq!(fact(&*view, "uuid"), "00112233-4455-6677-0809-0a0b0c0d0e0f".into());
}

#[test]
fn an_odd_size_is_rounded_up_and_said() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("odd.vdi");
    for (size, cut) in [(3 * MIB - 1, 0), (3 * MIB - 511, 511), (2 * MIB + 1, MIB - 1), (2 * MIB + 1, MIB - 512)] {
        create(&path, "static=off", "3M");
        qemu_io_as("vdi", &path, &["write -P 7 0 3M"]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[368..376].copy_from_slice(&(size as u64).to_le_bytes());
        bytes.truncate(bytes.len() - cut);
        fs::write(&path, bytes).unwrap();
        let view = open(&path, None).unwrap();
        assert_shows(&*view, &guest_bytes(&path));
        assert_eq!(view.size(), (size as u64).next_multiple_of(512));
        assert!(view.warnings()[0].contains("rounded"), "{:?}", view.warnings());
    }
}

/// What a guest sees is there, and the rest of the last block is nobody's.
#[test]
fn a_file_may_end_where_the_disk_does() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    for options in ["static=off", "static=on"] {
        let path = directory.path().join("short.vdi");
        convert(&source, &path, options);
        let bytes = fs::read(&path).unwrap();
        let padding = 6 * MIB - crate::sample::SIZE as usize;
        fs::write(&path, &bytes[..bytes.len() - padding]).unwrap();
        assert_shows(&*open(&path, None).unwrap(), &fs::read(&source).unwrap());
    }
}

#[test]
fn wrong_counts_are_said() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("crashed.vdi");
    convert(&source, &path, "static=off");
    let mut bytes = fs::read(&path).unwrap();
    set32(&mut bytes, 388, 1);
    fs::write(&path, bytes).unwrap();
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &fs::read(&source).unwrap());
    assert!(view.warnings()[0].contains("counts 1 stored"), "{:?}", view.warnings());
}

#[test]
fn blocks_of_other_sizes() {
    let directory = TempDir::new().unwrap();
    let template = directory.path().join("template.vdi");
    for block in [4096, 65536, 2 * MIB] {
        let size = 3 * block + 1024;
        create(&template, "static=off", "1M");
        let mut bytes = fs::read(&template).unwrap();
        bytes.resize(1024, 0);
        bytes[368..376].copy_from_slice(&(size as u64).to_le_bytes());
        set32(&mut bytes, 376, block as u32);
        set32(&mut bytes, 384, 4);
        set32(&mut bytes, 388, 3);
        // Block 0 is the file's last, 2 and 3 follow each other.
        for (number, entry) in [2, u32::MAX, 0, 1].into_iter().enumerate() {
            set32(&mut bytes, MAP + 4 * number, entry);
        }
        let stored = noise(block as u64, 3 * block);
        bytes.extend_from_slice(&stored);
        let mut expected = stored[2 * block..].to_vec();
        expected.resize(2 * block, 0);
        expected.extend_from_slice(&stored[..block + 1024]);
        let view = open(&file(&directory, "image.vdi", &bytes), None).unwrap();
        assert_shows(&*view, &expected);
        assert_eq!(view.warnings(), Vec::<String>::new());
    }
}

#[test]
fn a_huge_disk_of_little() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("huge.vdi");
    create(&path, "static=off", "3T");
    qemu_io_as("vdi", &path, &["write -P 0x5a 3298534879232 4k", "write -P 0x11 2T 1k"]);
    let view = open(&path, None).unwrap();
    assert_eq!(view.size(), 3 << 40);
    assert_eq!(sum_of(&*view, ExtentKind::Absent), (3 << 40) - (2 << 20));
    let mut bytes = [0; 3];
    view.read_at((3 << 40) - 4097, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 0x5a, 0x5a]);
    view.read_at((2 << 40) + 1022, &mut bytes).unwrap();
    assert_eq!(bytes, [0x11, 0x11, 0]);
}

#[test]
fn holes_of_the_file_are_holes_of_the_disk() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sparse.vdi");
    create(&path, "static=on", "70M");
    qemu_io_as("vdi", &path, &["write -P 1 40M 64k"]);
    let view = open(&path, None).unwrap();
    let stored = (70 << 20) - sum_of(&*view, ExtentKind::Absent);
    assert!((65536..=65536 + 16384).contains(&stored), "{stored}: temporary files must keep holes");
    assert_shows(&*view, &guest_bytes(&path));
}

#[test]
fn threads_may_read_at_once() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("shared.vdi");
    convert(&source, &path, "static=off");
    let expected = fs::read(&source).unwrap();
    let view = open(&path, None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_shows(&*view, &expected));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a guest does to its disk, we read what QEMU reads.
    #[test]
    fn any_life_of_a_disk(
        steps in proptest::collection::vec((0_u64..16_000, 1_u64..5000, 0_u8..4, 1_u8..255), 1..8),
        fixed in any::<bool>(),
    ) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("lived.vdi");
        create(&path, if fixed { "static=on" } else { "static=off" }, &(16_000 * 512).to_string());
        let commands: Vec<String> = steps
            .iter()
            .map(|(sector, sectors, how, pattern)| {
                let (at, length) = (sector * 512, (*sectors).min(16_000 - sector) * 512);
                match how {
                    0 => format!("write -z {at} {length}"),
                    1 => format!("discard {at} {length}"),
                    _ => format!("write -P {pattern} {at} {length}"),
                }
            })
            .collect();
        qemu_io_as("vdi", &path, &commands.iter().map(String::as_str).collect::<Vec<_>>());
        assert_shows(&*open(&path, None).unwrap(), &guest_bytes(&path));
    }
}
