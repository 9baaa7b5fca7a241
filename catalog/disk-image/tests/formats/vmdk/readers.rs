//! Every kind of VMDK that QEMU writes, read as QEMU reads it.

use std::fs;

use disk_image::{DiskView, ExtentKind, Fact, ImageFormat, ImageReader, Opening, open};
use tempfile::TempDir;

use super::{convert, create};
use crate::{
    qemu::qemu_img,
    sample::{assert_shows, digest, noise, patch, raw},
};

#[test]
fn every_subformat_and_option() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    for options in [
        "subformat=monolithicSparse",
        "subformat=monolithicSparse,compat6=on",
        "subformat=monolithicSparse,adapter_type=lsilogic,hwversion=14",
        "subformat=monolithicSparse,adapter_type=buslogic",
        "subformat=monolithicSparse,adapter_type=legacyESX",
        "subformat=monolithicSparse,zeroed_grain=on",
        "subformat=monolithicFlat",
        "subformat=twoGbMaxExtentSparse",
        "subformat=twoGbMaxExtentSparse,zeroed_grain=on",
        "subformat=twoGbMaxExtentFlat",
        "subformat=streamOptimized",
    ] {
        let path = directory.path().join("image.vmdk");
        convert(&source, &path, options);
        for declared in [None, Some(ImageFormat::Vmdk)] {
            let view = Opening::new()
                .declared(declared)
                .with_files_beside_it()
                .open(&path)
                .unwrap_or_else(|error| panic!("{options}: {error}"));
            assert_eq!(view.format(), ImageFormat::Vmdk);
            assert_shows(&*view, &expected);
            assert_eq!(view.warnings(), [""; 0], "{options}");
            assert_eq!(view.damage(9).unwrap(), [""; 0], "{options}");
            let subformat = options.split(',').next().unwrap().trim_start_matches("subformat=");
            assert_eq!(view.facts()[0], Fact::new("subformat", subformat));
        }
        assert_eq!(open(&path, None).is_ok(), !options.contains("Max") && !options.contains("Flat"), "{options}");
        for file in fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap().path();
            if file != source {
                fs::remove_file(file).unwrap();
            }
        }
    }
}

#[test]
fn what_a_file_says_of_itself() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.vmdk");
    create(&path, "subformat=monolithicSparse,adapter_type=lsilogic,hwversion=14", "1M");
    let facts = open(&path, None).unwrap().facts();
    let text = facts.iter().map(|fact| format!("{}={}", fact.name, fact.value)).collect::<Vec<_>>().join(" ");
    let (head, tail) = text.split_once(" content-id=").unwrap();
    assert_eq!(head, "subformat=monolithicSparse");
    let (_, tail) = tail.split_once(' ').unwrap();
    assert_eq!(tail, "adapter-type=lsilogic hardware-version=14 version=1 grain-size=65536 compressed=no");
}

#[test]
fn odd_sizes() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("odd.raw");
    for size in [512, 1024, 65_536 - 512, 65_536, 65_536 + 512, (32 << 20) + 512_usize] {
        let mut content = noise(size as u64, 200_000.min(size));
        content.resize(size, 0);
        content[size - 512..].fill(7);
        fs::write(&source, &content).unwrap();
        for options in ["subformat=monolithicSparse", "subformat=streamOptimized"] {
            let path = directory.path().join("odd.vmdk");
            convert(&source, &path, options);
            let view = open(&path, None).unwrap();
            if size < 1 << 20 {
                assert_shows(&*view, &content);
            } else {
                assert_eq!(digest(&*view), blake3::hash(&content).to_string(), "{size} {options}");
            }
        }
    }
}

#[test]
fn an_empty_disk_has_no_bytes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("empty.vmdk");
    for options in ["subformat=monolithicSparse", "subformat=streamOptimized"] {
        create(&path, options, "0");
        assert_shows(&*open(&path, None).unwrap(), &[]);
    }
}

#[test]
fn sparse_stays_sparse() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("huge.raw");
    let file = fs::File::create(&source).unwrap();
    file.set_len(3 << 40).unwrap();
    patch(&source, 2 << 40, &[0x5a; 65536]);
    for options in ["subformat=monolithicSparse", "subformat=streamOptimized"] {
        let path = directory.path().join("huge.vmdk");
        convert(&source, &path, options);
        let view = open(&path, None).unwrap();
        assert_eq!(data_of(&*view), (3 << 40, 65536), "{options}");
        let mut bytes = [0; 3];
        view.read_at((2 << 40) - 1, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0x5a, 0x5a]);
    }
}

/// The disk's size, and how much of it is data.
fn data_of(view: &dyn DiskView) -> (u64, u64) {
    let (mut at, mut data) = (0, 0);
    while let Some(extent) = view.extent_at(at).unwrap() {
        data += if extent.kind == ExtentKind::Data { extent.length } else { 0 };
        at += extent.length;
    }
    (at, data)
}

#[test]
fn zeros_that_are_written_and_those_that_are_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("worked.vmdk");
    create(&path, "subformat=monolithicSparse,zeroed_grain=on", "4M");
    let text = path.to_str().unwrap();
    let commands = ["write -P 1 0 1M", "write -z 64k 128k", "write -P 2 2100k 7k"];
    let arguments = commands.iter().flat_map(|command| ["-c", command]);
    let status =
        std::process::Command::new("qemu-io").args(["-f", "vmdk"]).args(arguments).arg(text).output().unwrap().status;
    assert!(status.success());
    let raw = directory.path().join("judged.raw");
    qemu_img(["convert", "-f", "vmdk", "-O", "raw", text, raw.to_str().unwrap()]);
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &fs::read(raw).unwrap());
    let kinds: Vec<_> = std::iter::successors(view.extent_at(0).unwrap(), |extent| {
        view.extent_at(extent.offset + extent.length).unwrap()
    })
    .map(|extent| (extent.length >> 10, extent.kind))
    .collect();
    let data = ExtentKind::Data;
    let absent = ExtentKind::Absent;
    let expected = [(64, data), (128, ExtentKind::Zero), (832, data), (1024, absent), (64, data), (1984, absent)];
    assert_eq!(kinds, expected);
}

#[test]
fn large_disks_in_parts() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("parts.raw");
    fs::File::create(&source).unwrap().set_len((5 << 30) + 512).unwrap();
    for at in [0_u64, (2 << 30) - 512, 2 << 30, (4 << 30) - 7, 5 << 30] {
        patch(&source, at, &[at.leading_zeros() as u8 | 1; 512]);
    }
    for options in ["subformat=twoGbMaxExtentSparse", "subformat=twoGbMaxExtentFlat"] {
        let path = directory.path().join("parts.vmdk");
        convert(&source, &path, options);
        let view = Opening::new().with_files_beside_it().open(&path).unwrap();
        let plain = open(&source, Some(ImageFormat::Raw)).unwrap();
        assert_eq!(view.size(), plain.size());
        let [mut one, mut other] = [[0; 2048], [1; 2048]];
        for at in [0, (2 << 30) - 1024, (4 << 30) - 1000, (5 << 30) - 1536] {
            view.read_at(at, &mut one).unwrap();
            plain.read_at(at, &mut other).unwrap();
            assert!(one == other && one.iter().any(|byte| *byte != 0), "{options} at {at}");
        }
        let (size, data) = data_of(&*view);
        assert!(size == view.size() && (2048..1 << 20).contains(&data), "{data}");
        assert!(view.facts().contains(&Fact::new("extents", 3_u64)));
    }
}

#[test]
fn threads_may_read_at_once() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    let path = directory.path().join("shared.vmdk");
    convert(&source, &path, "subformat=streamOptimized");
    let view = open(&path, None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_shows(&*view, &expected));
        }
    });
}

#[test]
fn oddities_are_said() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("odd.vmdk");
    let said = || {
        let view: Box<dyn ImageReader> = open(&path, None).unwrap();
        assert_shows(&*view, &fs::read(&source).unwrap());
        view.warnings().join("; ")
    };
    convert(&source, &path, "subformat=monolithicSparse");
    patch(&path, 72, &[1]);
    assert!(said().contains("not closed properly"));
    convert(&source, &path, "subformat=monolithicSparse");
    patch(&path, 4, &[3]);
    assert!(said().contains("changed blocks were tracked"));
    convert(&source, &path, "subformat=monolithicSparse");
    let text = fs::read(&path).unwrap();
    let extent = text.windows(3).position(|bytes| bytes == b"RW ").unwrap();
    patch(&path, extent as u64 + 3, b"9");
    assert!(said().contains("does not describe"), "{}", said());

    // The second set of tables: noticed when it is looked for, harmless otherwise.
    convert(&source, &path, "subformat=monolithicSparse");
    let redundant = 22 * 512;
    patch(&path, redundant, &[0; 4]);
    assert_eq!(said(), "");
    assert!(open(&path, None).unwrap().damage(9).unwrap()[0].contains("grain table 0"));
}
