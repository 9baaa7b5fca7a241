//! What goes wrong in one process: nothing half-made stays, and rot is found.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
};

use disk_image::{Cancellable, ImageError};
use image_store::{ImageStore, StoreError};
use tempfile::TempDir;

use crate::disk::{Disk, names};

fn quiet(_: u64, _: u64) {}

/// Writes into a stored file, as rot would.
fn damage(path: &Path, change: impl FnOnce(&fs::File)) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    change(&fs::OpenOptions::new().write(true).open(path).unwrap());
}

#[test]
fn an_image_that_cannot_be_read_to_its_end_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk { fails_at: Some(2 << 20), ..Disk::patterned(3 << 20) };
    let error = store.import(&disk, &quiet).unwrap_err();
    assert!(matches!(error, StoreError::Image(ImageError::Read { .. })), "{error}");
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(3 << 20);
    let cancelled = AtomicBool::new(false);
    let error = store
        .import(&Cancellable::new(&disk, &cancelled), &|done, _| {
            assert_eq!(names(directory.path()).len(), 1);
            cancelled.store(done > 1 << 20, Ordering::Relaxed);
        })
        .unwrap_err();
    assert!(matches!(error, StoreError::Image(ImageError::Cancelled)), "{error}");
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn an_import_that_panics_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(1 << 20);
    catch_unwind(AssertUnwindSafe(|| store.import(&disk, &|_, _| panic!("the bar broke")))).unwrap_err();
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn rot_is_found_and_named() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(1 << 20);
    let image = store.import(&disk, &quiet).unwrap();
    store.verify(&image.digest, &quiet).unwrap();
    damage(image.local_path().unwrap(), |file| {
        file.write_all_at(&[disk.bytes[70_000] ^ 4], 70_000).unwrap();
    });
    let error = store.verify(&image.digest, &quiet).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { digest, found } if *digest == image.digest && found != digest));
    assert!(error.to_string().contains("remove it and import it again"));
    assert!(store.remove(&image.digest).unwrap());
    store.import(&disk, &quiet).unwrap();
    store.verify(&image.digest, &quiet).unwrap();
}

#[test]
fn a_torn_image_is_replaced_by_the_next_import() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let disk = Disk::patterned(1 << 20);
    let image = store.import(&disk, &quiet).unwrap();
    damage(image.local_path().unwrap(), |file| file.set_len(4096).unwrap());
    assert!(matches!(store.verify(&image.digest, &quiet), Err(StoreError::Damaged { .. })));
    assert_eq!(store.import(&disk, &quiet).unwrap(), image);
    store.verify(&image.digest, &quiet).unwrap();
    assert_eq!(names(directory.path()).len(), 1);
}

#[test]
fn many_import_the_same_at_once() {
    let directory = TempDir::new().unwrap();
    let disk = Disk::patterned(1 << 20);
    let together = Barrier::new(6);
    let images: Vec<_> = std::thread::scope(|scope| {
        let import = || {
            // A store of its own: opening sweeps, which must not hurt the others.
            together.wait();
            ImageStore::open(directory.path()).unwrap().import(&disk, &quiet).unwrap()
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(import)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(names(directory.path()), [format!("{}.raw", images[0].digest)]);
    ImageStore::open(directory.path()).unwrap().verify(&images[0].digest, &quiet).unwrap();
}

#[test]
fn a_store_that_cannot_be_made_says_where() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = ImageStore::open(file.join("store")).unwrap_err().to_string();
    assert!(error.contains("make the image store") && error.contains("file/store"), "{error}");
}
