//! Internal snapshots: any of them is a disk of its own.

use std::{fs, path::Path};

use disk_image::{ImageFormat, ImageReader, Opening, open};
use tempfile::TempDir;

use crate::{
    qemu::{convert, create, guest_bytes, qemu_img, qemu_io},
    sample::{assert_shows, raw},
};

fn snapshot(path: &Path, name: &str) -> Box<dyn ImageReader> {
    Opening::new().snapshot(Some(name)).open(path).unwrap()
}

fn refusal(path: &Path, name: &str) -> String {
    Opening::new().snapshot(Some(name)).open(path).err().unwrap().to_string()
}

/// What QEMU shows of a snapshot.
fn judged(path: &Path, name: &str) -> Vec<u8> {
    let target = path.with_extension("snapshot.raw");
    let [from, to] = [path, &target].map(|path| path.to_str().unwrap());
    qemu_img(["convert", "-f", "qcow2", "-O", "raw", "-l", &format!("snapshot.name={name}"), from, to]);
    fs::read(target).unwrap()
}

#[test]
fn each_snapshot_shows_its_own_disk() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("lived.qcow2");
    let text = path.to_str().unwrap();
    for options in ["cluster_size=512", "cluster_size=65536", "extended_l2=on", "compat=0.10", "cluster_size=2M"] {
        create(&path, options, "3M");
        for (pattern, name) in [(1, "first"), (2, "second one"), (3, "third")] {
            qemu_io(&path, &[&format!("write -P {pattern} {pattern}00k 700k"), "write -z 1500k 100k"]);
            qemu_img(["snapshot", "-c", name, text]);
        }
        qemu_io(&path, &["discard 0 2M", "write -P 4 50k 100k"]);
        assert_shows(&*open(&path, None).unwrap(), &guest_bytes(&path));
        for (id, name) in [("1", "first"), ("2", "second one"), ("3", "third")] {
            let expected = judged(&path, name);
            assert_shows(&*snapshot(&path, name), &expected);
            assert_shows(&*snapshot(&path, id), &expected);
        }
        assert_eq!(open(&path, None).unwrap().damage(10).unwrap(), Vec::<String>::new(), "{options}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_snapshot_of_compressed_clusters_shares_them() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("image.qcow2");
    for compression in ["zlib", "zstd"] {
        convert(&source, &path, &["-c"], &format!("compression_type={compression}"));
        qemu_img(["snapshot", "-c", "packed", path.to_str().unwrap()]);
        qemu_io(&path, &["write -P 9 1M 1M"]);
        assert_shows(&*snapshot(&path, "packed"), &fs::read(&source).unwrap());
        let view = open(&path, None).unwrap();
        assert_shows(&*view, &guest_bytes(&path));
        assert_eq!(view.damage(10).unwrap(), Vec::<String>::new());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_snapshot_keeps_its_size() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("grown.qcow2");
    let text = path.to_str().unwrap();
    create(&path, "cluster_size=4096", "3M");
    qemu_io(&path, &["write -P 7 0 3M"]);
    qemu_img(["snapshot", "-c", "small", text]);
    let small = guest_bytes(&path);
    qemu_img(["resize", "-q", "-f", "qcow2", text, "9M"]);
    qemu_io(&path, &["write -P 8 2M 7M"]);
    qemu_img(["snapshot", "-c", "large", text]);
    let large = guest_bytes(&path);
    assert_shows(&*snapshot(&path, "small"), &small);
    assert_shows(&*snapshot(&path, "large"), &large);
}

#[test]
fn an_unknown_snapshot_is_answered_with_those_that_there_are() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.qcow2");
    create(&path, "cluster_size=512", "64k");
    assert!(refusal(&path, "any").contains("has none"));
    for number in 0..23 {
        qemu_img(["snapshot", "-c", &format!("name-{number}"), path.to_str().unwrap()]);
    }
    let error = refusal(&path, "name");
    assert!(error.contains("\"name\"") && error.contains("it has 23") && error.contains("name-19 (id 20)"), "{error}");
    assert!(!error.contains("name-20"), "{error}");
    assert_eq!(snapshot(&path, "name-22").size(), 65536);
    let error = Opening::new().declared(Some(ImageFormat::Raw)).snapshot(Some("1")).open(&path).err().unwrap();
    assert!(error.to_string().contains("snapshots within a raw image"), "{error}");
}
