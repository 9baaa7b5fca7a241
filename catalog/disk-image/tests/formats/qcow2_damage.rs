//! Refcounts that do not tell the truth: found as `qemu-img check` finds them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use disk_image::open;
use tempfile::TempDir;

use crate::{
    qemu::{convert, create, qemu_img, qemu_io},
    sample::{patch, raw},
};

fn damage(path: &Path) -> Vec<String> {
    open(path, None).unwrap().damage(1000).unwrap()
}

/// Leaks and wrong counts that QEMU finds.
fn judged(path: &Path) -> (u64, u64) {
    let output = Command::new("qemu-img").args(["check", "--output=json", "-f", "qcow2"]).arg(path).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (found["leaks"].as_u64().unwrap_or(0), found["corruptions"].as_u64().unwrap_or(0))
}

fn image(directory: &TempDir, flags: &[&str], options: &str) -> PathBuf {
    let path = directory.path().join("image.qcow2");
    convert(&raw(directory), &path, flags, options);
    path
}

fn read64(path: &Path, at: u64) -> u64 {
    let bytes = fs::read(path).unwrap();
    u64::from_be_bytes(bytes[at as usize..at as usize + 8].try_into().unwrap())
}

/// Where the first refcount block stands.
fn block(path: &Path) -> u64 {
    read64(path, read64(path, 48))
}

#[test]
fn what_qemu_made_is_sound() {
    let directory = TempDir::new().unwrap();
    for (flags, options) in [
        ([].as_slice(), "cluster_size=512"),
        (&["-c"], "cluster_size=512"),
        (&["-c"], "cluster_size=65536,compression_type=zstd"),
        (&[], "refcount_bits=1"),
        (&[], "refcount_bits=2"),
        (&["-c"], "refcount_bits=8,cluster_size=2M"),
        (&[], "refcount_bits=64"),
        (&["-c"], "compat=0.10"),
        (&["-c"], "extended_l2=on"),
        (&[], "preallocation=metadata"),
        (&[], "preallocation=full,extended_l2=on"),
    ] {
        let path = image(&directory, flags, options);
        assert_eq!(judged(&path), (0, 0), "{options}");
        assert_eq!(damage(&path), Vec::<String>::new(), "{options}");
    }
}

#[test]
fn bitmaps_and_preallocated_zeros_are_in_use() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image.qcow2");
    let text = path.to_str().unwrap();
    create(&path, "cluster_size=4096", "256M");
    for name in ["first", "another"] {
        qemu_img(["bitmap", "--add", "-g", "4096", text, name]);
        qemu_io(&path, &["write -P 1 0 1M", "write -z 100k 100k", "write -P 1 200M 3M"]);
    }
    qemu_img(["snapshot", "-c", "now", text]);
    assert_eq!(judged(&path), (0, 0));
    assert_eq!(damage(&path), Vec::<String>::new());
}

#[test]
fn leaks_and_wrong_counts() {
    let directory = TempDir::new().unwrap();
    let whole = fs::read(image(&directory, &[], "cluster_size=4096")).unwrap();
    let path = directory.path().join("damaged.qcow2");
    let clusters = whole.len() as u64 / 4096;
    fs::write(&path, &whole).unwrap();
    let block = block(&path);

    // Far behind the end of the file: nothing that is there is concerned.
    for (at, count, leaks, wrong, words) in [
        (20, 0_u16, 0, 1, "at byte 81920 has the refcount 0 and is in use 1 times: a write may destroy it"),
        (20, 2, 1, 0, "at byte 81920 has the refcount 2 and is in use 1 times: it is leaked"),
        (0, 0, 0, 1, "at byte 0 has the refcount 0"),
        (0, 0xffff, 1, 0, "at byte 0 has the refcount 65535"),
    ] {
        fs::write(&path, &whole).unwrap();
        patch(&path, block + at * 2, &count.to_be_bytes());
        let found = damage(&path);
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        // QEMU also counts each entry's hint that the count is one, against the count.
        let judged = judged(&path);
        assert!(judged.0 >= leaks && judged.1 >= wrong, "{judged:?}");
    }

    // Clusters that nobody uses.
    fs::write(&path, &whole).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((clusters + 5) * 4096).unwrap();
    patch(&path, block + clusters * 2, &[0, 1].repeat(5));
    let found = damage(&path);
    assert_eq!(judged(&path), (5, 0));
    let expected = format!("each of 5 clusters at byte {} has the refcount 1 and is in use nowhere", clusters * 4096);
    assert!(found.len() == 1 && found[0].contains(&expected), "{found:?}");

    // No more than asked for.
    fs::write(&path, &whole).unwrap();
    for cluster in [3_u64, 5, 7, 9] {
        patch(&path, block + cluster * 2, &[0, 9]);
    }
    assert_eq!(damage(&path).len(), 4);
    assert_eq!(open(&path, None).unwrap().damage(2).unwrap().len(), 2);
}

#[test]
fn counts_that_are_missing() {
    let directory = TempDir::new().unwrap();
    for options in ["cluster_size=512", "cluster_size=4096,refcount_bits=1", "cluster_size=4096,refcount_bits=64"] {
        let path = image(&directory, &[], options);
        let table = read64(&path, 48);
        patch(&path, table, &[0; 8]);
        let (leaks, wrong) = judged(&path);
        let found = damage(&path);
        assert!(leaks == 0 && wrong > 0, "{options}");
        assert!(found.iter().all(|sentence| sentence.contains("refcount 0 and is in use 1 times")), "{found:?}");
        assert!(!found.is_empty());
    }
}

#[test]
fn what_a_crash_leaves() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("crashed.qcow2");
    create(&path, "lazy_refcounts=on,cluster_size=65536", "8M");
    // Killed before it closes the image: with lazy refcounts, the counts are not written until then.
    let commands = ["-c", "write -P 1 0 1M", "-c", "flush", "-c", "sigraise 9"];
    let killed = Command::new("qemu-io").args(["-f", "qcow2"]).args(commands).arg(&path).output().unwrap();
    assert!(!killed.status.success());
    let view = open(&path, None).unwrap();
    assert!(view.warnings().iter().any(|warning| warning.contains("not closed")));
    let mut bytes = vec![0; 1 << 20];
    view.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 1));
    assert!(!view.damage(10).unwrap().is_empty());
}
