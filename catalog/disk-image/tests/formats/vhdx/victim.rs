//! A VHDX to be looked into and spoilt, and the judge's ways with VHDX.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use disk_image::{ImageError, open};
use tempfile::TempDir;

use crate::{qemu::qemu_img, sample::patch};

pub const MIB: u64 = 1 << 20;
pub const HEADER: u64 = 64 << 10;
pub const REGIONS: u64 = 192 << 10;
pub const COPY: u64 = 64 << 10;
/// Where QEMU puts things.
pub const LOG: u64 = MIB;
pub const BAT: u64 = 2 * MIB;
pub const METADATA: u64 = 3 * MIB;
pub const ITEMS: u64 = METADATA + (64 << 10);

pub fn create(path: &Path, options: &str, size: &str) {
    let head = ["create", "-q", "-f", "vhdx", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([path.as_os_str(), OsStr::new(size)]));
}

pub fn convert(raw: &Path, path: &Path, options: &str) {
    let head = ["convert", "-f", "raw", "-O", "vhdx", "-o", options].map(OsStr::new);
    qemu_img(head.into_iter().chain([raw.as_os_str(), path.as_os_str()]));
}

/// Runs guest reads and writes.
pub fn qemu_io(path: &Path, commands: &[&str]) {
    let mut command = Command::new("prlimit");
    command.args(["--as=unlimited", "qemu-io", "-f", "vhdx"]);
    for text in commands {
        command.args(["-c", text]);
    }
    let output = command.arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("failed"), "{command:?}: {said}");
}

/// What QEMU reads from an image, after having repaired a copy of it.
pub fn guest_bytes(path: &Path) -> Vec<u8> {
    let [copy, raw] = ["judged.vhdx", "judged.raw"].map(|ending| path.with_extension(ending));
    fs::copy(path, &copy).unwrap();
    qemu_img([OsStr::new("check"), OsStr::new("-q"), OsStr::new("-r"), OsStr::new("all"), copy.as_os_str()]);
    let arguments = ["convert", "-f", "vhdx", "-O", "raw"].map(OsStr::new);
    qemu_img(arguments.into_iter().chain([copy.as_os_str(), raw.as_os_str()]));
    let bytes = fs::read(&raw).unwrap();
    fs::remove_file(raw).unwrap();
    fs::remove_file(copy).unwrap();
    bytes
}

/// An image of 16 MiB in blocks of 1 MiB, of which the first three and the last are there.
pub struct Victim {
    #[expect(dead_code, reason = "holds the files until it is dropped")]
    directory: TempDir,
    pub path: PathBuf,
}

impl Victim {
    pub fn new() -> Self {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("victim.vhdx");
        let bytes = BYTES.get_or_init(|| {
            create(&path, "block_size=1M,log_size=1M", "16M");
            qemu_io(&path, &["write -P 1 0 1M", "write -P 2 1M 1M", "write -P 3 2M 64k", "write -P 4 15M 1M"]);
            fs::read(&path).unwrap()
        });
        fs::write(&path, bytes).unwrap();
        Self { directory, path }
    }

    pub fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        fs::File::open(&self.path).unwrap().read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    pub fn read64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    pub fn length(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }

    pub fn cut(self, length: u64) -> Self {
        fs::OpenOptions::new().write(true).open(&self.path).unwrap().set_len(length).unwrap();
        self
    }

    pub fn set(self, at: u64, bytes: &[u8]) -> Self {
        patch(&self.path, at, bytes);
        self
    }

    /// Changes both headers, with their sums.
    pub fn set_headers(self, at: u64, bytes: &[u8]) -> Self {
        self.set_summed([HEADER, HEADER + COPY], 4096, at, bytes)
    }

    /// Changes both region tables, with their sums.
    pub fn set_regions(self, at: u64, bytes: &[u8]) -> Self {
        self.set_summed([REGIONS, REGIONS + COPY], 64 << 10, at, bytes)
    }

    fn set_summed(self, places: [u64; 2], length: usize, at: u64, bytes: &[u8]) -> Self {
        for place in places {
            patch(&self.path, place + at, bytes);
            let mut whole = self.bytes(place, length);
            sum(&mut whole);
            patch(&self.path, place, &whole);
        }
        self
    }

    /// The refusal when it is opened.
    #[track_caller]
    pub fn refused(&self, field: &str, at: u64, words: &str) {
        let error = open(&self.path, None).err().expect("must be refused");
        let text = error.to_string();
        let ImageError::Refused { field: named, offset, .. } = error else { panic!("{text}") };
        assert_eq!((named, offset), (field, at), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

/// Puts a structure's sum in its place.
pub fn sum(structure: &mut [u8]) {
    structure[4..8].fill(0);
    let sum = crc32c::crc32c(structure);
    structure[4..8].copy_from_slice(&sum.to_le_bytes());
}
