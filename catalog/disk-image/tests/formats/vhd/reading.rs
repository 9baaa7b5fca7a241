//! Every kind of VHD that QEMU writes, read as QEMU reads it, and what other programs write.

use std::{fs, path::Path};

use disk_image::{ExtentKind, FactValue, ImageFormat, ImageReader, open};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{FOOTER, convert, create, guest_bytes, handmade, seal, set_in_footers};
use crate::{
    qemu::qemu_io_as,
    sample::{SIZE, assert_shows, file, raw},
};

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
fn every_kind_and_option() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    for (options, kind, grows) in [
        ("subformat=dynamic,force_size=on", "dynamic", false),
        ("subformat=fixed,force_size=on", "fixed", false),
        ("subformat=dynamic", "dynamic", true),
        ("subformat=fixed", "fixed", true),
    ] {
        let path = directory.path().join("image.vhd");
        convert(&source, &path, options);
        let view = open(&path, None).unwrap();
        assert_eq!((view.format(), view.size() > SIZE), (ImageFormat::Vhd, grows), "{options}");
        assert_shows(&*view, &guest_bytes(&path));
        assert_eq!(fact(&*view, "disk-type"), kind.into());
        assert_eq!(view.warnings(), Vec::<String>::new());
        open(&path, Some(ImageFormat::Vhd)).unwrap();
    }
}

#[test]
fn the_smallest_and_the_empty() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("small.vhd");
    for (options, size) in [("force_size=on", 0), ("force_size=on", 512), ("subformat=fixed,force_size=on", 512)] {
        create(&path, options, &size.to_string());
        assert_shows(&*open(&path, None).unwrap(), &vec![0; size]);
    }
    // QEMU writes this one and does not read it.
    create(&path, "subformat=fixed,force_size=on", "0");
    assert_shows(&*open(&path, None).unwrap(), &[]);
}

#[test]
fn blocks_in_any_order() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("shuffled.vhd");
    create(&path, "force_size=on", "20M");
    qemu_io_as("vpc", &path, &["write -P 3 18M 2M", "write -P 1 5M 3k", "write -P 2 0 1M", "write -P 9 11M 4M"]);
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &guest_bytes(&path));
    assert_eq!(sum_of(&*view, ExtentKind::Absent), (20 - 12) << 20);
    assert_eq!(fact(&*view, "block-size"), (2_u64 << 20).into());
}

#[test]
fn the_size_is_the_current_one_whatever_the_creator() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("created.vhd");
    // QEMU makes this one as large as its geometry, a little more than 5 MiB.
    create(&path, "force_size=off", "5M");
    qemu_io_as("vpc", &path, &["write -P 7 0 5M"]);
    let mut bytes = fs::read(&path).unwrap();
    set_in_footers(&mut bytes, 48, &(5_u64 << 20).to_be_bytes());
    for (creator, warned) in [
        (b"vpc ", true),
        (b"qemu", true),
        (b"qem2", false),
        (b"win ", false),
        (b"vs  ", false),
        (b"d2v ", false),
        (b"vbox", false),
        (b"tap\0", false),
        (b"CTXS", false),
        (b"\0\0\0\0", false),
        (b"\xff\x1b\n?", false),
    ] {
        let mut changed = bytes.clone();
        set_in_footers(&mut changed, 28, creator);
        fs::write(&path, &changed).unwrap();
        let view = open(&path, None).unwrap();
        assert_shows(&*view, &[7; 5 << 20]);
        assert_eq!(view.warnings().len(), usize::from(warned), "{creator:?}: {:?}", view.warnings());
        assert!(view.warnings().iter().all(|text| text.contains("geometry")));
        let FactValue::Text(shown) = fact(&*view, "creator-application") else { panic!("{creator:?}") };
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        // The judge differs in just those cases.
        assert_eq!(guest_bytes(&path).len() > 5 << 20, warned, "{creator:?}");
    }
}

#[test]
fn what_a_file_says_of_itself() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("facts.vhd");
    create(&path, "force_size=off", "5M");
    let mut bytes = fs::read(&path).unwrap();
    set_in_footers(&mut bytes, 24, &0x3294_afca_u32.to_be_bytes());
    let uuid: Vec<u8> = (0x10..0x20).collect();
    set_in_footers(&mut bytes, 68, &uuid);
    set_in_footers(&mut bytes, 84, &[1]);
    fs::write(&path, &bytes).unwrap();
    let view = open(&path, None).unwrap();
    assert_eq!(fact(&*view, "time-stamp"), "2026-11-21T19:38:50Z".into());
    assert_eq!(fact(&*view, "unique-id"), "10111213-1415-1617-1819-1a1b1c1d1e1f".into());
    assert_eq!(fact(&*view, "creator-application"), "qemu".into());
    assert_eq!(fact(&*view, "creator-version"), "5.3".into());
    assert_eq!(fact(&*view, "creator-host-os"), "Wi2k".into());
    assert_eq!(fact(&*view, "disk-geometry"), "151/4/17".into());
    assert!(view.warnings()[0].contains("suspended"), "{:?}", view.warnings());
}

#[test]
fn footers_of_the_oldest_tools_lack_a_byte() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    for options in ["subformat=dynamic,force_size=on", "subformat=fixed,force_size=on"] {
        let path = directory.path().join("old.vhd");
        convert(&source, &path, options);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_shows(&*open(&path, None).unwrap(), &fs::read(&source).unwrap());
    }
}

#[test]
fn one_sound_footer_is_enough() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("damaged.vhd");
    convert(&source, &path, "force_size=on");
    let bytes = fs::read(&path).unwrap();
    let end = bytes.len() - FOOTER;
    let expected = fs::read(&source).unwrap();
    let shown = |place: usize, byte: u8, sealed: bool, words: &str| {
        let mut changed = bytes.clone();
        changed[place] ^= byte;
        if sealed {
            seal(&mut changed, place - place % FOOTER, FOOTER, 64);
        }
        let view = open(&file(&directory, "changed.vhd", &changed), Some(ImageFormat::Vhd)).unwrap();
        assert_shows(&*view, &expected);
        assert!(view.warnings().iter().any(|text| text.contains(words)), "{:?}", view.warnings());
    };
    shown(end + 50, 1, false, "footer at the end is damaged");
    shown(end + 64, 1, false, "footer at the end is damaged");
    shown(50, 1, false, "copy at the beginning is damaged");
    shown(0, 1, false, "copy at the beginning is damaged");
    shown(27, 1, true, "differs");
}

#[test]
fn a_fixed_disk_may_begin_with_anything() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.vhd");
    create(&path, "subformat=fixed,force_size=on", "1M");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - FOOTER;
    let footer = bytes[end..].to_vec();
    // A fixed disk within the disk, whole or damaged, is the guest's own.
    for (damaged, size) in [(false, 512), (true, 512), (false, 4096)] {
        bytes[..FOOTER].copy_from_slice(&footer);
        bytes[48..56].copy_from_slice(&u64::to_be_bytes(size));
        seal(&mut bytes, 0, FOOTER, 64);
        bytes[70] ^= u8::from(damaged);
        fs::write(&path, &bytes).unwrap();
        assert_shows(&*open(&path, None).unwrap(), &bytes[..end]);
    }
}

#[test]
fn bytes_before_a_fixed_footer_may_belong_to_nobody() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.vhd");
    create(&path, "subformat=fixed,force_size=on", "1M");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len() - FOOTER;
    bytes[..end].fill(5);
    bytes[end + 48..end + 56].copy_from_slice(&(1_048_576_u64 - 1024).to_be_bytes());
    seal(&mut bytes, end, FOOTER, 64);
    fs::write(&path, &bytes).unwrap();
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &bytes[..end - 1024]);
    assert!(view.warnings()[0].contains("1024 bytes"), "{:?}", view.warnings());
}

#[test]
fn tables_and_headers_may_stand_anywhere_and_blocks_be_of_any_size() {
    let directory = TempDir::new().unwrap();
    for block in [4096, 8192, 512 << 10, 4 << 20] {
        let (bytes, expected) = handmade(block);
        let path = file(&directory, "handmade.vhd", &bytes);
        assert_shows(&*open(&path, None).unwrap(), &expected);
        assert!(guest_bytes(&path) == expected, "the judge reads blocks of {block} bytes otherwise");
    }
}

#[test]
fn huge_disks_of_little() {
    let directory = TempDir::new().unwrap();
    for (size, last) in [("200G", (200_u64 << 30) - 65536), ("2040G", (2040 << 30) - 65536)] {
        let path = directory.path().join("huge.vhd");
        create(&path, "force_size=off", size);
        qemu_io_as("vpc", &path, &[&format!("write -P 0x5a {last} 64k"), "write -P 0x11 128G 1k"]);
        let view = open(&path, None).unwrap();
        assert_eq!(view.size(), last + 65536);
        assert_eq!(view.warnings(), Vec::<String>::new(), "beyond what a geometry tells, QEMU takes the size too");
        assert_eq!(sum_of(&*view, ExtentKind::Absent), view.size() - (4 << 20));
        let mut bytes = [0; 3];
        view.read_at(last - 1, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0x5a, 0x5a]);
        view.read_at((128 << 30) + 1022, &mut bytes).unwrap();
        assert_eq!(bytes, [0x11, 0x11, 0]);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn holes_of_the_file_are_holes_of_the_disk() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sparse.vhd");
    create(&path, "subformat=fixed,force_size=on", "64M");
    qemu_io_as("vpc", &path, &["write -P 1 32M 64k"]);
    let view = open(&path, None).unwrap();
    let stored = (64 << 20) - sum_of(&*view, ExtentKind::Absent);
    assert!((65536..=65536 + 8192).contains(&stored), "{stored}: temporary files must keep holes");
    assert_shows(&*view, &guest_bytes(&path));
}

#[test]
fn threads_may_read_at_once() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("shared.vhd");
    convert(&source, &path, "force_size=on");
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
        steps in proptest::collection::vec((0_u64..24_000, 1_u64..5000, any::<bool>(), 1_u8..255), 1..8),
        fixed in any::<bool>(),
    ) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("lived.vhd");
        let kind = if fixed { "fixed" } else { "dynamic" };
        create(&path, &format!("force_size=on,subformat={kind}"), &(24_000 * 512).to_string());
        live(&path, &steps);
        assert_shows(&*open(&path, None).unwrap(), &guest_bytes(&path));
    }
}

fn live(path: &Path, steps: &[(u64, u64, bool, u8)]) {
    let commands: Vec<String> = steps
        .iter()
        .map(|(sector, sectors, zero, pattern)| {
            let (at, length) = (sector * 512, (*sectors).min(24_000 - sector) * 512);
            if *zero { format!("write -z {at} {length}") } else { format!("write -P {pattern} {at} {length}") }
        })
        .collect();
    qemu_io_as("vpc", path, &commands.iter().map(String::as_str).collect::<Vec<_>>());
}
