//! Files from our plans, before QEMU, a sequential importer, and our own reader.

use std::{fs, path::Path};

use disk_image::{
    DiskView, Extent, ExtentKind, ImageError, ImageFormat, Opening, RawImage,
    layout::{
        AllocationMap, Identity, Layout, Origin, PackedFormat, PackedLayout, PackedUnits, UnitFormat, UnitLayout,
    },
    open,
    vmdk::{DEFAULT_LEVEL, SparseVmdkFormat, StreamVmdkFormat, flat_descriptor},
};
use tempfile::TempDir;

use super::{judge, stream::import};
use crate::{
    rendering::render,
    sample::{assert_shows, digest, file, noise, patch, raw},
};

const GRAIN: u64 = 65536;

fn identity() -> Identity {
    Identity::from_bytes([7; 16])
}

fn view(path: &Path) -> RawImage {
    RawImage::new(fs::File::open(path).unwrap()).unwrap()
}

fn sparse(view: &dyn DiskView) -> UnitLayout<SparseVmdkFormat> {
    let format = SparseVmdkFormat::new(view.size()).unwrap();
    UnitLayout::new(format, AllocationMap::of(view, GRAIN).unwrap(), identity())
}

/// Packs every unit to learn its length, as a writer does.
fn stream(view: &dyn DiskView, level: u8) -> PackedLayout<StreamVmdkFormat> {
    let format = StreamVmdkFormat::new(view.size(), level).unwrap();
    let stored = AllocationMap::of(view, GRAIN).unwrap();
    let mut packer = format.packer();
    let mut lengths = Vec::new();
    let units = std::iter::successors(stored.next(0), |unit| stored.next(unit + 1));
    for unit in units {
        let mut data = vec![0; GRAIN as usize];
        let there = GRAIN.min(view.size() - unit * GRAIN) as usize;
        view.read_at(unit * GRAIN, &mut data[..there]).unwrap();
        let mut packed = Vec::new();
        packer.pack(unit, &data, &mut packed);
        lengths.push(packed.len() as u32);
    }
    let units = PackedUnits::new(&format, stored, lengths);
    PackedLayout::new(format, units, identity())
}

fn stored_stream(view: &dyn DiskView) -> PackedLayout<StreamVmdkFormat> {
    let format = StreamVmdkFormat::new(view.size(), 0).unwrap();
    let units = format.stored(AllocationMap::of(view, GRAIN).unwrap());
    PackedLayout::new(format, units, identity())
}

#[test]
fn a_sparse_file() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let view = view(&source);
    let path = directory.path().join("made.vmdk");
    let layout = sparse(&view);
    assert_eq!(layout.disk_size(), view.size());
    render(&view, &layout, &path);
    judge(&path, &source);
    let made = open(&path, Some(ImageFormat::Vmdk)).unwrap();
    assert_shows(&*made, &fs::read(&source).unwrap());
    assert_eq!(made.warnings(), [""; 0]);
    assert_eq!(made.damage(9).unwrap(), [""; 0]);
}

#[test]
fn streams() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let expected = fs::read(&source).unwrap();
    let view = view(&source);
    let path = directory.path().join("made.vmdk");
    for layout in [stream(&view, DEFAULT_LEVEL), stream(&view, 1), stream(&view, 12), stored_stream(&view)] {
        render(&view, &layout, &path);
        judge(&path, &source);
        assert!(import(&fs::read(&path).unwrap()) == expected);
        let made = open(&path, Some(ImageFormat::Vmdk)).unwrap();
        assert_shows(&*made, &expected);
        assert_eq!(made.warnings(), [""; 0]);
    }
    assert_eq!(stored_stream(&view).length(), stream(&view, 0).length());
}

#[test]
fn many_tables_with_gaps() {
    let directory = TempDir::new().unwrap();
    let source = file(&directory, "gaps.raw", b"");
    let size = (200 << 20) + 512;
    fs::OpenOptions::new().write(true).open(&source).unwrap().set_len(size).unwrap();
    for (seed, at) in
        [32_u64 << 20, (32 << 20) + 65536, (64 << 20) - 4096, 97 << 20, 130 << 20, size - 512].iter().enumerate()
    {
        patch(&source, *at, &noise(seed as u64, 512));
    }
    let view = view(&source);
    let expected = fs::read(&source).unwrap();
    let path = directory.path().join("made.vmdk");
    render(&view, &sparse(&view), &path);
    judge(&path, &source);
    assert_eq!(digest(&*open(&path, None).unwrap()), blake3::hash(&expected).to_string());
    for layout in [stream(&view, 1), stored_stream(&view)] {
        render(&view, &layout, &path);
        judge(&path, &source);
        assert!(import(&fs::read(&path).unwrap()) == expected);
        assert_eq!(digest(&*open(&path, None).unwrap()), blake3::hash(&expected).to_string());
    }
}

#[test]
fn odd_sizes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made.vmdk");
    for size in [512, 1024, 65_024, 65_536, 66_048, 512 * 65_536 + 512] {
        let content = noise(size as u64, size.min(200_000));
        let source = file(&directory, "odd.raw", &content);
        fs::OpenOptions::new().write(true).open(&source).unwrap().set_len(size as u64).unwrap();
        let view = view(&source);
        let content = fs::read(&source).unwrap();
        render(&view, &sparse(&view), &path);
        judge(&path, &source);
        assert_eq!(digest(&*open(&path, None).unwrap()), blake3::hash(&content).to_string());
        render(&view, &stream(&view, DEFAULT_LEVEL), &path);
        judge(&path, &source);
        assert!(import(&fs::read(&path).unwrap()) == content);
        assert_eq!(digest(&*open(&path, None).unwrap()), blake3::hash(&content).to_string());
    }
}

#[test]
fn a_disk_of_nothing_and_its_limits() {
    let directory = TempDir::new().unwrap();
    let source = file(&directory, "nothing.raw", &[0; 4096]);
    fs::OpenOptions::new().write(true).open(&source).unwrap().set_len(100 << 20).unwrap();
    let holes = file(&directory, "holes.raw", b"");
    fs::OpenOptions::new().write(true).open(&holes).unwrap().set_len(100 << 20).unwrap();
    let view = view(&holes);
    let path = directory.path().join("made.vmdk");
    for layout in
        [Box::new(sparse(&view)) as Box<dyn Layout>, Box::new(stream(&view, 5)), Box::new(stored_stream(&view))]
    {
        render(&view, &*layout, &path);
        judge(&path, &source);
        assert_eq!(open(&path, None).unwrap().extent_at(0).unwrap().unwrap().kind, ExtentKind::Absent);
    }
    for error in [
        SparseVmdkFormat::new(0).unwrap_err(),
        StreamVmdkFormat::new(0, 1).unwrap_err(),
        SparseVmdkFormat::new((64 << 40) + 1).unwrap_err(),
        StreamVmdkFormat::new(u64::MAX, 1).unwrap_err(),
        StreamVmdkFormat::new(512, 13).unwrap_err(),
    ] {
        assert!(matches!(error, ImageError::Unwritable { format: ImageFormat::Vmdk, .. }), "{error}");
    }
    assert_eq!(SparseVmdkFormat::new(1).unwrap().disk_size(), 512);
}

/// A disk of 64 TiB of which nothing is there but a grain in the middle and the last sector.
struct Vast;

const VAST: u64 = 64 << 40;
const MIDDLE: u64 = VAST / 2;

impl DiskView for Vast {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        VAST
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        for (at, byte) in (offset..).zip(buffer) {
            *byte = if (MIDDLE..MIDDLE + GRAIN).contains(&at) || at >= VAST - 512 { 0x5a } else { 0 };
        }
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        let ends = [
            (MIDDLE, ExtentKind::Absent),
            (MIDDLE + GRAIN, ExtentKind::Data),
            (VAST - 512, ExtentKind::Absent),
            (VAST, ExtentKind::Data),
        ];
        let found = ends.into_iter().find(|(end, _)| from < *end);
        Ok(found.map(|(end, kind)| Extent { offset: from, length: end - from, kind }))
    }
}

/// Writes what is not zeros, and demands that there is little of it.
fn write_vast(layout: &dyn Layout, path: &Path) {
    use std::os::unix::fs::FileExt;
    let rendering = disk_image::layout::Rendering::new(&Vast, layout);
    let file = fs::File::create(path).unwrap();
    file.set_len(layout.length()).unwrap();
    let (mut at, mut bytes) = (0, Vec::new());
    while let Some(segment) = layout.segment_at(at) {
        if segment.origin != Origin::Zero {
            let mut done = 0;
            while done < segment.length {
                bytes.resize((segment.length - done).min(1 << 20) as usize, 0);
                rendering.read_at(at + done, &mut bytes).unwrap();
                file.write_all_at(&bytes, at + done).unwrap();
                done += bytes.len() as u64;
            }
        }
        at += segment.length;
    }
    assert_eq!(at, layout.length());
}

#[test]
fn beyond_two_tebibytes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("vast.vmdk");
    for layout in [Box::new(sparse(&Vast)) as Box<dyn Layout>, Box::new(stream(&Vast, 1))] {
        write_vast(&*layout, &path);
        let made = open(&path, None).unwrap();
        assert_eq!(made.size(), VAST);
        let mut bytes = [0; 4];
        for (at, expected) in [(0, [0; 4]), (MIDDLE - 2, [0, 0, 0x5a, 0x5a]), (VAST - 514, [0, 0, 0x5a, 0x5a])] {
            made.read_at(at, &mut bytes).unwrap();
            assert_eq!(bytes, expected);
        }
        let (mut at, mut data) = (0, 0);
        while let Some(extent) = made.extent_at(at).unwrap() {
            data += if extent.kind.is_data() { extent.length } else { 0 };
            at += extent.length;
        }
        assert_eq!((at, data), (VAST, 2 * GRAIN));
        let said = crate::qemu::qemu_img(["info", "--output=json", "-f", "vmdk", path.to_str().unwrap()]);
        assert!(said.contains("\"virtual-size\": 70368744177664"), "{said}");
    }
    let format = SparseVmdkFormat::new(VAST).unwrap();
    let last = format.place(format.most_units() - 1) / 512;
    assert!(last <= u64::from(u32::MAX) && last + 128 > u64::from(u32::MAX));
}

#[test]
fn a_flat_file_and_its_text() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let size = fs::metadata(&source).unwrap().len();
    let text = flat_descriptor("sample.raw", size, &identity()).unwrap();
    assert_eq!(text, flat_descriptor("sample.raw", size, &identity()).unwrap());
    assert_ne!(text, flat_descriptor("sample.raw", size, &Identity::from_bytes([8; 16])).unwrap());
    let path = file(&directory, "made.vmdk", text.as_bytes());
    judge(&path, &source);
    let made = Opening::new().with_files_beside_it().open(&path).unwrap();
    assert_shows(&*made, &fs::read(&source).unwrap());
    for name in ["", "..", "a/b", "/etc/passwd", "a\"b", "a\nb", "c:d"] {
        flat_descriptor(name, 512, &identity()).unwrap_err();
    }
    let large = flat_descriptor("large.raw", 16 << 30, &identity()).unwrap();
    assert!(large.contains("adapterType = \"lsilogic\"") && large.contains("heads = \"255\""));
}
