//! VDIs as we plan them, judged by QEMU and by our own reader.

use std::{ffi::OsStr, fs, path::Path};

use disk_image::{
    DiskView, Extent, ExtentKind, ImageError, ImageFormat, LARGEST_DISK, RawImage,
    layout::{AllocationMap, Identity, Layout, UnitFormat, UnitLayout},
    open,
    vdi::DynamicVdiFormat,
};
use tempfile::TempDir;

use super::MAP;
use crate::{
    qemu::{qemu_img, qemu_io_as},
    rendering::render,
    sample::{assert_shows, raw},
};

const BLOCK: u64 = 1 << 20;

fn plan(view: &dyn DiskView, identity: [u8; 16]) -> UnitLayout<DynamicVdiFormat> {
    let format = DynamicVdiFormat::new(view.size()).unwrap();
    UnitLayout::new(format, AllocationMap::of(view, BLOCK).unwrap(), Identity::from_bytes(identity))
}

/// Demands that QEMU finds nothing wrong, and sees the same disk in both, of the same size.
fn assert_same(raw: &Path, vdi: &Path) {
    qemu_img([OsStr::new("check"), OsStr::new("-f"), OsStr::new("vdi"), vdi.as_os_str()]);
    let head = ["compare", "-f", "raw", "-F", "vdi"].map(OsStr::new);
    let said = qemu_img(head.into_iter().chain([raw.as_os_str(), vdi.as_os_str()]));
    assert!(!said.contains("size"), "{said}");
}

fn disk(path: &Path) -> RawImage {
    RawImage::new(fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn any_disk() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let whole = fs::read(&source).unwrap();
    for length in [0, 512, 1024, BLOCK as usize - 512, BLOCK as usize, BLOCK as usize + 512, whole.len()] {
        fs::write(&source, &whole[..length]).unwrap();
        let view = disk(&source);
        let path = directory.path().join("planned.vdi");
        let plan = plan(&view, [7; 16]);
        render(&view, &plan, &path);
        assert_eq!((plan.disk_size(), plan.length()), (view.size(), fs::metadata(&path).unwrap().len()));
        assert_same(&source, &path);
        let read = open(&path, None).unwrap();
        assert_shows(&*read, &whole[..length]);
        assert_eq!((read.format(), read.warnings()), (ImageFormat::Vdi, Vec::new()));
    }
}

#[test]
fn only_what_is_there_takes_room() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("sparse.raw");
    fs::File::create(&source).unwrap().set_len(3 << 30).unwrap();
    qemu_io_as("raw", &source, &["write -P 1 7M 1k", "write -P 2 1G 5M", "write -P 3 3221225000 472"]);
    let view = disk(&source);
    let plan = plan(&view, [7; 16]);
    // Blocks 7, 1024 to 1028, and the last.
    assert_eq!((plan.stored().count(), plan.length()), (7, 8 * BLOCK));
    let path = directory.path().join("planned.vdi");
    render(&view, &plan, &path);
    assert_same(&source, &path);
}

#[test]
fn the_same_request_gives_the_same_bytes_and_another_identity_others() {
    let view = RawImage::new(tempfile::tempfile().unwrap()).unwrap();
    let header = |identity: [u8; 16]| {
        let mut bytes = [0; 512];
        plan(&view, identity).read_metadata(0, &mut bytes);
        bytes
    };
    let one = header([1; 16]);
    assert_eq!(one, header([1; 16]));
    let uuids = [&one[392..408], &one[408..424], &header([2; 16])[392..408]].map(<[u8]>::to_vec);
    assert!(uuids[0] != uuids[1] && uuids[0] != uuids[2] && uuids[1] != uuids[2]);
    // Each is of version 8, in the order of Microsoft's structures.
    assert!(uuids.iter().all(|uuid| uuid[7] >> 4 == 8 && uuid[8] >> 6 == 2), "{uuids:x?}");
    assert_eq!(one[424..456], [0; 32], "the others of VirtualBox's must be zero");
}

#[test]
fn a_huge_disk_of_little() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("huge.raw");
    let file = fs::File::create(&source).unwrap();
    let size = 3_u64 << 40;
    file.set_len(size).unwrap();
    qemu_io_as("raw", &source, &[&format!("write -P 0x77 {} 512", size - 512), "write -P 0x66 2T 2M"]);
    let view = disk(&source);
    let path = directory.path().join("planned.vdi");
    let plan = plan(&view, [7; 16]);
    assert_eq!((plan.stored().count(), plan.length()), (3, (13 + 3) << 20));
    render(&view, &plan, &path);
    qemu_io_as("vdi", &path, &[&format!("read -P 0x77 {} 512", size - 512), "read -P 0x66 2T 2M", "read -P 0 5G 2M"]);
    let read = open(&path, None).unwrap();
    assert_eq!((read.size(), read.warnings()), (size, Vec::new()));
}

/// A disk of nothing but data, without any bytes.
struct Full(u64);

impl DiskView for Full {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        self.0
    }

    fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        buffer.fill(1);
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        let length = self.0.saturating_sub(from);
        Ok((length > 0).then_some(Extent { offset: from, length, kind: ExtentKind::Data }))
    }
}

#[test]
fn the_last_block_of_a_full_disk() {
    let plan = plan(&Full(3 << 40), [7; 16]);
    let blocks = 3 << 20;
    assert_eq!(plan.length(), (13 << 20) + (3 << 40));
    let mut entries = [0; 12];
    plan.read_metadata(MAP as u64 + blocks * 4 - 8, &mut entries);
    let expected = [blocks as u32 - 2, blocks as u32 - 1, 0].map(u32::to_le_bytes).concat();
    assert_eq!(entries.to_vec(), expected, "the map's end and the gap behind it");
}

#[test]
fn up_to_the_largest_disk_and_no_further() {
    let format = DynamicVdiFormat::new(LARGEST_DISK).unwrap();
    assert_eq!((format.disk_size(), format.first()), (LARGEST_DISK, 257 << 20));
    for too_large in [LARGEST_DISK + 1, u64::MAX] {
        let error = DynamicVdiFormat::new(too_large).err().unwrap();
        assert!(matches!(error, ImageError::Unwritable { format: ImageFormat::Vdi, .. }), "{error}");
    }
}
