//! What a description says of its machine.

use disk_image::{
    ImageError,
    container::{ApplianceDisk, appliance},
};
use tempfile::TempDir;

use super::{
    flavours::{STREAM, draft, virtualbox, vmware},
    tar,
};
use crate::sample::file;

#[test]
fn what_a_person_wants_to_know() {
    let directory = TempDir::new().unwrap();
    file(&directory, "a.vmdk", &[1; 1000]);
    file(&directory, "x.ovf", vmware(&[("a.vmdk", 5), ("b.vmdk", 7)]).as_bytes());
    let found = appliance(&tar(directory.path(), &[], &["x.ovf", "a.vmdk"])).unwrap();
    assert_eq!(found.name.as_deref(), Some("web & mail"));
    assert_eq!(found.system.as_deref(), Some("Debian GNU/Linux 10 (64-bit)"));
    assert_eq!((found.product.as_deref(), found.version.as_deref()), (Some("Server"), Some("1.2")));
    assert_eq!(found.annotation.as_deref(), Some("Two lines\nof words"));
    assert_eq!((found.firmware.as_deref(), found.cpus, found.memory), (Some("efi"), Some(2), Some(2 << 30)));
    let disk = |name: &str, file_length, capacity| ApplianceDisk {
        name: name.into(),
        has_file: true,
        file_length,
        capacity: Some(capacity),
        format: Some(STREAM.into()),
        attached: true,
    };
    assert_eq!(found.disks, [disk("a.vmdk", Some(1000), 5 << 20), disk("b.vmdk", None, 7 << 20)]);
    assert!(serde_json::to_string(&found).unwrap().contains(r#""memory":2147483648"#));
}

#[test]
fn other_flavours_without_an_archive() {
    let directory = TempDir::new().unwrap();
    for version in [1, 2] {
        let path = file(&directory, "x.ovf", virtualbox(version, "a.vmdk", 512).as_bytes());
        let found = appliance(&path).unwrap();
        assert_eq!((found.name.as_deref(), found.firmware.as_deref()), (Some("box"), Some("efi")));
        assert_eq!((found.cpus, found.memory), (Some(1), Some(512 << 20)));
        let disks: Vec<_> = found.disks.iter().map(|disk| (&*disk.name, disk.capacity, disk.attached)).collect();
        assert_eq!(disks, [("a.vmdk", Some(512), true)]);
    }
    let found = appliance(&file(&directory, "x.ovf", draft("a.vmdk").as_bytes())).unwrap();
    assert_eq!((found.name.as_deref(), found.disks[0].capacity), (Some("old"), Some(8 << 20)));
    assert!(found.disks[0].attached);
}

#[test]
fn what_describes_no_machine() {
    let directory = TempDir::new().unwrap();
    let raw = file(&directory, "raw", &[1; 512]);
    assert!(matches!(appliance(&raw), Err(ImageError::Unsupported { .. })));
    let error = appliance(&tar(directory.path(), &[], &["raw"])).unwrap_err().to_string();
    assert!(error.contains("no file ends in .ovf"), "{error}");
}
