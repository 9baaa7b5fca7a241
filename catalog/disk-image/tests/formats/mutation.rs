//! Images with any bytes of their tables changed: an error or bytes, never a panic, never a read without end.

use std::fs;

use disk_image::{DiskView, ImageReader, Opening, open};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    qemu::{convert, create, qemu_img, qemu_io},
    sample::{file, raw},
};

/// Asks all that can be asked beyond the guest's bytes.
fn question(image: &dyn ImageReader) {
    assert!(image.facts().len() > 5 && image.warnings().len() < 5);
    let damage = image.damage(5);
    assert!(damage.is_err() || damage.is_ok_and(|sentences| sentences.len() <= 5));
}

/// Reads all that can be read.
pub fn exhaust(view: &dyn DiskView) {
    let mut at = 0;
    let mut bytes = vec![0; 1 << 20];
    let mut extents = 0;
    while let Ok(Some(extent)) = view.extent_at(at) {
        assert!(extent.length > 0 && extent.length <= view.size() - at);
        let length = bytes.len().min(extent.length as usize);
        let _ = view.read_at(at, &mut bytes[..length]);
        at += extent.length;
        extents += 1;
        if extents > 4096 {
            break;
        }
    }
}

fn victims() -> Vec<Vec<u8>> {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("image");
    let mut victims = Vec::new();
    for (flags, options) in [
        ([].as_slice(), "cluster_size=512"),
        (&["-c"], "cluster_size=4096"),
        (&["-c"], "cluster_size=65536,compression_type=zstd"),
    ] {
        convert(&source, &path, flags, options);
        victims.push(fs::read(&path).unwrap());
    }
    fs::remove_file(&path).unwrap();
    create(&path, "extended_l2=on,cluster_size=16384", "3M");
    qemu_io(&path, &["write -P 1 1k 300k", "write -z 2M 5k"]);
    victims.push(fs::read(&path).unwrap());
    fs::remove_file(&path).unwrap();
    let text = path.to_str().unwrap();
    create(&path, "cluster_size=4096", "3M");
    for name in ["first", "second"] {
        qemu_io(&path, &["write -P 1 1k 300k"]);
        qemu_img(["snapshot", "-c", name, text]);
        qemu_img(["bitmap", "--add", text, name]);
    }
    victims.push(fs::read(&path).unwrap());
    victims
}

#[test]
fn any_change_of_a_header_or_table() {
    let directory = TempDir::new().unwrap();
    let victims = victims();
    // Mostly in the header, else anywhere up to where the first data stands.
    let place = prop_oneof![3 => 4_usize..112, 1 => 112_usize..1024, 4 => 1024_usize..400_000];
    let value = prop_oneof![Just(0_u8), Just(0xff), Just(0x80), Just(0x40), any::<u8>()];
    let change = proptest::collection::vec((place, value, 1_usize..9), 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let mut opened = 0_u32;
    let opened_cell = std::cell::RefCell::new(&mut opened);
    runner
        .run(&(0..victims.len(), change, proptest::option::weighted(0.1, any::<usize>())), |(victim, changes, cut)| {
            let mut bytes = victims[victim].clone();
            for (at, value, length) in changes {
                let at = at % bytes.len();
                let end = bytes.len().min(at + length);
                bytes[at..end].fill(value);
            }
            bytes.truncate(bytes.len() - cut.map_or(0, |cut| cut % bytes.len()));
            let path = file(&directory, "changed", &bytes);
            if let Ok(view) = open(&path, None) {
                question(&*view);
                exhaust(&*view);
                **opened_cell.borrow_mut() += 1;
            }
            if let Ok(view) = Opening::new().snapshot(Some("second")).open(&path) {
                question(&*view);
                exhaust(&*view);
            }
            Ok(())
        })
        .unwrap();
    assert!((50..450).contains(&opened), "{opened} of 500 opened: the changes must reach both sides");
}
