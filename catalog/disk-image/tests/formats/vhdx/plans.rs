use std::{fs, os::unix::fs::FileExt, path::Path};

use disk_image::{
    DiskView, ImageError, ImageFormat,
    layout::{AllocationMap, Identity, Layout, Rendering, UnitFormat, UnitLayout},
    open,
    vhdx::DynamicVhdxFormat,
};
use tempfile::TempDir;

use super::victim::{MIB, qemu_io};
use crate::{
    qemu::qemu_img,
    rendering::render,
    sample::{assert_shows, file, noise, raw},
};

fn plan(view: &dyn DiskView, block_size: Option<u64>, sector: u32) -> UnitLayout<DynamicVhdxFormat> {
    let format = DynamicVhdxFormat::new(view.size(), block_size, sector).unwrap();
    let stored = AllocationMap::of(view, format.unit()).unwrap();
    UnitLayout::new(format, stored, Identity::from_bytes([7; 16]))
}

fn judge(raw: &Path, path: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    qemu_img(["check", "-f", "vhdx", &text(path)]);
    qemu_img(["compare", "-f", "raw", "-F", "vhdx", &text(raw), &text(path)]);
}

#[test]
fn qemu_shows_the_same_disk() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let path = directory.path().join("made.vhdx");
    let view = open(&source, Some(ImageFormat::Raw)).unwrap();
    for block_size in [None, Some(2 * MIB), Some(32 * MIB)] {
        let layout = plan(&*view, block_size, 512);
        render(&*view, &layout, &path);
        judge(&source, &path);
        let read = open(&path, None).unwrap();
        assert_eq!(read.warnings(), Vec::<String>::new());
        assert_shows(&*read, &fs::read(&source).unwrap());
    }
}

#[test]
fn odd_sizes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made.vhdx");
    for length in [0, 1, 512, 513, MIB - 1, MIB, MIB + 512, 3 * MIB + 4096] {
        let content = noise(length, length as usize);
        let source = file(&directory, "odd.raw", &content);
        let view = open(&source, Some(ImageFormat::Raw)).unwrap();
        for sector in [512, 4096] {
            let layout = plan(&*view, None, sector);
            assert_eq!(layout.disk_size(), length.next_multiple_of(sector.into()));
            assert!(layout.length().is_multiple_of(MIB));
            render(&*view, &layout, &path);
            let mut expected = content.clone();
            expected.resize(layout.disk_size() as usize, 0);
            let read = open(&path, None).unwrap();
            assert_eq!(read.logical_sector_size(), sector);
            assert_shows(&*read, &expected);
            // QEMU knows sectors of 512 bytes only.
            if sector == 512 {
                judge(&source, &path);
            }
        }
    }
}

/// Places are right beyond the table's first sector bitmap, and what is sparse stays so.
#[test]
fn a_huge_sparse_disk() {
    let directory = TempDir::new().unwrap();
    let source = directory.path().join("huge.raw");
    let disk = fs::File::create(&source).unwrap();
    disk.set_len(3 << 40).unwrap();
    let places = [0, 4095, 4096, 4097, 65_535, 65_536, 2 << 20, (3 << 20) - 1].map(|mebibyte| mebibyte * MIB + 8192);
    for (place, value) in places.into_iter().zip(1..) {
        disk.write_all_at(&[value; 4096], place).unwrap();
    }
    let view = open(&source, Some(ImageFormat::Raw)).unwrap();
    let path = directory.path().join("made.vhdx");
    let layout = plan(&*view, None, 512);
    assert!(layout.length() <= (3 + 13 + 8 * 2) * MIB, "{}", layout.length());
    render(&*view, &layout, &path);
    qemu_img(["check", "-f", "vhdx", path.to_str().unwrap()]);
    let reads: Vec<String> = places
        .iter()
        .zip(1..)
        .flat_map(|(place, value)| [format!("read -P {value} {place} 4k"), format!("read -P 0 {} 8k", place - 8192)])
        .collect();
    qemu_io(&path, &reads.iter().map(String::as_str).collect::<Vec<_>>());
    let read = open(&path, None).unwrap();
    for (place, value) in places.into_iter().zip(1..) {
        let mut bytes = vec![0xaa; 12_288];
        read.read_at(place - 8192, &mut bytes).unwrap();
        assert!(bytes[..8192].iter().all(|byte| *byte == 0) && bytes[8192..].iter().all(|byte| *byte == value));
    }
}

/// The largest disk costs little to plan, and any part of its file is told at once.
#[test]
fn the_largest_disk() {
    struct Nothing;
    impl DiskView for Nothing {
        fn format(&self) -> ImageFormat {
            ImageFormat::Raw
        }
        fn size(&self) -> u64 {
            64 << 40
        }
        fn read_at(&self, _: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
            buffer.fill(0);
            Ok(())
        }
        fn extent_at(&self, from: u64) -> Result<Option<disk_image::Extent>, ImageError> {
            let (length, kind) = (self.size() - from, disk_image::ExtentKind::Data);
            Ok((length > 0).then_some(disk_image::Extent { offset: from, length, kind }))
        }
    }
    let layout = plan(&Nothing, None, 4096);
    assert_eq!(layout.disk_size(), 64 << 40);
    assert_eq!(layout.length(), (64 << 40) + 3 * MIB + 17 * MIB);
    let rendering = Rendering::new(&Nothing, &layout);
    // The last block's entry: 2^21 blocks of 32 MiB, a sector bitmap's after each 1024.
    let index = (1_u64 << 21) - 1 + ((1 << 21) - 1) / 1024;
    let mut entry = [0; 8];
    rendering.read_at(3 * MIB + index * 8, &mut entry).unwrap();
    assert_eq!(u64::from_le_bytes(entry), layout.length() - 32 * MIB + 6);
    rendering.read_at(3 * MIB + 1024 * 8, &mut entry).unwrap();
    assert_eq!(entry, [0; 8]);
}

#[test]
fn the_same_request_gives_the_same_file() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let view = open(&source, Some(ImageFormat::Raw)).unwrap();
    let made = |name: &str, identity: u8| {
        let format = DynamicVhdxFormat::new(view.size(), None, 512).unwrap();
        let stored = AllocationMap::of(&*view, format.unit()).unwrap();
        let path = directory.path().join(name);
        render(&*view, &UnitLayout::new(format, stored, Identity::from_bytes([identity; 16])), &path);
        fs::read(path).unwrap()
    };
    let first = made("a", 1);
    assert!(first == made("b", 1));
    assert!(first != made("c", 2));
}

#[test]
fn what_the_format_cannot_hold() {
    for (size, block_size, sector, words) in [
        ((64 << 40) + 1, None, 512, "at most"),
        (u64::MAX, None, 512, "at most"),
        (1, None, 1024, "neither 512 nor 4096"),
        (1, Some(MIB / 2), 512, "power of two"),
        (1, Some(3 * MIB), 512, "power of two"),
        (1, Some(512 * MIB), 512, "power of two"),
        (64 << 40, Some(MIB), 512, "larger"),
    ] {
        let error = DynamicVhdxFormat::new(size, block_size, sector).unwrap_err();
        assert!(matches!(error, ImageError::Unwritable { format: ImageFormat::Vhdx, .. }));
        assert!(error.to_string().contains(words), "{error}");
    }
}
