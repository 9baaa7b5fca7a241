//! Stored images as files of any format, judged by `qemu-img`.

use std::{fs, os::unix::fs::FileExt, path::Path, process::Command, sync::Arc};

use disk_image::ImageFormat;
use image_store::{Checksums, ImageStore, RenderedImage, Renderings, StoreError};
use tempfile::TempDir;

use crate::disk::Disk;

fn quiet(_: u64, _: u64) {}

/// All bytes, asked for in pieces of an odd length.
fn whole(rendered: &RenderedImage) -> Vec<u8> {
    let mut bytes = vec![0xaa; usize::try_from(rendered.length()).unwrap()];
    let mut at = 0;
    for piece in bytes.chunks_mut(70_001) {
        rendered.read_at(at, piece).unwrap();
        at += piece.len() as u64;
    }
    bytes
}

fn must(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_format_shows_the_stored_disk() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(ImageStore::open(directory.path().join("images")).unwrap());
    let image = store.import(&Disk::patterned(9 << 20), &quiet).unwrap();
    let renderings = Renderings::new(Arc::clone(&store));
    let mut validators = Vec::new();
    for format in ImageFormat::ALL {
        let rendered = renderings.open(&image.digest, format).unwrap();
        assert_eq!((rendered.format(), rendered.disk_size()), (format, image.size));
        let file = directory.path().join(format!("file.{format}"));
        fs::write(&file, whole(&rendered)).unwrap();
        let name = if format == ImageFormat::Vhd { "vpc" } else { format.name() };
        let raw = image.path.to_str().unwrap();
        must("qemu-img", &["compare", "-f", name, "-F", "raw", file.to_str().unwrap()], Path::new(raw));
        assert!(Arc::ptr_eq(&rendered, &renderings.open(&image.digest, format).unwrap()), "planned once");
        let mut beyond = [0; 2];
        assert!(rendered.read_at(rendered.length() - 1, &mut beyond).is_err());

        let checksums = Checksums::compute(&rendered, &|| true).unwrap().unwrap();
        assert!(must("md5sum", &[], &file).starts_with(&checksums.md5));
        assert!(must("sha256sum", &[], &file).starts_with(&checksums.sha256));
        assert_eq!(checksums.length, rendered.length());
        assert_eq!(Checksums::compute(&rendered, &|| false).unwrap(), None);
        store.remember(&image.digest, format, &checksums).unwrap();
        assert_eq!(store.checksums(&image.digest, format).unwrap(), Some(checksums));
        validators.push(rendered.validator().to_owned());
    }
    validators.sort();
    validators.dedup();
    assert_eq!(validators.len(), ImageFormat::ALL.len());
    assert!(validators.iter().all(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())));

    store.remove(&image.digest).unwrap();
    assert_eq!(store.checksums(&image.digest, ImageFormat::Raw).unwrap(), None);
    let gone = renderings.open(&image.digest, ImageFormat::Qcow2).err().unwrap();
    assert!(matches!(&*gone, StoreError::Absent(_)), "{gone}");
}

#[test]
fn the_validator_follows_the_bytes() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(ImageStore::open(directory.path().join("images")).unwrap());
    let image = store.import(&Disk::patterned(9 << 20), &quiet).unwrap();
    let open =
        |store: &Arc<ImageStore>, format| Renderings::new(Arc::clone(store)).open(&image.digest, format).unwrap();
    let here = open(&store, ImageFormat::Qcow2);
    assert_eq!(open(&store, ImageFormat::Qcow2).validator(), here.validator(), "every process says the same");

    // A copy whose holes were filled with zeros is the same disk, and another file.
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let copy = fs::File::create(other.join(image.path.file_name().unwrap())).unwrap();
    copy.write_all_at(&fs::read(&image.path).unwrap(), 0).unwrap();
    let other = Arc::new(ImageStore::open(&other).unwrap());
    let there = open(&other, ImageFormat::Qcow2);
    assert_ne!(there.length(), here.length());
    assert_ne!(there.validator(), here.validator());
    let raw = |store| open(store, ImageFormat::Raw).validator().to_owned();
    assert_eq!(raw(&store), raw(&other), "raw has no tables");
}

#[test]
fn a_remembered_text_that_is_none_is_forgotten() {
    let directory = TempDir::new().unwrap();
    let store = ImageStore::open(directory.path()).unwrap();
    let image = store.import(&Disk::patterned(1 << 20), &quiet).unwrap();
    let path = directory.path().join(format!("{}.qcow2.checksums", image.digest));
    for odd in [&b""[..], b"{}", b"[[[[", &[0xff; 10_000]] {
        fs::write(&path, odd).unwrap();
        assert_eq!(store.checksums(&image.digest, ImageFormat::Qcow2).unwrap(), None);
    }
}
