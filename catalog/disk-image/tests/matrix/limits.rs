//! Where a disk does not fit a format as it is: it is refused, or rounded, and never silently.

use disk_image::{ImageError, convert::Target, layout::Identity};
use tempfile::TempDir;

use crate::{
    content::{Content, Exact},
    conversion::write,
    target::{Form, TARGETS},
};

fn form(name: &str) -> &'static Form {
    TARGETS.iter().find(|form| form.name == name).unwrap()
}

#[test]
fn a_vhd_ends_at_2040_gibibytes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("target");
    let too_large = Content { length: (2040 << 30) + 512, pieces: Vec::new(), is_hollow: true };
    for name in ["vhd", "vhd-fixed", "vhd-fixed-mebibytes"] {
        let error = write(form(name), &Exact(&too_large), &path, None).unwrap_err().to_string();
        assert!(error.starts_with("cannot write this disk as vhd: ") && error.contains("vhdx"), "{name}: {error}");
        let planned = (form(name).make)().plan(&Exact(&too_large), Identity::default());
        assert!(matches!(planned, Err(ImageError::Unwritable { .. })), "{name}");
    }
}

#[test]
fn sizes_are_rounded_and_told() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("target");
    let content = Content::odd_sectors();
    for (name, size) in [("vhdx-4096", 5_246_976), ("vhd-fixed-mebibytes", 6 << 20), ("vhd", 5_244_416)] {
        let converted = write(form(name), &Exact(&content), &path, None).unwrap();
        assert_eq!(converted.disk_size, size, "{name}");
        assert_eq!(disk_image::open(&path, None).unwrap().size(), size, "{name}");
    }
}

#[test]
fn logical_sectors_stay_as_they_are_unless_told() {
    let directory = TempDir::new().unwrap();
    let [source, path] = ["source", "target"].map(|name| directory.path().join(name));
    let kept = Form { make: || Target::Vhdx { block_size: None, logical_sector_size: None }, ..vhdx() };
    for (name, logical) in [("vhdx", 512), ("vhdx-4096", 4096)] {
        write(form(name), &Exact(&Content::large_sectors()), &source, None).unwrap();
        let view = disk_image::open(&source, None).unwrap();
        assert_eq!(view.logical_sector_size(), logical);
        write(&kept, &*view, &path, None).unwrap();
        assert_eq!(disk_image::open(&path, None).unwrap().logical_sector_size(), logical);
    }
}

fn vhdx() -> Form {
    let Form { name, make, step, qemu, dissect, largest, is_planned } = *form("vhdx");
    Form { name, make, step, qemu, dissect, largest, is_planned }
}
