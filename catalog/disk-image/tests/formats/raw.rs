//! Files that hold the guest's bytes and nothing else.

use std::{
    fs::{self, File, OpenOptions},
    sync::atomic::{AtomicBool, Ordering},
};

use disk_image::{Cancellable, ExtentKind, ImageError, ImageFormat, LARGEST_DISK, RawImage, content_digest, open};
use tempfile::TempDir;

use crate::sample::{assert_shows, file, raw};

#[test]
fn a_raw_file_shows_its_bytes_and_its_holes() {
    let directory = TempDir::new().unwrap();
    let path = raw(&directory);
    let view = open(&path, None).unwrap();
    assert_shows(&*view, &fs::read(&path).unwrap());
    let hole = view.extent_at(4 << 20).unwrap().unwrap();
    assert_eq!(hole.kind, ExtentKind::Absent, "the directory for temporary files must keep holes");
}

#[test]
fn an_odd_tail_is_filled_with_zeros() {
    let directory = TempDir::new().unwrap();
    for length in [0, 1, 511, 512, 513, 70_001] {
        let content = vec![7; length];
        let path = file(&directory, "odd", &content);
        let mut expected = content;
        expected.resize(length.next_multiple_of(512), 0);
        let view = RawImage::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(view.padding() as usize, expected.len() - length);
        assert_shows(&view, &expected);
    }
}

#[test]
fn a_file_beyond_the_largest_disk_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("huge");
    // Some file systems do not hold a file as large; then there is nothing to refuse but the file itself.
    if File::create(&path).unwrap().set_len(LARGEST_DISK + 1).is_ok() {
        let error = open(&path, Some(ImageFormat::Raw)).err().unwrap().to_string();
        assert!(error.contains("beyond"), "{error}");
    }
}

#[test]
fn a_file_cut_while_it_is_read_gives_an_error_and_no_zeros() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "cut", &[9; 8192]);
    let view = open(&path, None).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let error = view.read_at(0, &mut [0; 8192]).unwrap_err();
    assert!(matches!(error, ImageError::Read { .. }), "{error}");
}

#[test]
fn a_cancelled_view_gives_no_digest() {
    let directory = TempDir::new().unwrap();
    let path = raw(&directory);
    let view = open(&path, None).unwrap();
    let cancelled = AtomicBool::new(false);
    let cancellable = Cancellable::new(&*view, &cancelled);
    assert_shows(&cancellable, &fs::read(&path).unwrap());
    let stop = |done, all| cancelled.store(done > all / 2, Ordering::Relaxed);
    assert!(matches!(content_digest(&cancellable, &stop), Err(ImageError::Cancelled)));
}
