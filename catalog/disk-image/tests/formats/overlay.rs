//! The empty overlay that a machine writes into.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use disk_image::{
    ImageError, ImageFormat, LARGEST_DISK,
    qcow2::{OverlaySpec, create_overlay},
};
use tempfile::TempDir;

use crate::qemu::{check, info, qemu_img, qemu_io};

const MIB: u64 = 1 << 20;

fn backing(directory: &TempDir) -> std::path::PathBuf {
    let path = directory.path().join("base.raw");
    let bytes: Vec<u8> = (0..3 * MIB).map(|i| (i / 512 % 251) as u8).collect();
    fs::write(&path, bytes).unwrap();
    path
}

fn spec<'a>(path: &'a Path, backing: &'a Path, virtual_size: u64) -> OverlaySpec<'a> {
    OverlaySpec { path, backing, backing_format: ImageFormat::Raw, virtual_size }
}

#[test]
fn qemu_finds_nothing_wrong_at_any_size() {
    let directory = TempDir::new().unwrap();
    let base = backing(&directory);
    for size in [3 * MIB, 3 * MIB + 512, 512 * MIB, 512 * MIB + 512, 10 << 30, LARGEST_DISK] {
        let path = directory.path().join(format!("{size}.qcow2"));
        create_overlay(&spec(&path, &base, size)).unwrap();
        check(&path);
        let info = info(&path);
        assert_eq!(info["virtual-size"], size);
        assert_eq!(info["backing-filename"], base.to_str().unwrap());
        assert_eq!(info["backing-filename-format"], "raw");
        assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_backing_shows_through_and_writes_stay_in_the_overlay() {
    let directory = TempDir::new().unwrap();
    let base = backing(&directory);
    let before = fs::read(&base).unwrap();
    let path = directory.path().join("overlay.qcow2");
    create_overlay(&spec(&path, &base, 3 * MIB)).unwrap();
    let (path_text, base_text) = (path.to_str().unwrap(), base.to_str().unwrap());
    qemu_img(["compare", "-f", "raw", "-F", "qcow2", base_text, path_text]);

    qemu_io(&path, &["write -P 0xee 1M 512", "read -P 0xee 1M 512", "read -P 0x32 1053696 512"]);
    qemu_img(["resize", "-q", "-f", "qcow2", path_text, "1G"]);
    check(&path);
    assert_eq!(fs::read(&base).unwrap(), before);
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let directory = TempDir::new().unwrap();
    let base = backing(&directory);
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    create_overlay(&spec(&one, &base, 20 << 30)).unwrap();
    create_overlay(&spec(&two, &base, 20 << 30)).unwrap();
    assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
}

#[test]
fn an_existing_file_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let base = backing(&directory);
    let path = directory.path().join("taken");
    fs::write(&path, b"mine").unwrap();
    let error = create_overlay(&spec(&path, &base, 3 * MIB)).unwrap_err();
    assert!(matches!(error, ImageError::File { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
    create_overlay(&spec(&link, &base, 3 * MIB)).unwrap_err();
    assert!(!directory.path().join("elsewhere").exists());
}

#[test]
fn wrong_requests_leave_no_file() {
    let directory = TempDir::new().unwrap();
    let base = backing(&directory);
    let path = directory.path().join("overlay.qcow2");
    let long = format!("/{}", "x".repeat(1023));
    for (backing, size, expected) in [
        (base.as_path(), 0, "multiple of 512"),
        (&base, 3 * MIB + 1, "multiple of 512"),
        (&base, LARGEST_DISK + 512, "multiple of 512"),
        (&base, u64::MAX - 511, "multiple of 512"),
        (&base, 2 * MIB, "cut off"),
        (Path::new("base.raw"), 3 * MIB, "absolute"),
        (Path::new("json:{}"), 3 * MIB, "absolute"),
        (Path::new(&long), 3 * MIB, "1023"),
        (Path::new("/nowhere/at/all"), 3 * MIB, "find the backing file"),
    ] {
        let error = create_overlay(&spec(&path, backing, size)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!path.exists());
    }
    create_overlay(&spec(&directory.path().join("no/such/directory"), &base, 3 * MIB)).unwrap_err();
}
