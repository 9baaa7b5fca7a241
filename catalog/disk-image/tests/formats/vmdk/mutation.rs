//! VMDKs with any bytes of their tables changed: an error or bytes, never a panic, never a read without end.

use std::{cell::Cell, fs};

use disk_image::{DiskView, Opening, open};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{convert, made::Maker};
use crate::sample::{digest, file, raw};

/// Reads all that can be read.
fn exhaust(view: &dyn DiskView) {
    let (mut at, mut extents) = (0, 0);
    let mut bytes = vec![0; 1 << 20];
    while let Ok(Some(extent)) = view.extent_at(at) {
        assert!(extent.length > 0 && extent.length <= view.size() - at);
        let length = bytes.len().min(extent.length as usize);
        let _ = view.read_at(at, &mut bytes[..length]);
        at += extent.length;
        extents += 1;
        if extents > 1024 {
            break;
        }
    }
}

fn victims(directory: &TempDir) -> Vec<Vec<u8>> {
    let source = raw(directory);
    let disk = fs::read(&source).unwrap();
    let mut victims: Vec<_> = ["subformat=monolithicSparse,zeroed_grain=on", "subformat=streamOptimized"]
        .map(|options| {
            let path = directory.path().join("image.vmdk");
            convert(&source, &path, options);
            fs::read(path).unwrap()
        })
        .into();
    let makers = [
        Maker::stream(),
        Maker { grain: 8, backwards: true, ..Maker::default() },
        Maker { markers: false, ..Maker::stream() },
    ];
    victims.extend(makers.map(|maker| maker.make(&disk)));
    victims
}

fn run(cases: u32, change: impl Strategy<Value = Vec<(usize, u8, usize, bool)>>) -> u32 {
    let directory = TempDir::new().unwrap();
    let victims = victims(&directory);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let opened = Cell::new(0);
    proptest::test_runner::TestRunner::new(config)
        .run(&(0..victims.len(), change), |(victim, changes)| {
            let mut bytes = victims[victim].clone();
            for (at, value, length, from_end) in changes {
                let at = if from_end { bytes.len() - 1 - at % bytes.len() } else { at % bytes.len() };
                let end = bytes.len().min(at + length);
                bytes[at..end].fill(value);
            }
            if let Ok(view) = open(&file(&directory, "changed", &bytes), None) {
                exhaust(&*view);
                opened.set(opened.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    opened.get()
}

#[test]
fn any_change_of_a_header_or_table() {
    let place = prop_oneof![3 => 0_usize..80, 1 => 512_usize..1024, 4 => 1024_usize..20_000, 1 => 0_usize..400_000];
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(0x80), Just(1), any::<u8>()];
    let change = proptest::collection::vec((place, value, 1_usize..9, any::<bool>()), 1..4);
    let opened = run(300, change);
    assert!((30..270).contains(&opened), "{opened} of 300 opened: the changes must reach both sides");
}

#[test]
fn any_length_of_a_file() {
    let directory = TempDir::new().unwrap();
    let expected = digest(&*open(&raw(&directory), None).unwrap());
    for (number, whole) in victims(&directory).iter().enumerate() {
        for length in (0..80).chain((80..whole.len()).step_by(24_571)).chain([whole.len() - 512, whole.len() - 1025]) {
            let path = file(&directory, "cut.vmdk", &whole[..length]);
            let view = Opening::new().declared(Some(disk_image::ImageFormat::Vmdk)).open(&path);
            // What stands behind the disk's end in its last grain may be missing.
            if let Ok(view) = view {
                assert!(length + 65536 > whole.len(), "victim {number}, cut to {length} bytes of {}", whole.len());
                assert_eq!(digest(&*view), expected, "victim {number}, cut to {length} bytes of {}", whole.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_of_a_descriptor(
        lines in proptest::collection::vec("(RW|RDONLY|NOACCESS|rw|#|)[ \t]{0,2}[0-9]{0,20} (FLAT|SPARSE|ZERO|VMFS|X)? ?(\"[a-c./]{0,3}\"?)?( [0-9]{1,20})?", 0..6),
        noise in "\\PC{0,40}",
    ) {
        let directory = TempDir::new().unwrap();
        for name in ["a", "b", "c"] {
            file(&directory, name, &[7; 2048]);
        }
        let text = format!("# Disk DescriptorFile\n{}\n{noise}", lines.join("\n"));
        if let Ok(view) = Opening::new().with_files_beside_it().open(&file(&directory, "text.vmdk", text.as_bytes())) {
            exhaust(&*view);
        }
    }
}
