//! Which bytes are taken for which format.

use std::{fs, os::unix::net::UnixListener, path::Path, process::Command};

use disk_image::{ImageError, ImageFormat, open};
use tempfile::TempDir;

use crate::{
    qemu::{create, qemu_img},
    sample::{assert_shows, file},
};

fn refusal(path: &Path, declared: Option<ImageFormat>) -> String {
    open(path, declared).err().unwrap().to_string()
}

#[test]
fn what_is_declared_raw_stays_raw() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("guest-wrote-this");
    create(&path, "cluster_size=512", "1M");
    let view = open(&path, Some(ImageFormat::Raw)).unwrap();
    assert_eq!(view.format(), ImageFormat::Raw);
    let mut content = fs::read(&path).unwrap();
    content.resize(content.len().next_multiple_of(512), 0);
    assert_shows(&*view, &content);
}

#[test]
fn a_declaration_is_held_against_the_bytes() {
    let directory = TempDir::new().unwrap();
    let raw = file(&directory, "raw", &[1; 1024]);
    let error = refusal(&raw, Some(ImageFormat::Qcow2));
    assert_eq!(error, "declared as qcow2, but it has no mark of a known format; declare what it is");
    let luks = file(&directory, "luks", b"LUKS\xba\xbe\0\x02");
    assert!(refusal(&luks, Some(ImageFormat::Qcow2)).contains("it is a LUKS volume"));
}

#[test]
fn every_format_is_known_by_its_mark() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made");
    for (name, options, expected) in [
        ("vmdk", "subformat=monolithicSparse", ImageFormat::Vmdk),
        ("vmdk", "subformat=streamOptimized", ImageFormat::Vmdk),
        ("vpc", "subformat=dynamic", ImageFormat::Vhd),
        // Its mark stands at the end.
        ("vpc", "subformat=fixed", ImageFormat::Vhd),
        ("vhdx", "subformat=dynamic", ImageFormat::Vhdx),
        ("vdi", "static=off", ImageFormat::Vdi),
        ("qcow2", "compat=0.10", ImageFormat::Qcow2),
    ] {
        qemu_img(["create", "-q", "-f", name, "-o", options, path.to_str().unwrap(), "1M"]);
        assert_eq!(open(&path, None).unwrap().format(), expected, "{name} {options}");
        for other in ImageFormat::ALL.into_iter().filter(|other| !matches!(other, ImageFormat::Raw)) {
            assert_eq!(open(&path, Some(other)).is_ok(), other == expected, "{name} {options} as {other}");
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_has_no_reader_is_named_and_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made");
    for (format, expected) in [("qed", "a QED"), ("qcow", "a qcow")] {
        qemu_img(["create", "-q", "-f", format, path.to_str().unwrap(), "1M"]);
        assert!(refusal(&path, None).contains(&format!("this is {expected}")), "{format}");
        fs::remove_file(&path).unwrap();
    }
    let mut disc = vec![0; 40_000];
    disc[32769..32774].copy_from_slice(b"CD001");
    for (name, content, expected) in [
        ("disc", disc.as_slice(), "an ISO 9660 disc"),
        ("luks", b"LUKS\xba\xbe\0\x02", "a LUKS volume"),
        ("cowd", b"COWD\x01\0\0\0", "a snapshot of ESXi"),
        ("sesparse", b"\xbe\xba\xfe\xca\0\0\0\0", "a snapshot of ESXi"),
        ("parallels", b"WithoutFreeSpace", "a Parallels disk"),
        ("version-4", b"QFI\xfb\0\0\0\x04", "a qcow image of another version"),
    ] {
        assert!(refusal(&file(&directory, name, content), None).contains(expected), "{name}");
    }
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let directory = TempDir::new().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for path in
        [&pipe, &socket, directory.path(), Path::new("/dev/zero"), &directory.path().join("absent")] as [&Path; 5]
    {
        let error = open(path, None).err().unwrap();
        assert!(matches!(error, ImageError::File { .. }), "{}: {error}", path.display());
    }
}
