//! Plans of qcow2 files: QEMU finds nothing to complain of, and the same disk.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use disk_image::{
    DiskView, ImageError, ImageFormat, LARGEST_DISK, RawImage,
    layout::{AllocationMap, Identity, Layout, PackedFormat, PackedLayout, PackedUnits, UnitFormat, UnitLayout},
    open,
    qcow2::{PackedQcow2Format, Qcow2Compression, Qcow2Format, Qcow2Options},
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    qemu::{check, info, qemu_img},
    rendering::render,
    sample::{assert_shows, digest, file, noise, raw},
};

/// The sample takes no room in some of the formats: the same unit as the target's is what decides.
fn plain(view: &dyn DiskView, options: Qcow2Options) -> UnitLayout<Qcow2Format> {
    let format = Qcow2Format::new(view.size(), options).unwrap();
    let stored = AllocationMap::of(view, format.unit()).unwrap();
    UnitLayout::new(format, stored, Identity::default())
}

fn packed(
    view: &dyn DiskView,
    options: Qcow2Options,
    compression: Qcow2Compression,
) -> PackedLayout<PackedQcow2Format> {
    let format = PackedQcow2Format::new(view.size(), options, compression).unwrap();
    let unit = format.unit();
    let stored = AllocationMap::of(view, unit).unwrap();
    let mut packer = format.packer();
    let mut lengths = Vec::new();
    let mut data = vec![0; unit as usize];
    for number in (0..stored.units()).filter(|number| stored.contains(*number)) {
        let length = unit.min(view.size() - number * unit) as usize;
        data.fill(0);
        view.read_at(number * unit, &mut data[..length]).unwrap();
        let mut packed = Vec::new();
        packer.pack(number, &data, &mut packed);
        lengths.push(packed.len() as u32);
    }
    let units = PackedUnits::new(&format, stored, lengths);
    PackedLayout::new(format, units, Identity::default())
}

/// Demands of the file what everybody who reads it demands.
#[track_caller]
fn judge(source: &Path, view: &dyn DiskView, layout: &dyn Layout, path: &Path, what: &str) {
    assert_eq!(layout.disk_size(), view.size(), "{what}");
    render(view, layout, path);
    check(path);
    let [source, target] = [source, path].map(|path| path.to_str().unwrap());
    qemu_img(["compare", "-f", "raw", "-F", "qcow2", source, target]);
    let read = open(path, Some(ImageFormat::Qcow2)).unwrap();
    assert_eq!(read.size(), view.size(), "{what}");
    assert_eq!(digest(&*read), digest(view), "{what}");
    assert_eq!(read.damage(10).unwrap(), Vec::<String>::new(), "{what}");
}

#[test]
fn every_cluster_size_and_version_as_it_is() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let view = open(&source, Some(ImageFormat::Raw)).unwrap();
    let path = directory.path().join("made.qcow2");
    for cluster_bits in 9..=21 {
        for version in [2, 3] {
            let layout = plain(&*view, Qcow2Options { version, cluster_bits });
            judge(&source, &*view, &layout, &path, &format!("version {version}, 2^{cluster_bits}"));
            let info = info(&path);
            assert_eq!(info["cluster-size"], 1 << cluster_bits);
            let compat = if version == 2 { "0.10" } else { "1.1" };
            assert_eq!(info["format-specific"]["data"]["compat"], compat);
        }
    }
}

#[test]
fn every_cluster_size_compressed() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let view = open(&source, Some(ImageFormat::Raw)).unwrap();
    let path = directory.path().join("made.qcow2");
    for cluster_bits in [9, 16, 21] {
        for (version, compression) in
            [(2, Qcow2Compression::DEFLATE), (3, Qcow2Compression::DEFLATE), (3, Qcow2Compression::ZSTD)]
        {
            let layout = packed(&*view, Qcow2Options { version, cluster_bits }, compression);
            judge(&source, &*view, &layout, &path, &format!("version {version}, 2^{cluster_bits}, {compression:?}"));
            let says = info(&path);
            let zstd = matches!(compression, Qcow2Compression::Zstd { .. });
            if version == 3 {
                let expected = if zstd { "zstd" } else { "zlib" };
                assert_eq!(says["format-specific"]["data"]["compression-type"], expected);
            }
        }
    }
}

#[test]
fn sizes_at_every_edge() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made.qcow2");
    for sectors in [0, 1, 129] {
        let source = file(&directory, "raw", &noise(sectors, sectors as usize * 512));
        let view = open(&source, Some(ImageFormat::Raw)).unwrap();
        for cluster_bits in [9, 16, 18] {
            for version in [2, 3] {
                let options = Qcow2Options { version, cluster_bits };
                let what = format!("{sectors} sectors, version {version}, 2^{cluster_bits}");
                judge(&source, &*view, &plain(&*view, options), &path, &what);
                let compressed = packed(&*view, options, Qcow2Compression::DEFLATE);
                judge(&source, &*view, &compressed, &path, &what);
            }
        }
        assert_shows(&*view, &fs::read(&source).unwrap());
    }
}

/// A sparse raw file with a little in it.
fn sparse(directory: &TempDir, size: u64, places: &[u64]) -> PathBuf {
    let path = directory.path().join("sparse.raw");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for place in places {
        file.write_all_at(&noise(*place, 5000), *place).unwrap();
    }
    path
}

#[test]
fn three_tebibytes_of_almost_nothing() {
    let directory = TempDir::new().unwrap();
    let source = sparse(&directory, 3 << 40, &[0, 70_000, (1 << 40) + 512, (3 << 40) - 5120]);
    let view = RawImage::new(File::open(&source).unwrap()).unwrap();
    let path = directory.path().join("made.qcow2");
    let options = Qcow2Options::default();
    let layouts: [Box<dyn Layout>; 2] =
        [Box::new(plain(&view, options)), Box::new(packed(&view, options, Qcow2Compression::ZSTD))];
    for layout in layouts {
        render(&view, &*layout, &path);
        assert!(layout.length() < 2 << 20);
        check(&path);
        let [source, target] = [&source, &path].map(|path| path.to_str().unwrap());
        qemu_img(["compare", "-f", "raw", "-F", "qcow2", source, target]);
    }
}

#[test]
fn the_largest_disk_of_nothing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("made.qcow2");
    let nothing = open(&file(&directory, "raw", &[]), Some(ImageFormat::Raw)).unwrap();
    for cluster_bits in [16, 21] {
        let format = Qcow2Format::new(LARGEST_DISK, Qcow2Options { version: 3, cluster_bits }).unwrap();
        let hollow = directory.path().join("hollow.qcow2");
        let text = hollow.to_str().unwrap();
        qemu_img(["create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", text, &LARGEST_DISK.to_string()]);
        let view = open(&hollow, None).unwrap();
        let stored = AllocationMap::of(&*view, format.unit()).unwrap();
        let layout = UnitLayout::new(format, stored, Identity::default());
        render(&*nothing, &layout, &path);
        check(&path);
        assert_eq!(open(&path, None).unwrap().size(), LARGEST_DISK);
        assert_eq!(info(&path)["virtual-size"], LARGEST_DISK);
    }
}

#[test]
fn what_cannot_be_written_is_said_with_what_can() {
    let refusal = |size, version, cluster_bits| {
        let error = Qcow2Format::new(size, Qcow2Options { version, cluster_bits }).unwrap_err();
        assert!(matches!(error, ImageError::Unwritable { format: ImageFormat::Qcow2, .. }));
        error.to_string()
    };
    assert!(refusal(LARGEST_DISK, 3, 9).contains("take clusters of 16384"));
    assert!(refusal(1 << 40, 3, 10).contains("take clusters of 2048"));
    assert!(refusal(LARGEST_DISK + 1, 3, 21).contains("at most"));
    assert!(refusal(512, 4, 16).contains("version 4"));
    assert!(refusal(512, 3, 8).contains("2^8") && refusal(512, 3, 22).contains("2^22"));
    let options = Qcow2Options { version: 2, ..Qcow2Options::default() };
    for (options, compression, words) in [
        (options, Qcow2Compression::ZSTD, "version 2"),
        (options, Qcow2Compression::Deflate { level: 10 }, "1 to 9"),
        (Qcow2Options::default(), Qcow2Compression::Zstd { level: 0 }, "1 to 19"),
    ] {
        let error = PackedQcow2Format::new(512, options, compression).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(Qcow2Format::new(513, Qcow2Options::default()).unwrap().disk_size(), 1024);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is there and whatever is not.
    #[test]
    fn any_disk(
        runs in proptest::collection::vec((0_u64..4000, 1_u64..60, any::<bool>()), 0..12),
        tail in 0_u64..300,
        cluster_bits in 9_u32..=18,
        zstd in any::<bool>(),
    ) {
        let directory = TempDir::new().unwrap();
        let source = directory.path().join("raw");
        let file = File::create(&source).unwrap();
        file.set_len((4060 + tail) * 512).unwrap();
        for (sector, sectors, packs) in runs {
            let bytes = if packs { vec![sector as u8; sectors as usize * 512] } else { noise(sector, sectors as usize * 512) };
            file.write_all_at(&bytes, sector * 512).unwrap();
        }
        let view = RawImage::new(File::open(&source).unwrap()).unwrap();
        let options = Qcow2Options { version: 3, cluster_bits };
        let path = directory.path().join("made.qcow2");
        judge(&source, &view, &plain(&view, options), &path, "plain");
        let compression = if zstd { Qcow2Compression::ZSTD } else { Qcow2Compression::DEFLATE };
        judge(&source, &view, &packed(&view, options, compression), &path, "packed");
    }
}
