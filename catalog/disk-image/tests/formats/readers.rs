//! Every kind of qcow2 that QEMU writes, read as QEMU reads it.

use std::fs;

use disk_image::{ExtentKind, FactValue, ImageFormat, ImageReader, open, qcow2::Qcow2Image};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    qemu::{convert, create, guest_bytes, qemu_img, qemu_io},
    sample::{assert_shows, noise, patch, raw},
};

#[test]
fn every_cluster_size_plain_and_compressed() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    for bits in 9..=21 {
        for (name, flags, compression) in
            [("plain", [].as_slice(), "zlib"), ("zlib", &["-c"], "zlib"), ("zstd", &["-c"], "zstd")]
        {
            let path = directory.path().join(format!("{bits}-{name}.qcow2"));
            convert(&source, &path, flags, &format!("cluster_size={},compression_type={compression}", 1 << bits));
            let view = open(&path, None).unwrap();
            assert_eq!(view.format(), ImageFormat::Qcow2);
            assert_shows(&*view, &expected);
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn every_version_and_option() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    for (flags, options) in [
        ([].as_slice(), "compat=0.10"),
        (&["-c"], "compat=0.10"),
        (&[], "compat=0.10,cluster_size=512"),
        (&[], "refcount_bits=1"),
        (&[], "refcount_bits=64,lazy_refcounts=on"),
        (&[], "preallocation=metadata"),
        (&[], "preallocation=falloc"),
        (&[], "preallocation=full"),
        (&[], "extended_l2=on"),
        (&["-c"], "extended_l2=on"),
        (&[], "extended_l2=on,cluster_size=16384"),
        (&[], "extended_l2=on,cluster_size=2M"),
        (&["-S", "0"], "cluster_size=65536"),
    ] {
        let path = directory.path().join("image.qcow2");
        convert(&source, &path, flags, options);
        let view = open(&path, Some(ImageFormat::Qcow2)).unwrap_or_else(|error| panic!("{options}: {error}"));
        assert_shows(&*view, &expected);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn sparse_stays_sparse() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("huge.qcow2");
    create(&path, "cluster_size=65536", "3T");
    qemu_io(&path, &["write -P 0x5a 2T 64k"]);
    let view = open(&path, None).unwrap();
    let (mut at, mut data) = (0, 0);
    while let Some(extent) = view.extent_at(at).unwrap() {
        data += if extent.kind == ExtentKind::Data { extent.length } else { 0 };
        at += extent.length;
    }
    assert_eq!((at, data), (3 << 40, 65536));
    let mut bytes = [0; 3];
    view.read_at((2 << 40) - 1, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 0x5a, 0x5a]);
}

#[test]
fn an_empty_disk_has_no_bytes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("empty.qcow2");
    create(&path, "compat=1.1", "0");
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &[]);
}

#[test]
fn zeroed_discarded_and_partly_written_clusters() {
    let directory = TempDir::new().unwrap();
    for options in ["cluster_size=65536", "extended_l2=on", "extended_l2=on,cluster_size=32768", "compat=0.10"] {
        let path = directory.path().join("worked.qcow2");
        create(&path, options, "4M");
        qemu_io(
            &path,
            &[
                "write -P 0x11 0 1M",
                "write -z 64k 64k",
                "write -z 200k 3k",
                "discard 256k 128k",
                "write -z -u 512k 64k",
                "write -P 0x22 2049k 1k",
                "write -P 0x33 2100k 7k",
                "write -P 0x44 4190208 4096",
            ],
        );
        let expected = guest_bytes(&path);
        assert!(expected[2_100 << 10] == 0x33 && expected.len() == 4 << 20);
        assert_shows(&*open(&path, None).unwrap(), &expected);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn snapshots_and_former_sizes_do_not_show() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lived.qcow2");
    create(&path, "cluster_size=4096", "8M");
    let text = path.to_str().unwrap();
    qemu_io(&path, &["write -P 0x11 0 8M"]);
    qemu_img(["snapshot", "-c", "first", text]);
    qemu_io(&path, &["write -P 0x22 1M 1M"]);
    qemu_img(["bitmap", "--add", text, "changes"]);
    assert_shows(&*open(&path, None).unwrap(), &guest_bytes(&path));

    qemu_img(["snapshot", "-d", "first", text]);
    qemu_img(["resize", "-q", "--shrink", "-f", "qcow2", text, "3M"]);
    let shrunk = guest_bytes(&path);
    assert_eq!(shrunk.len(), 3 << 20);
    assert_shows(&*open(&path, None).unwrap(), &shrunk);

    qemu_img(["resize", "-q", "-f", "qcow2", text, "64M"]);
    let grown = guest_bytes(&path);
    assert!(grown.len() == 64 << 20 && grown[3 << 20..].iter().all(|byte| *byte == 0));
    assert_shows(&*open(&path, None).unwrap(), &grown);
}

#[test]
fn an_image_that_was_not_closed_is_read_and_says_so() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("dirty.qcow2");
    convert(&source, &path, &[], "lazy_refcounts=on");
    assert!(!Qcow2Image::new(fs::File::open(&path).unwrap()).unwrap().is_dirty());
    patch(&path, 79, &[1]);
    let view = Qcow2Image::new(fs::File::open(&path).unwrap()).unwrap();
    assert!(view.is_dirty() && !view.is_corrupt());
    assert!(view.warnings().iter().any(|warning| warning.contains("not closed")));
    assert_shows(&view, &fs::read(source).unwrap());
}

#[test]
fn an_image_that_is_marked_corrupt_is_read_and_says_so() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("corrupt.qcow2");
    convert(&source, &path, &[], "compat=1.1");
    patch(&path, 79, &[2]);
    let view = Qcow2Image::new(fs::File::open(&path).unwrap()).unwrap();
    assert!(view.is_corrupt() && !view.is_dirty());
    assert!(view.warnings().iter().any(|warning| warning.contains("corrupt")));
    assert_eq!(fact(&view, "corrupt"), FactValue::Flag(true));
    assert_shows(&view, &fs::read(source).unwrap());
}

fn fact(view: &dyn ImageReader, name: &str) -> FactValue {
    let facts = view.facts();
    facts.into_iter().find(|fact| fact.name == name).unwrap_or_else(|| panic!("no fact {name}")).value
}

#[test]
fn what_an_image_says_of_itself() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("image.qcow2");
    let options = "cluster_size=32768,compression_type=zstd,refcount_bits=8,lazy_refcounts=on";
    convert(&source, &path, &["-c"], options);
    let text = path.to_str().unwrap();
    qemu_img(["snapshot", "-c", "before", text]);
    qemu_img(["bitmap", "--add", text, "changes"]);
    let view = open(&path, None).unwrap();
    for (name, expected) in [
        ("version", FactValue::Number(3)),
        ("cluster-size", FactValue::Number(32768)),
        ("compression-type", "zstd".into()),
        ("refcount-bits", FactValue::Number(8)),
        ("extended-l2", FactValue::Flag(false)),
        ("lazy-refcounts", FactValue::Flag(true)),
        ("snapshots", FactValue::Number(1)),
        ("snapshot-names", "before (id 1)".into()),
        ("bitmaps", FactValue::Number(1)),
        ("dirty", FactValue::Flag(false)),
        ("corrupt", FactValue::Flag(false)),
    ] {
        assert_eq!(fact(&*view, name), expected, "{name}");
    }
    assert_eq!(view.warnings(), Vec::<String>::new());
    fs::remove_file(&path).unwrap();
    create(&path, "compat=0.10", "1M");
    qemu_io(&path, &["write -P 1 100k 100k"]);
    let view = open(&path, None).unwrap();
    assert_eq!(fact(&*view, "version"), FactValue::Number(2));
    assert_eq!(fact(&*view, "refcount-bits"), FactValue::Number(16));
    assert_eq!(fact(&*view, "allocated"), FactValue::Number(3 * 65536));
}

#[test]
fn a_short_last_cluster_ends_in_zeros() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("short.qcow2");
    create(&path, "cluster_size=65536", "128k");
    qemu_io(&path, &["write -P 0x77 0 128k"]);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 60_000).unwrap();
    assert_shows(&*open(&path, None).unwrap(), &guest_bytes(&path));
}

#[test]
fn threads_may_read_at_once() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    let path = directory.path().join("shared.qcow2");
    convert(&source, &path, &["-c"], "cluster_size=512");
    let view = open(&path, None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_shows(&*view, &expected));
        }
    });
}

#[test]
fn what_was_never_written_is_told_from_what_was_zeroed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.qcow2");
    for options in ["cluster_size=65536", "extended_l2=on"] {
        create(&path, options, "1M");
        qemu_io(&path, &["write -P 1 0 64k", "write -z 64k 64k"]);
        let view = open(&path, None).unwrap();
        let kinds = [0, 64 << 10, 128 << 10].map(|at| view.extent_at(at).unwrap().unwrap());
        assert_eq!(kinds.map(|extent| extent.kind), [ExtentKind::Data, ExtentKind::Zero, ExtentKind::Absent]);
        assert_eq!(kinds.map(|extent| extent.length), [64 << 10, 64 << 10, 896 << 10]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a guest does to its disk, we read what QEMU reads.
    #[test]
    fn any_life_of_a_disk(
        steps in proptest::collection::vec((0_u64..2048, 1_u64..300, 0_u8..4, 1_u8..255), 1..12),
        bits in 9_u32..=21,
        extended in any::<bool>(),
        reads in proptest::collection::vec((0_u64..(1 << 20), 0_usize..100_000), 1..8),
    ) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("lived.qcow2");
        let extended = if extended && bits >= 14 { ",extended_l2=on" } else { "" };
        create(&path, &format!("cluster_size={}{extended}", 1 << bits), "1M");
        let commands: Vec<String> = steps
            .iter()
            .map(|(sector, sectors, how, pattern)| {
                let (at, length) = (sector * 512, (*sectors).min(2048 - sector) * 512);
                match how {
                    0 | 1 => format!("write -P {pattern} {at} {length}"),
                    2 => format!("write -z {at} {length}"),
                    _ => format!("discard {at} {length}"),
                }
            })
            .collect();
        qemu_io(&path, &commands.iter().map(String::as_str).collect::<Vec<_>>());
        let expected = guest_bytes(&path);
        let view = open(&path, None).unwrap();
        assert_shows(&*view, &expected);
        for (at, length) in reads {
            let end = expected.len().min(at as usize + length);
            let mut bytes = noise(at, end - at as usize);
            view.read_at(at, &mut bytes).unwrap();
            prop_assert!(bytes == expected[at as usize..end]);
        }
    }
}
