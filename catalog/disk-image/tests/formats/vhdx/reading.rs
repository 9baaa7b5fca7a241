use std::fs;

use disk_image::{ExtentKind, FactValue, ImageFormat, ImageReader, open};
use tempfile::TempDir;

use super::victim::{BAT, HEADER, ITEMS, MIB, REGIONS, Victim, convert, create, guest_bytes, qemu_io};
use crate::sample::{assert_shows, raw};

fn fact(view: &dyn ImageReader, name: &str) -> String {
    view.facts().into_iter().find(|fact| fact.name == name).unwrap().value.to_string()
}

#[test]
fn every_subformat_and_block_size() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    let path = directory.path().join("image.vhdx");
    for (options, block_size, kind) in [
        ("subformat=dynamic", 8 * MIB, "dynamic"),
        ("subformat=dynamic,block_size=1M", MIB, "dynamic"),
        ("subformat=dynamic,block_size=2M,block_state_zero=off", 2 * MIB, "dynamic"),
        ("subformat=dynamic,block_size=256M", 256 * MIB, "dynamic"),
        ("subformat=dynamic,log_size=3M", 8 * MIB, "dynamic"),
        ("subformat=fixed", 8 * MIB, "fixed"),
        ("subformat=fixed,block_size=1M", MIB, "fixed"),
    ] {
        convert(&source, &path, options);
        let view = open(&path, None).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_eq!(view.format(), ImageFormat::Vhdx);
        assert_eq!(view.logical_sector_size(), 512);
        assert_shows(&*view, &expected);
        assert_eq!(fact(&*view, "block-size"), block_size.to_string());
        assert_eq!(fact(&*view, "type"), kind);
        assert!(fact(&*view, "creator").starts_with("QEMU"));
        assert_eq!(fact(&*view, "virtual-disk-id").len(), 36);
        assert_eq!(view.warnings(), Vec::<String>::new());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn odd_and_tiny_sizes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.vhdx");
    for subformat in ["dynamic", "fixed"] {
        for sectors in [0_u64, 1, 2049, 20_003] {
            create(&path, &format!("subformat={subformat},block_size=1M"), &(sectors * 512).to_string());
            if sectors > 0 {
                qemu_io(&path, &[&format!("write -P 7 {} 512", (sectors - 1) * 512)]);
            }
            let expected = guest_bytes(&path);
            assert_eq!(expected.len() as u64, sectors * 512);
            assert_shows(&*open(&path, None).unwrap(), &expected);
            fs::remove_file(&path).unwrap();
        }
    }
}

/// The table has entries for sector bitmaps, which are skipped: every 16 blocks of 256 MiB.
#[test]
fn sector_bitmaps_between_blocks() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("huge.vhdx");
    create(&path, "block_size=256M", "3T");
    qemu_io(&path, &["write -P 0x5a 4095M 2M", "write -P 0x5b 2T 64k", "write -P 0x5c 3145727M 1M"]);
    // What the entry of a sector bitmap holds matters to nobody.
    crate::sample::patch(&path, BAT + 16 * 8, &[0xff; 8]);
    let view = open(&path, None).unwrap();
    let (mut at, mut data, mut extents) = (0, Vec::new(), 0);
    while let Some(extent) = view.extent_at(at).unwrap() {
        if extent.kind == ExtentKind::Data {
            data.push(extent.offset / MIB);
        }
        at += extent.length;
        extents += 1;
    }
    assert_eq!(at, 3 << 40);
    for mebibyte in [4095, 4096, 2 << 20, 3_145_727] {
        let mut byte = [0];
        view.read_at(mebibyte * MIB, &mut byte).unwrap();
        let expected =
            [0x5a, 0x5a, 0x5b, 0x5c][[4095, 4096, 2 << 20, 3_145_727].iter().position(|m| *m == mebibyte).unwrap()];
        assert_eq!(byte[0], expected, "at {mebibyte} MiB");
    }
    assert!(data.len() >= 3 && extents < 40, "{data:?} in {extents} extents");
}

#[test]
fn all_states_of_a_block() {
    let victim = Victim::new();
    let stored = victim.read64(BAT) & !7;
    for (state, kind) in
        [(0, ExtentKind::Absent), (1, ExtentKind::Absent), (2, ExtentKind::Zero), (3, ExtentKind::Zero)]
    {
        // Where a block was may still be noted.
        for place in [0, stored] {
            let victim = Victim::new().set(BAT, &(place | state).to_le_bytes());
            let view = open(&victim.path, None).unwrap();
            let extent = view.extent_at(0).unwrap().unwrap();
            assert_eq!((extent.length, extent.kind), (MIB, kind));
            let mut bytes = vec![0xaa; 2 * MIB as usize];
            view.read_at(0, &mut bytes).unwrap();
            assert!(bytes[..MIB as usize].iter().all(|byte| *byte == 0));
            assert!(bytes[MIB as usize..].iter().all(|byte| *byte == 2));
        }
    }
}

#[test]
fn blocks_in_any_order() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("mixed.vhdx");
    create(&path, "block_size=1M", "5M");
    let commands: Vec<String> =
        [3, 0, 1, 4, 2].iter().map(|block| format!("write -P {} {block}M 1M", block + 1)).collect();
    qemu_io(&path, &commands.iter().map(String::as_str).collect::<Vec<_>>());
    let expected: Vec<u8> = (1..=5).flat_map(|value| vec![value; 1 << 20]).collect();
    assert_shows(&*open(&path, None).unwrap(), &expected);
}

#[test]
fn either_copy_of_headers_and_tables_will_do() {
    let expected = guest_bytes(&Victim::new().path);
    for (at, words) in [
        (HEADER + 100, "header 1 is damaged"),
        (2 * HEADER + 100, "header 2 is damaged"),
        (REGIONS + 100, "first region table"),
        (REGIONS + HEADER + 100, "second region table"),
    ] {
        let victim = Victim::new().set(at, &[1]);
        let view = open(&victim.path, None).unwrap();
        assert_shows(&*view, &expected);
        let warnings = view.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(words), "{warnings:?}");
    }
    // Some tools write the same header twice.
    let victim = Victim::new();
    let header = victim.bytes(HEADER, 4096);
    let victim = victim.set(2 * HEADER, &header);
    assert_shows(&*open(&victim.path, None).unwrap(), &expected);
}

#[test]
fn sectors_of_4096_bytes() {
    let victim = Victim::new().set(ITEMS + 32, &4096_u32.to_le_bytes()).set(ITEMS + 36, &4096_u32.to_le_bytes());
    let view = open(&victim.path, None).unwrap();
    assert_eq!(view.logical_sector_size(), 4096);
    assert_eq!(
        view.facts().iter().filter(|fact| fact.value == FactValue::Number(4096)).count(),
        2,
        "logical and physical sector size"
    );
    assert_shows(&*view, &guest_bytes(&Victim::new().path));
}
