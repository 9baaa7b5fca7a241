//! Images come, are found, and go.

use std::{cell::Cell, fs, os::unix::fs::PermissionsExt};

use disk_image::{ContentDigest, content_digest};
use image_store::{ImageStore, StoreError};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::disk::{Disk, names};

fn quiet(_: u64, _: u64) {}

#[test]
fn an_image_is_stored_once_sparse_and_read_only() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("new/store");
    let store = ImageStore::open(&root).unwrap();
    let disk = Disk::patterned(3 << 20);
    let told = Cell::new(0);
    let image = store
        .import(&disk, &|done, all| {
            assert!(done > told.replace(done) && all == 3 << 20);
        })
        .unwrap();
    assert_eq!(told.get(), 3 << 20);
    assert_eq!(image.digest, content_digest(&disk, &quiet).unwrap());
    assert_eq!(image.size, 3 << 20);
    assert!((1 << 20..5 << 19).contains(&image.stored_bytes), "a third is holes: {}", image.stored_bytes);
    let path = image.local_path().unwrap();
    assert_eq!(path, root.join(format!("{}.raw", image.digest)));
    assert_eq!(fs::read(path).unwrap(), disk.bytes);
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(store.import(&disk, &quiet).unwrap(), image);
    assert_eq!(names(&root).len(), 1);
    assert_eq!(ImageStore::open(&root).unwrap().get(&image.digest).unwrap(), Some(image));
}

#[test]
fn written_zeros_take_no_room() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let path = directory.path().join("zeros");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    let image = store.import(&*disk_image::open(&path, None).unwrap(), &quiet).unwrap();
    assert_eq!((image.size, image.stored_bytes), (1 << 20, 0));
    assert_eq!(store.reader(&image.digest).unwrap().size(), 1 << 20);
}

#[test]
fn images_are_listed_found_and_removed() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    assert!(store.list().unwrap().is_empty());
    let mut images: Vec<_> =
        [512, 4096, 70_144].map(|size| store.import(&Disk::patterned(size), &quiet).unwrap()).into();
    images.sort_by_key(|image| image.digest);
    fs::write(directory.path().join("notes.raw"), b"not ours").unwrap();
    fs::create_dir(directory.path().join(format!("{}.raw", ContentDigest::from_bytes([3; 32])))).unwrap();
    assert_eq!(store.list().unwrap(), images);

    let gone = images.remove(1).digest;
    assert!(store.remove(&gone).unwrap());
    assert!(!store.remove(&gone).unwrap());
    assert_eq!(store.list().unwrap(), images);
    assert_eq!(store.get(&gone).unwrap(), None);
    assert!(matches!(store.reader(&gone), Err(StoreError::Absent(digest)) if digest == gone));
    assert!(matches!(store.verify(&gone, &quiet), Err(StoreError::Absent(_))));
}

#[test]
fn an_open_reader_outlives_the_removal() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(8192);
    let image = store.import(&disk, &quiet).unwrap();
    let reader = store.reader(&image.digest).unwrap();
    store.remove(&image.digest).unwrap();
    let mut bytes = vec![0; 8192];
    reader.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, disk.bytes);
}

#[test]
fn what_cannot_be_stored_is_refused_at_once() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap().largest_image(4096);
    assert!(matches!(store.import(&Disk::new(Vec::new()), &quiet), Err(StoreError::Empty)));
    let error = store.import(&Disk::patterned(4608), &quiet).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { size: 4608, most: 4096 }), "{error}");
    store.import(&Disk::patterned(4096), &quiet).unwrap();
    assert_eq!(names(directory.path()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any mixture of zeros and data, at any alignment to the store's own blocks, comes back as it went in.
    #[test]
    fn any_disk_comes_back(
        runs in proptest::collection::vec((0_usize..40_000, prop_oneof![Just(0_u8), any::<u8>()]), 1..40),
    ) {
        let mut bytes: Vec<u8> = runs.iter().flat_map(|(length, byte)| std::iter::repeat_n(*byte, *length)).collect();
        bytes.resize((bytes.len() + 1).next_multiple_of(512), 0);
        let directory = TempDir::new().unwrap();
        let store = ImageStore::open(directory.path()).unwrap();
        let disk = Disk::new(bytes);
        let image = store.import(&disk, &quiet).unwrap();
        prop_assert_eq!(image.digest.to_string(), blake3::hash(&disk.bytes).to_string());
        prop_assert!(fs::read(image.local_path().unwrap()).unwrap() == disk.bytes);
        store.verify(&image.digest, &quiet).unwrap();
    }
}

#[test]
fn bytes_that_come_in_pieces_are_the_same_image() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(1 << 20);
    let pieces = || disk.bytes.chunks(70_001).map(|piece| Ok(piece.to_vec()));
    let received = store.receive(1 << 20, pieces()).unwrap();
    assert_eq!(received.digest, content_digest(&disk, &quiet).unwrap());
    assert_eq!(fs::read(&received.path).unwrap(), disk.bytes);
    assert!(received.stored_bytes < 1 << 20, "zeros became holes");

    store.remove(&received.digest).unwrap();
    let short = store.receive((1 << 20) + 1, pieces());
    assert!(matches!(short, Err(StoreError::Incomplete { received: 1_048_576, .. })), "{short:?}");
    let long = store.receive(1000, pieces());
    assert!(matches!(long, Err(StoreError::Incomplete { .. })), "{long:?}");
    let broken = store.receive(1 << 20, pieces().take(2).chain([Err(std::io::Error::other("the line broke"))]));
    assert!(matches!(broken, Err(StoreError::Interrupted(_))), "{broken:?}");
    assert!(names(directory.path()).is_empty(), "nothing is left of them");
}
