//! Files as other writers than QEMU make them, put together here from the format's description.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use disk_image::open;
use flate2::{Compression, write::ZlibEncoder};
use tempfile::TempDir;

use super::judge;
use crate::{
    qemu::qemu_img,
    sample::{assert_shows, file, noise, raw},
};

/// Puts a sparse extent together: the order of grains, the markers and the tables' place may be chosen.
pub struct Maker {
    pub version: u32,
    /// Sectors.
    pub grain: u64,
    pub compressed: bool,
    pub markers: bool,
    /// Tables behind the grains, found by a footer.
    pub footer: bool,
    /// Grains from the last to the first.
    pub backwards: bool,
    /// Leaves out what stands behind the disk's end.
    pub short_last: bool,
    /// Sectors left free before the first grain.
    pub shift: u64,
    /// The capacity in the header, when it is not the footer's.
    pub capacity_in_header: Option<u64>,
    pub text: String,
}

impl Default for Maker {
    fn default() -> Self {
        Self {
            version: 1,
            grain: 128,
            compressed: false,
            markers: false,
            footer: false,
            backwards: false,
            short_last: false,
            shift: 0,
            capacity_in_header: None,
            text: "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n".into(),
        }
    }
}

impl Maker {
    /// As exports of `VMware` are.
    pub fn stream() -> Self {
        Self { version: 3, compressed: true, markers: true, footer: true, ..Self::default() }
    }

    fn header(&self, capacity: u64, directory: u64, overhead: u64) -> Vec<u8> {
        let flags = 1 | u32::from(self.compressed) << 16 | u32::from(self.markers) << 17;
        let mut header = b"KDMV".to_vec();
        header.extend([self.version, flags].iter().flat_map(|n| n.to_le_bytes()));
        header.extend([capacity, self.grain, 1, 4].iter().flat_map(|n| n.to_le_bytes()));
        header.extend(512_u32.to_le_bytes());
        header.extend([0, directory, overhead].iter().flat_map(|n| n.to_le_bytes()));
        header.extend(b"\0\n \r\n");
        header.extend([u8::from(self.compressed), 0]);
        header.resize(512, 0);
        header
    }

    fn packed(&self, number: u64, data: &[u8]) -> Vec<u8> {
        if !self.compressed {
            return data.to_vec();
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        let stream = encoder.finish().unwrap();
        let mut packed = if self.markers { (number * self.grain).to_le_bytes().to_vec() } else { Vec::new() };
        packed.extend((stream.len() as u32).to_le_bytes());
        packed.extend(stream);
        packed
    }

    /// The file for this disk. Grains of zeros are left out.
    pub fn make(&self, disk: &[u8]) -> Vec<u8> {
        let capacity = disk.len() as u64 / 512;
        let grain = self.grain as usize * 512;
        let count = disk.len().div_ceil(grain);
        let tables = count.div_ceil(512);
        let zeros = vec![0; grain];
        let mut file = vec![0; 5 * 512];
        file[512..512 + self.text.len()].copy_from_slice(self.text.as_bytes());
        let pad = |file: &mut Vec<u8>| file.resize(file.len().next_multiple_of(512), 0);
        let mark = |file: &mut Vec<u8>, sectors: u64, kind: u32| {
            if self.markers {
                file.extend(sectors.to_le_bytes().iter().chain(&[0; 4]).chain(&kind.to_le_bytes()));
                file.resize(file.len().next_multiple_of(512), 0);
            }
        };
        let directory_sectors = (tables * 4).div_ceil(512);
        let in_front = file.len() / 512;
        if !self.footer {
            file.resize(file.len() + directory_sectors * 512 + tables * 2048, 0);
        }
        file.resize(file.len() + self.shift as usize * 512, 0);
        let overhead = file.len() as u64 / 512;
        let mut entries = vec![0_u32; tables * 512];
        let mut directory = vec![0_u32; tables];
        let order: Vec<usize> = if self.backwards { (0..count).rev().collect() } else { (0..count).collect() };
        for (i, &number) in order.iter().enumerate() {
            let data = &disk[number * grain..disk.len().min((number + 1) * grain)];
            // Slices are compared quickly even without optimisation.
            if data != &zeros[..data.len()] {
                let mut data = data.to_vec();
                if !self.short_last {
                    data.resize(grain, 0);
                }
                entries[number] = (file.len() / 512) as u32;
                file.extend(self.packed(number as u64, &data));
                pad(&mut file);
            }
            let table = number / 512;
            let ends = order.get(i + 1).is_none_or(|next| next / 512 != table);
            let words: Vec<u8> = entries[table * 512..][..512].iter().flat_map(|n| n.to_le_bytes()).collect();
            if ends && self.footer && words.iter().any(|byte| *byte != 0) {
                mark(&mut file, 4, 1);
                directory[table] = (file.len() / 512) as u32;
                file.extend(words);
            } else if ends && !self.footer {
                let place = in_front + directory_sectors + table * 4;
                directory[table] = place as u32;
                file[place * 512..][..2048].copy_from_slice(&words);
            }
        }
        let words: Vec<u8> = directory.iter().flat_map(|n| n.to_le_bytes()).collect();
        if !self.footer {
            file[in_front * 512..][..words.len()].copy_from_slice(&words);
            file[..512].copy_from_slice(&self.header(capacity, in_front as u64, overhead));
            return file;
        }
        mark(&mut file, directory_sectors as u64, 2);
        let place = file.len() as u64 / 512;
        file.extend(words);
        pad(&mut file);
        let said = self.capacity_in_header.unwrap_or(capacity);
        file[..512].copy_from_slice(&self.header(said, u64::MAX, overhead));
        file.extend(1_u64.to_le_bytes().iter().chain(&[0; 4]).chain(&[3, 0, 0, 0]));
        pad(&mut file);
        file.extend(self.header(capacity, place, overhead));
        file.extend([0; 512]);
        file
    }
}

fn made(directory: &TempDir, maker: &Maker, disk: &[u8]) -> PathBuf {
    file(directory, "made.vmdk", &maker.make(disk))
}

fn check(path: &Path, source: &Path, warning: &str) {
    judge(path, source);
    let view = open(path, None).unwrap();
    assert_shows(&*view, &fs::read(source).unwrap());
    assert!(view.warnings().join("; ").contains(warning), "{:?}", view.warnings());
    assert_eq!(warning.is_empty(), view.warnings().is_empty());
}

#[test]
fn streams_of_others() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let disk = fs::read(&source).unwrap();
    for maker in [
        Maker::stream(),
        Maker { version: 1, ..Maker::stream() },
        Maker { backwards: true, ..Maker::stream() },
        Maker { short_last: true, ..Maker::stream() },
        Maker { shift: 123, ..Maker::stream() },
        Maker { footer: false, backwards: true, ..Maker::stream() },
    ] {
        check(&made(&directory, &maker, &disk), &source, "");
    }
    // Without markers a grain's prefix is its length alone, which QEMU does not read.
    for footer in [false, true] {
        let maker = Maker { markers: false, footer, ..Maker::stream() };
        assert_shows(&*open(&made(&directory, &maker, &disk), None).unwrap(), &disk);
    }
    // 512 bytes of capacity would do as a lie, none is what writers put who do not know it yet.
    let maker = Maker { capacity_in_header: Some(1), ..Maker::stream() };
    check(&made(&directory, &maker, &disk), &source, "the footer counts");
    let maker = Maker { capacity_in_header: Some(0), ..Maker::stream() };
    assert_shows(&*open(&made(&directory, &maker, &disk), None).unwrap(), &disk);
}

#[test]
fn grains_of_every_size_in_any_place() {
    let directory = TempDir::new().unwrap();
    let source = raw(&directory);
    let disk = fs::read(&source).unwrap();
    for bits in [3, 4, 6, 9, 12] {
        let grain = 1 << bits;
        for maker in [
            Maker { grain, ..Maker::default() },
            Maker { grain, backwards: true, shift: 1, ..Maker::default() },
            Maker { grain, short_last: true, footer: true, ..Maker::default() },
            Maker { grain, ..Maker::stream() },
        ] {
            let path = made(&directory, &maker, &disk);
            assert_shows(&*open(&path, None).unwrap(), &disk);
            // QEMU wants whole grains.
            if !maker.short_last {
                judge(&path, &source);
            }
        }
    }
}

#[test]
fn a_short_last_grain_may_end_the_file() {
    let directory = TempDir::new().unwrap();
    let disk = noise(1, 65536 + 512);
    let path = made(&directory, &Maker { short_last: true, ..Maker::default() }, &disk);
    assert_shows(&*open(&path, None).unwrap(), &disk);
    let whole = fs::read(&path).unwrap();
    let cut = file(&directory, "cut.vmdk", &whole[..whole.len() - 1]);
    assert!(open(&cut, None).err().unwrap().to_string().contains("cut off"));
}

#[test]
fn compressed_grains_out_of_order_are_told_apart_by_their_markers() {
    let directory = TempDir::new().unwrap();
    let disk = noise(5, 1 << 20);
    let raw = file(&directory, "noise.raw", &disk);
    let path = directory.path().join("coroutines.vmdk");
    let head = ["convert", "-W", "-m", "8", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"];
    qemu_img(head.into_iter().chain([raw.to_str().unwrap(), path.to_str().unwrap()]));
    assert_shows(&*open(&path, None).unwrap(), &disk);
}
