//! VHDs as we plan them, judged by QEMU and by our own reader.

use std::{ffi::OsStr, fs, path::Path};

use disk_image::{
    DiskView, ImageError, ImageFormat, RawImage,
    layout::{AllocationMap, Identity, Layout, UnitLayout},
    open,
    vhd::{DynamicVhdFormat, VhdSize, fixed_layout},
};
use tempfile::TempDir;

use super::{FOOTER, create};
use crate::{
    qemu::{qemu_img, qemu_io_as},
    rendering::render,
    sample::{assert_shows, raw},
};

const BLOCK: u64 = 2 << 20;

fn identity() -> Identity {
    Identity::from_bytes(*b"sixteen bytes ..")
}

fn dynamic(view: &dyn DiskView, size: VhdSize) -> UnitLayout<DynamicVhdFormat> {
    let format = DynamicVhdFormat::new(view.size(), size).unwrap();
    UnitLayout::new(format, AllocationMap::of(view, BLOCK).unwrap(), identity())
}

/// Demands that QEMU sees the same disk in both, of the same size.
fn assert_same(raw: &Path, vhd: &Path) {
    let head = ["compare", "-f", "raw", "-F", "vpc"].map(OsStr::new);
    let said = qemu_img(head.into_iter().chain([raw.as_os_str(), vhd.as_os_str()]));
    assert!(!said.contains("size"), "{said}");
}

fn disk(path: &Path) -> RawImage {
    RawImage::new(fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn any_disk_as_dynamic_and_fixed() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let whole = fs::read(&source).unwrap();
    for length in [512, 1024, BLOCK as usize - 512, BLOCK as usize, BLOCK as usize + 512, whole.len()] {
        fs::write(&source, &whole[..length]).unwrap();
        let view = disk(&source);
        let path = directory.path().join("planned.vhd");
        let plans: [Box<dyn Layout>; 2] = [
            Box::new(dynamic(&view, VhdSize::Exact)),
            Box::new(fixed_layout(view.size(), VhdSize::Exact, &identity()).unwrap()),
        ];
        for plan in plans {
            render(&view, &*plan, &path);
            assert_eq!((plan.disk_size(), plan.length()), (view.size(), fs::metadata(&path).unwrap().len()));
            assert_same(&source, &path);
            let read = open(&path, None).unwrap();
            assert_shows(&*read, &whole[..length]);
            assert_eq!((read.format(), read.warnings()), (ImageFormat::Vhd, Vec::new()));
        }
    }
}

#[test]
fn only_what_is_there_takes_room() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("sparse.raw");
    fs::File::create(&source).unwrap().set_len(3 << 30).unwrap();
    qemu_io_as("raw", &source, &["write -P 1 7M 1k", "write -P 2 1G 5M", "write -P 3 3221225000 472"]);
    let view = disk(&source);
    let plan = dynamic(&view, VhdSize::Exact);
    // Blocks 3, 512 to 514, and the last.
    assert_eq!(plan.stored().count(), 5);
    assert_eq!(plan.length(), 1536 + 1536 * 4 + 5 * (BLOCK + 512) + FOOTER as u64);
    let path = directory.path().join("planned.vhd");
    render(&view, &plan, &path);
    assert_same(&source, &path);
}

#[test]
fn a_disk_without_bytes() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("empty.raw");
    fs::write(&source, []).unwrap();
    let (view, path) = (disk(&source), directory.path().join("planned.vhd"));
    let plan = dynamic(&view, VhdSize::Exact);
    render(&view, &plan, &path);
    assert_same(&source, &path);
    assert_shows(&*open(&path, None).unwrap(), &[]);
}

#[test]
fn whole_mebibytes_for_azure() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let view = disk(&source);
    let path = directory.path().join("azure.vhd");
    let mut expected = fs::read(&source).unwrap();
    expected.resize(6 << 20, 0);
    let plan = fixed_layout(view.size(), VhdSize::WholeMebibytes, &identity()).unwrap();
    render(&view, &plan, &path);
    assert_eq!((plan.disk_size(), plan.length()), (6 << 20, (6 << 20) + 512));
    assert_shows(&*open(&path, None).unwrap(), &expected);
    render(&view, &dynamic(&view, VhdSize::WholeMebibytes), &path);
    assert_shows(&*open(&path, None).unwrap(), &expected);
    assert_eq!(VhdSize::WholeMebibytes.of(6 << 20).unwrap(), 6 << 20);
}

#[test]
fn the_same_request_gives_the_same_bytes_and_another_identity_others() {
    let footer = |identity: &[u8; 16]| {
        let plan = fixed_layout(1 << 20, VhdSize::Exact, &Identity::from_bytes(*identity)).unwrap();
        let mut bytes = [0; FOOTER];
        plan.read_metadata(1 << 20, &mut bytes);
        bytes
    };
    assert_eq!(footer(b"one disk among m"), footer(b"one disk among m"));
    assert_ne!(footer(b"one disk among m"), footer(b"another one of m"));
}

/// QEMU takes the first geometry whose volume is at least what was asked for, and makes that the disk's size.
#[test]
fn the_geometry_is_that_of_qemu() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("judge.vhd");
    let steps = [17 * 4 * 1024, 17 * 16 * 1024, 31 * 16 * 1024, 65_535 * 16 * 63, 65_535 * 16 * 255_u64];
    let around = steps.into_iter().flat_map(|step| [step - 500, step - 1, step, step + 1, step + 17]);
    let others = [1, 68, 2048, 10_443, 204_800, 4_194_304, 66_000_000, 99_999_999, 300_000_000];
    for asked in around.chain(others) {
        create(&path, "force_size=off", &(asked * 512).to_string());
        let of_qemu = fs::read(&path).unwrap()[56..60].to_vec();
        let mut sectors = asked;
        while volume(geometry(sectors)) < asked.min(65_535 * 16 * 255) {
            sectors += 1;
        }
        assert_eq!(of_qemu, geometry(sectors), "{asked} sectors");
    }
}

/// As in the footer of a disk of so many sectors.
fn geometry(sectors: u64) -> [u8; 4] {
    let plan = fixed_layout(sectors * 512, VhdSize::Exact, &identity()).unwrap();
    let mut bytes = [0; 4];
    plan.read_metadata(sectors * 512 + 56, &mut bytes);
    bytes
}

fn volume([high, low, heads, sectors]: [u8; 4]) -> u64 {
    u64::from(u16::from_be_bytes([high, low])) * u64::from(heads) * u64::from(sectors)
}

#[test]
fn up_to_2040_gib_and_no_further() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("huge.raw");
    let file = fs::File::create(&source).unwrap();
    let size = 2040_u64 << 30;
    file.set_len(size).unwrap();
    qemu_io_as("raw", &source, &[&format!("write -P 0x77 {} 512", size - 512), "write -P 0x66 1T 4M"]);
    let view = disk(&source);
    let path = directory.path().join("planned.vhd");
    let plan = dynamic(&view, VhdSize::WholeMebibytes);
    assert_eq!(plan.stored().count(), 3);
    render(&view, &plan, &path);
    qemu_io_as("vpc", &path, &[&format!("read -P 0x77 {} 512", size - 512), "read -P 0x66 1T 4M", "read -P 0 5G 2M"]);
    let read = open(&path, None).unwrap();
    assert_eq!((read.size(), read.warnings()), (size, Vec::new()));

    for too_large in [size + 1, u64::MAX] {
        for error in [
            DynamicVhdFormat::new(too_large, VhdSize::Exact).err().unwrap(),
            fixed_layout(too_large, VhdSize::WholeMebibytes, &identity()).err().unwrap(),
        ] {
            assert!(matches!(error, ImageError::Unwritable { format: ImageFormat::Vhd, .. }));
            assert!(error.to_string().contains("vhdx"), "{error}");
        }
    }
}

/// A full disk of the largest size: places near the end of what the table's numbers can tell, without any bytes.
#[test]
fn the_last_block_of_a_full_disk() {
    struct Full;
    impl DiskView for Full {
        fn format(&self) -> ImageFormat {
            ImageFormat::Raw
        }
        fn size(&self) -> u64 {
            2040 << 30
        }
        fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
            buffer.fill(1);
            Ok(())
        }
        fn extent_at(&self, from: u64) -> Result<Option<disk_image::Extent>, ImageError> {
            let length = self.size() - from;
            let extent = disk_image::Extent { offset: from, length, kind: disk_image::ExtentKind::Data };
            Ok((length > 0).then_some(extent))
        }
    }
    let plan = dynamic(&Full, VhdSize::Exact);
    let blocks = 1_044_480;
    let first = 1536 + blocks * 4;
    assert_eq!(plan.length(), first + blocks * (BLOCK + 512) + 512);
    let mut entry = [0; 4];
    plan.read_metadata(first - 4, &mut entry);
    assert_eq!(u64::from(u32::from_be_bytes(entry)) * 512, first + (blocks - 1) * (BLOCK + 512));
}
