//! Sparse extents that lie, point elsewhere or blow up. Each is refused by name of the field.

use std::{fs, io::Write, path::PathBuf, sync::OnceLock};

use disk_image::{ImageError, ImageFormat, ImageReader, Opening, open};
use flate2::{Compression, write::ZlibEncoder};
use tempfile::TempDir;

use super::{convert, made::Maker};
use crate::sample::{file, noise, patch};

/// A file of 96 MiB of guest, three tables, with four grains, to be spoilt.
struct Victim {
    directory: TempDir,
    path: PathBuf,
}

fn disk() -> Vec<u8> {
    let mut disk = vec![0; 96 << 20];
    for (seed, at) in [0, 1 << 16, 40 << 20, (96 << 20) - 65536].into_iter().enumerate() {
        disk[at..at + 65536].copy_from_slice(&noise(seed as u64, 65536));
    }
    disk
}

impl Victim {
    fn of(bytes: &[u8]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = file(&directory, "victim.vmdk", bytes);
        Self { directory, path }
    }

    /// As QEMU makes it: redundant directory at sector 21 and tables from 22 on, directory at 34, tables from 35 on.
    fn sparse() -> Self {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        Self::of(BYTES.get_or_init(|| {
            let directory = TempDir::new().unwrap();
            let raw = file(&directory, "raw", &disk());
            let path = directory.path().join("made.vmdk");
            convert(&raw, &path, "subformat=monolithicSparse");
            fs::read(path).unwrap()
        }))
    }

    /// With a footer.
    fn stream() -> Self {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        Self::of(BYTES.get_or_init(|| Maker::stream().make(&disk())))
    }

    fn stream_with_tables_in_front() -> Self {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        Self::of(BYTES.get_or_init(|| Maker { footer: false, ..Maker::stream() }.make(&disk())))
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }

    fn read32(&self, at: u64) -> u32 {
        let bytes = fs::read(&self.path).unwrap();
        u32::from_le_bytes(bytes[at as usize..at as usize + 4].try_into().unwrap())
    }

    /// Where the table of this number stands, by the directory in the header.
    fn table(&self, number: u64) -> u64 {
        let directory = u64::from(self.read32(56)) * 512;
        u64::from(self.read32(directory + number * 4)) * 512
    }

    fn set(self, at: u64, bytes: &[u8]) -> Self {
        patch(&self.path, at, bytes);
        self
    }

    fn set32(self, at: u64, value: u32) -> Self {
        self.set(at, &value.to_le_bytes())
    }

    fn set64(self, at: u64, value: u64) -> Self {
        self.set(at, &value.to_le_bytes())
    }

    fn open(&self) -> Result<Box<dyn ImageReader>, ImageError> {
        Opening::new().declared(Some(ImageFormat::Vmdk)).with_files_beside_it().open(&self.path)
    }

    /// The refusal when it is opened.
    #[track_caller]
    fn refused(&self, field: &str, at: u64, words: &str) {
        assert_refused(&self.open().err().expect("must be refused"), field, at, words);
    }
}

#[track_caller]
fn assert_refused(error: &ImageError, field: &str, at: u64, words: &str) {
    let text = error.to_string();
    let ImageError::Refused { field: named, offset, .. } = error else { panic!("{text}") };
    assert_eq!((*named, *offset), (field, at), "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn impossible_numbers_in_the_header() {
    Victim::sparse().set32(4, 0).refused("version", 4, "is 0");
    Victim::sparse().set32(4, 4).refused("version", 4, "is 4");
    Victim::sparse().set32(8, 3 | 1 << 20).refused("flags", 8, "0x100000");
    Victim::sparse().set(75, b"\n").refused("end-of-line characters", 73, "as text");
    Victim::sparse().set64(12, u64::MAX).refused("capacity", 12, "at most");
    Victim::sparse().set64(12, (64 << 31) + 1).refused("capacity", 12, "at most");
    Victim::sparse().set64(12, 64 << 31).refused("gdOffset", 56, "out of the file");
    Victim::sparse().set64(12, 64 << 31).set64(20, 8).refused("capacity", 12, "32 MiB");
    for grain in [0, 1, 4, 7, 127, 129, 8192, 1 << 40, u64::MAX] {
        Victim::sparse().set64(20, grain).refused("grainSize", 20, "power of two");
    }
    for count in [0, 1, 511, 513, u32::MAX] {
        Victim::sparse().set32(44, count).refused("numGTEsPerGT", 44, "instead of 512");
    }
    Victim::sparse().set64(64, 1 << 40).refused("overHead", 64, "cut off");
    Victim::sparse().set(77, &[1]).refused("compressAlgorithm", 77, "against");
    Victim::sparse().set32(8, 3 | 1 << 16).refused("compressAlgorithm", 77, "against");
    Victim::sparse().set(77, &[2]).refused("compressAlgorithm", 77, "unknown");
    Victim::sparse().set(78, &[1]).refused("compressAlgorithm", 77, "256");
    Victim::sparse().set64(12, 0).refused("capacity", 12, "names extents");
}

#[test]
fn tables_out_of_the_file_or_upon_each_other() {
    for (field, at) in [("gdOffset", 56), ("rgdOffset", 48)] {
        for offset in [1 << 40, u64::MAX - 1, 1 << 55, u64::MAX / 512] {
            Victim::sparse().set64(at, offset).refused(field, at, "out of the file");
        }
        for offset in [1, 20] {
            Victim::sparse().set64(at, offset).refused("header", 0, "upon each other");
        }
    }
    Victim::sparse().set64(56, 0).refused("gdOffset", 56, "is 0");
    Victim::sparse().set64(28, 21).refused("header", 0, "upon each other");
    Victim::sparse().set64(28, u64::MAX).refused("descriptorOffset", 28, "out of the file");
    Victim::sparse().set64(36, u64::MAX).refused("descriptorSize", 36, "1 MiB");
    Victim::sparse().set64(36, 2048).set64(28, 1 << 30).refused("descriptorOffset", 28, "out of the file");

    let directory = 34 * 512;
    for sector in [u32::MAX, 1 << 30] {
        Victim::sparse().set32(directory + 4, sector).refused(
            "grain directory entry",
            directory + 4,
            "out of the file",
        );
    }
    for sector in [1, 18, 21, 31, 34] {
        let victim = Victim::sparse().set32(directory + 4, sector);
        let field = if sector == 31 { "redundant grain directory entry" } else { "grain directory entry" };
        let error = victim.open().err().unwrap().to_string();
        assert!(error.contains(field) || sector == 31, "{sector}: {error}");
    }
    let twice = Victim::sparse();
    let first = twice.read32(directory);
    twice.set32(directory + 4, first).refused("grain directory entry", directory + 4, "another entry");
    Victim::sparse().set32(directory + 4, first + 2).refused("grain directory entry", directory + 4, "another entry");
    // The second set is not read, and what it names elsewhere does not matter.
    Victim::sparse().set32(21 * 512, u32::MAX).open().unwrap();
}

#[test]
fn grains_out_of_the_file_or_upon_anything() {
    let victim = Victim::sparse();
    let (entry, length) = (victim.table(0) + 4, victim.length());
    for sector in [u32::MAX, (length / 512) as u32, (length / 512) as u32 - 127] {
        Victim::sparse().set32(entry, sector).refused("grain table entry", entry, "out of the file");
    }
    // Header, descriptor, both directories, both sets of tables.
    for sector in [1, 20, 21, 22, 30, 34, 35, 46] {
        Victim::sparse().set32(entry, sector).refused("grain table entry", entry, "own tables");
    }
    let first = victim.read32(entry - 4);
    for sector in [first, first + 1, first + 127] {
        let error = Victim::sparse().set32(entry, sector).open().err().unwrap();
        assert_refused(&error, "grain table entry", entry, "another entry");
    }
    let far = victim.table(2) + 511 * 4;
    Victim::sparse().set32(far, first).refused("grain table entry", far, "another entry");
    let many = first.to_le_bytes().repeat(511);
    let error = Victim::sparse().set(entry, &many).open().err().unwrap().to_string();
    assert!(error.contains("used more than once"), "{error}");
    // What no guest can reach is nobody's.
    let smaller = Victim::sparse().set64(12, (96 << 11) - 128).set32(far, first);
    assert_eq!(smaller.open().unwrap().size(), (96 << 20) - 65536);
}

#[test]
fn references_in_an_embedded_descriptor() {
    let text = fs::read(&Victim::sparse().path).unwrap();
    let place = |words: &[u8]| text.windows(words.len()).position(|bytes| bytes == words).unwrap() as u64;
    let parent = place(b"parentCID=ffffffff");
    Victim::sparse().set(parent, b"parentCID=0fffffff").refused("parentCID", parent, "stand alone");
    let line = place(b"ddb.toolsVersion");
    Victim::sparse().set(line, b"parentFileNameHint=\"/etc/x\"").refused("parentFileNameHint", line, "/etc/x");
    Victim::sparse().set(line, b"encryption.keySafe=\"abc\"   ").refused("encryption", line, "decrypt");
    let extent = place(b"RW 196608 SPARSE");
    let elsewhere = Victim::sparse().set(extent, b"RW 1966 FLAT \"/etc/passwd\" 0 ");
    let view = elsewhere.open().unwrap();
    assert!(view.size() == 96 << 20 && view.warnings()[0].contains("does not describe"));
    elsewhere.set64(12, 0).refused("capacity", 12, "not looked for");
}

#[test]
fn footers() {
    let end = Victim::stream().length();
    Victim::stream().set64(end - 1024 + 56, u64::MAX).refused("gdOffset", end - 1024 + 56, "in the footer itself");
    Victim::stream().set32(end - 1536 + 12, 2).refused("footer marker", end - 1536, "missing");
    Victim::stream().set32(end - 1536 + 8, 9).refused("footer marker", end - 1536, "missing");
    Victim::stream().set32(end - 1024, 0).refused("footer marker", end - 1536, "missing");
    Victim::stream().set32(end - 512, 1).refused("end-of-stream marker", end - 512, "cut off");
    Victim::stream().set64(end - 1024 + 20, 3).refused("grainSize", end - 1024 + 20, "power of two");
    Victim::stream().set64(end - 1024 + 56, 1 << 40).refused("gdOffset", end - 1024 + 56, "out of the file");
    Victim::stream().set64(end - 1024 + 56, end / 512 - 3).refused("header", 0, "upon each other");
    let header = fs::read(Victim::stream().path).unwrap()[..512].to_vec();
    Victim::of(&header).refused("gdOffset", 56, "no footer");
    let mut twice = header.clone();
    twice.extend(header);
    Victim::of(&twice).refused("gdOffset", 56, "no footer");
}

/// A stream whose second grain is replaced by these bytes, behind all others so that there is room.
fn with_grain(prefix: (u64, u32), stream: &[u8]) -> Victim {
    let mut packed = prefix.0.to_le_bytes().to_vec();
    packed.extend(prefix.1.to_le_bytes());
    packed.extend(stream);
    let victim = Victim::stream_with_tables_in_front();
    let mut bytes = fs::read(&victim.path).unwrap();
    let entry = victim.table(0) + 4;
    let sector = (bytes.len() / 512) as u32;
    bytes.extend(packed);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    fs::write(&victim.path, bytes).unwrap();
    victim.set32(entry, sector)
}

fn zlib(length: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![1; length]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_grains() {
    let good = zlib(65536);
    let read = |victim: &Victim, length: usize| victim.open()?.read_at(65536, &mut vec![0; length]);
    let entry = |victim: &Victim| victim.table(0) + 4;
    let whole = with_grain((128, good.len() as u32), &good);
    read(&whole, 65536).unwrap();
    for (stream, words) in [
        (zlib(65535), "unpacks to 65535 bytes instead of 65536"),
        (zlib(0), "unpacks to 0 bytes"),
        (zlib(65537), "unpacks to more than 65536"),
        (zlib(1 << 22), "unpacks to more than 65536"),
        (good[2..].to_vec(), "no zlib stream"),
        // Cut in its last bytes, it may seem too long or broken.
        (good[..good.len() - 4].to_vec(), "a compressed grain that"),
        (noise(1, 500), "no zlib stream"),
    ] {
        for length in [65536, 7] {
            let victim = with_grain((128, stream.len() as u32), &stream);
            assert_refused(&read(&victim, length).unwrap_err(), "grain table entry", entry(&victim), words);
        }
    }
    // It stands last in the file, and is looked at when the file is opened.
    let length = with_grain((128, 9), &good).length();
    let last = length - (12 + good.len() as u64).next_multiple_of(512);
    with_grain((256, good.len() as u32), &good).refused("last grain", last, "sector 256 instead of 128");
    with_grain((128, 0), &good).refused("last grain", last, "0 packed bytes");
    with_grain((128, 131_073), &good).refused("last grain", last, "131073");
    with_grain((128, u32::MAX), &good).refused("last grain", last, "packed bytes");
    with_grain((128, 1000), &good).refused("last grain", last, "cut off");

    // One that is not the last is looked at when it is read.
    let fresh = Victim::stream_with_tables_in_front;
    let victim = fresh();
    let start = u64::from(victim.read32(victim.table(0))) * 512;
    let error = |victim: Victim| victim.open().unwrap().read_at(0, &mut [0; 512]).unwrap_err();
    let at = victim.table(0);
    assert_refused(&error(fresh().set64(start, 128)), "grain table entry", at, "belongs to sector 128");
    assert_refused(&error(fresh().set32(start + 8, 70_000)), "grain table entry", at, "runs into what follows");
    let second = fresh().read32(at + 4);
    let clash = fresh().set32(at, second);
    clash.refused("grain table entry", at + 4, "another entry");
}

#[test]
fn refusals_are_quick_for_a_huge_hollow_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("hollow.vmdk");
    let header = fs::read(Victim::sparse().path).unwrap()[..512].to_vec();
    fs::write(&path, header).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8 << 40).unwrap();
    patch(&path, 8, &1_u32.to_le_bytes());
    patch(&path, 12, &(64_u64 << 31).to_le_bytes());
    let view = open(&path, None).unwrap();
    assert_eq!(view.size(), 64 << 40);
    assert_eq!(view.extent_at(0).unwrap().unwrap().length, 1 << 30);
}

#[test]
fn other_formats_of_the_family() {
    let victim = Victim::of(b"COWD\x01\0\0\0");
    let error = open(&victim.path, None).err().unwrap().to_string();
    assert!(error.contains("a snapshot of ESXi"), "{error}");
    let text = "# Disk DescriptorFile\nRW 8 SPARSE \"victim.vmdk\"\n";
    let path = file(&victim.directory, "text.vmdk", text.as_bytes());
    let error = Opening::new().with_files_beside_it().open(&path).err().unwrap().to_string();
    assert!(error.contains("no sparse extent"), "{error}");
}
