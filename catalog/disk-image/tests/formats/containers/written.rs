//! Archives of our own.

use std::fs;

use disk_image::container::{DiskController, GuestSystem, OvaEnvelope, appliance};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{fact, open, run};
use crate::{
    qemu::convert,
    sample::{SIZE, assert_shows, file, raw},
};

fn whole(envelope: &OvaEnvelope, disk: &[u8]) -> Vec<u8> {
    let length = disk.len() as u64;
    let head = envelope.head(length, Sha256::digest(disk).into(), 123_456);
    assert_eq!(head.len() as u64, envelope.head_length());
    let bytes = [&head, disk, &envelope.tail(length)].concat();
    assert_eq!(bytes.len() as u64, envelope.length(length));
    bytes
}

#[test]
fn it_is_read_by_tar_and_by_us() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let content = fs::read(&source).unwrap();
    let disk = directory.path().join("disk");
    convert(&source, &disk, &[], "cluster_size=65536");
    let disk = fs::read(disk).unwrap();
    let envelope = OvaEnvelope::new("Web <server> & \"more\" äöü", SIZE).unwrap().sized(3, 512);
    for envelope in [
        envelope.clone(),
        envelope.clone().efi(true),
        envelope.controller(DiskController::Scsi).system(GuestSystem::Linux),
    ] {
        let bytes = whole(&envelope, &disk);
        let path = file(&directory, "made.ova", &bytes);
        let view = open(&path);
        assert_shows(&*view, &content);
        assert_eq!(view.warnings(), Vec::<String>::new());
        assert_eq!(fact(&*view, "manifest").as_deref(), Some("SHA256"));
        assert_eq!(view.damage(9).unwrap(), Vec::<String>::new());

        let said = appliance(&path).unwrap();
        assert_eq!(said.name.as_deref(), Some("Web <server> & \"more\" äöü"));
        assert_eq!((said.cpus, said.memory), (Some(3), Some(512 << 20)));
        assert_eq!((said.disks.len(), said.disks[0].capacity, said.disks[0].attached), (1, Some(SIZE), true));
        assert_eq!(said.disks[0].name, envelope.disk_file_name());

        let list = String::from_utf8(run(directory.path(), "tar", ["-t", "-f", "made.ova"])).unwrap();
        assert_eq!(list, "Web--server-----more.ovf\nWeb--server-----more.mf\nWeb--server-----more-disk1.vmdk\n");
        run(directory.path(), "tar", ["-x", "-f", "made.ova"]);
        assert!(fs::read(directory.path().join(envelope.disk_file_name())).unwrap() == disk);
        // The manifest, in the words of the program that judges it.
        run(directory.path(), "sha256sum", ["--check", "--strict", "Web--server-----more.mf"]);
    }
}

#[test]
fn its_head_does_not_grow_with_the_disk() {
    let envelope = OvaEnvelope::new("m", 64 << 40).unwrap();
    let length = envelope.head_length();
    for disk in [0, 1, 511, 512, (8 << 30) - 1, 8 << 30, 5 << 40, u64::MAX >> 1] {
        let head = envelope.head(disk, [0xab; 32], disk);
        assert_eq!(head.len() as u64, length);
        assert_eq!((length + disk + envelope.tail(disk).len() as u64) % 512, 0);
        let text = String::from_utf8_lossy(&head).into_owned();
        assert!(text.contains(&format!("ovf:size=\"{disk}\"")) && text.contains(&"ab".repeat(32)));
        let header = &head[head.len() - 512..];
        let mut parsed = tar::Header::new_old();
        parsed.as_mut_bytes().copy_from_slice(header);
        assert_eq!(parsed.entry_size().unwrap(), disk);
    }
}

#[test]
fn any_name_and_any_size_that_there_is() {
    let directory = TempDir::new().unwrap();
    for name in ["", "...", "ä", "@NAME@@FILE@", &"long ".repeat(60), "a\nb\0c", "../../etc/passwd", "]]>"] {
        let envelope = OvaEnvelope::new(name, 512).unwrap();
        let path = file(&directory, "made.ova", &whole(&envelope, &[7; 512]));
        assert_shows(&*open(&path), &[7; 512]);
        let file = envelope.disk_file_name();
        assert!(file.ends_with("-disk1.vmdk") && file.len() < 100 && !file.starts_with('.') && !file.contains('/'));
    }
    assert_eq!(
        appliance(&file(&directory, "a", &whole(&OvaEnvelope::new("@NAME@@FILE@", 0).unwrap(), &[])))
            .unwrap()
            .name
            .as_deref(),
        Some("@NAME@@FILE@")
    );
    assert!(OvaEnvelope::new("m", 513).is_err());
    assert!(OvaEnvelope::new("m", (64 << 40) + 512).is_err());
}
