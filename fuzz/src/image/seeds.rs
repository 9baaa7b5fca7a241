//! The images that `seeds/make` has made.

use std::sync::LazyLock;

use disk_image::ImageFormat;

/// Bytes of the pieces that a seed is kept in.
const PIECE: usize = 4096;
/// Bytes of a guest's sector, each of which is filled with one byte in the seeds.
const SECTOR: usize = 512;
/// Bytes of a number, in which places are counted.
const WORD: usize = 4;

/// An image that somebody else's program made.
pub struct Seed {
    pub name: &'static str,
    pub length: u64,
    /// The pieces that are not all zero, by their places.
    pub pieces: Vec<(u64, Vec<u8>)>,
    /// Places of sectors that are no guest's.
    pub structure: Vec<u64>,
    /// Places of numbers in those that are not 0.
    pub words: Vec<u64>,
    pub big_endian: bool,
}

impl Seed {
    fn unpack(name: &'static str, packed: &[u8], big_endian: bool) -> Self {
        let bytes = zstd::decode_all(packed).expect("seeds are compressed with zstd");
        let pieces = bytes.chunks(PIECE).enumerate().filter(|(_, piece)| piece.iter().any(|byte| *byte != 0));
        let place = |index: usize, unit: usize| (index * unit) as u64;
        let mut structure = Vec::new();
        let mut words = Vec::new();
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            if sector.iter().any(|byte| *byte != sector[0]) {
                structure.push(place(number, SECTOR));
                let numbers = sector.chunks(WORD).enumerate().filter(|(_, word)| word.iter().any(|byte| *byte != 0));
                words.extend(numbers.map(|(index, _)| place(number, SECTOR) + place(index, WORD)));
            }
        }
        Self {
            name,
            length: bytes.len() as u64,
            pieces: pieces.map(|(index, piece)| (place(index, PIECE), piece.to_vec())).collect(),
            structure,
            words,
            big_endian,
        }
    }

    /// It names files beside it.
    pub fn is_text(&self) -> bool {
        self.name.split('-').any(|word| word == "text")
    }
}

/// All seeds of a format.
pub struct Collection {
    /// What the disk is declared as.
    pub format: Option<ImageFormat>,
    /// What is asked for within it: a snapshot, a disk.
    pub names: [Option<&'static str>; 4],
    pub seeds: LazyLock<Vec<Seed>>,
    /// Inputs may also be images as they are.
    pub plain: bool,
}

impl Collection {
    /// The seed that a byte stands for; `None` for an image that is in the input itself.
    pub fn choose(&self, choice: u8) -> Option<&Seed> {
        let count = self.seeds.len() + usize::from(self.plain);
        self.seeds.get(usize::from(choice) % count)
    }
}

macro_rules! collection {
    ($name:ident, $folder:literal, $format:expr, $big_endian:literal, $names:expr, plain: $plain:literal,
     [$($seed:literal),* $(,)?]) => {
        #[doc = concat!("Of `seeds/", $folder, "`.")]
        pub static $name: Collection = Collection {
            format: $format,
            names: $names,
            seeds: LazyLock::new(|| {
                vec![$(Seed::unpack(
                    $seed,
                    include_bytes!(concat!("../../seeds/", $folder, "/", $seed, ".zst")),
                    $big_endian,
                )),*]
            }),
            plain: $plain,
        };
    };
}

// New ones at the end: inputs in the corpus count.
collection!(QCOW2, "qcow2", Some(ImageFormat::Qcow2), true, [None, Some("first"), Some("2"), None], plain: true, [
    "v2", "clusters-of-512", "clusters-of-2m", "extended", "counts-of-1-bit", "counts-of-64-bits", "preallocated",
    "empty-of-1t", "odd-size", "compressed-zlib", "compressed-zstd", "snapshots", "bitmap", "dirty", "refused-backing",
    "refused-data-file",
]);
collection!(VMDK, "vmdk", Some(ImageFormat::Vmdk), false, [None; 4], plain: true, [
    "sparse", "zero-grains", "old-hardware", "sparse-1g", "sparse-odd", "stream", "stream-footer", "stream-footer-1",
    "extent", "text-flat", "text-two-flats", "text-sparse", "text-vmfs", "refused-text-link", "refused-text-above",
    "refused-text-parent",
]);
collection!(VHD, "vhd", Some(ImageFormat::Vhd), true, [None; 4], plain: false, [
    "fixed", "fixed-511", "dynamic", "dynamic-whole-cylinders", "dynamic-8g",
]);
collection!(VHDX, "vhdx", Some(ImageFormat::Vhdx), false, [None; 4], plain: false, [
    "dynamic", "log", "log-of-two", "fixed", "128g", "sectors-of-4k",
]);
collection!(VDI, "vdi", Some(ImageFormat::Vdi), false, [None; 4], plain: false, [
    "dynamic", "static", "odd-size", "dynamic-8g",
]);
collection!(OVA, "ova", None, true, [None, Some("disk.vmdk.gz"), Some("other.vmdk"), Some("disk0")], plain: true, [
    "ustar", "gnu-manifest", "pax-manifest", "long-gnu", "long-pax", "two-disks", "chunks", "empty-disk", "flat",
    "text", "refused-text-above", "refused-text-link",
]);
collection!(COMPRESSED, "compressed", None, false, [None; 4], plain: true, [
    "gzip", "gzip-of-two", "gzip-and-zeros", "gzip-qcow2", "gzip-of-gzip", "gzip-stored", "xz", "xz-sha256",
    "xz-of-two", "xz-qcow2", "xz-delta", "zstd", "zstd-check", "zstd-of-two", "zstd-qcow2", "refused-zstd-long", "bzip2",
    "bzip2-of-two", "bzip2-qcow2",
]);

/// All of them.
pub static ALL: [&Collection; 7] = [&QCOW2, &VMDK, &VHD, &VHDX, &VDI, &OVA, &COMPRESSED];
