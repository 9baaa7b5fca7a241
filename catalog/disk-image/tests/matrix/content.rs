//! The disks, as what is written on them.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use disk_image::{DiskView, Extent, ExtentKind, ImageError, ImageFormat, SECTOR};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// A disk, or rather the raw file that holds it.
#[derive(Debug)]
pub struct Content {
    /// Bytes of the file.
    pub length: u64,
    /// What is in it, in order and apart from each other; zeros elsewhere.
    pub pieces: Vec<(u64, Vec<u8>)>,
    /// Too large to be read from end to end.
    pub is_hollow: bool,
}

impl Content {
    /// Nothing but zeros: more than a block of any format.
    pub fn empty() -> Self {
        Self { length: 40 * MIB, pieces: Vec::new(), is_hollow: false }
    }

    /// Little on much: at the ends of blocks of all sizes, over their borders, within, and zeros that are written.
    pub fn sparse() -> Self {
        let length = 72 * MIB;
        let pieces = vec![
            (0, noise(1, 512)),
            (MIB, noise(2, 300_000)),
            (9 * MIB, text(600_000)),
            (16 * MIB - 70_000, noise(3, 140_000)),
            (24 * MIB, vec![0; 2 << 20]),
            (33 * MIB + 12_345, vec![7]),
            (64 * MIB - 1, vec![8, 9]),
            (length - 512, noise(4, 512)),
        ];
        Self { length, pieces, is_hollow: false }
    }

    /// No zeros: half of it packs well, half of it not at all.
    pub fn full() -> Self {
        let mut bytes = noise(5, 3 << 20);
        bytes.extend(text(2 << 20));
        bytes.extend(noise(6, 3 * 4096));
        Self { length: bytes.len() as u64, pieces: vec![(0, bytes)], is_hollow: false }
    }

    /// No multiple of anything but a sector, with data in the last one.
    pub fn odd_sectors() -> Self {
        let length = 5 * MIB + 3 * SECTOR;
        let pieces = vec![(100, noise(7, 100_000)), (length - 700, noise(8, 700))];
        Self { length, pieces, is_hollow: false }
    }

    /// No whole number of sectors: formats of blocks fill it up with zeros.
    pub fn odd_bytes() -> Self {
        Self { length: 1000, pieces: vec![(0, noise(9, 1000))], is_hollow: false }
    }

    /// The smallest disk.
    pub fn one_sector() -> Self {
        Self { length: SECTOR, pieces: vec![(0, noise(10, 512))], is_hollow: false }
    }

    /// A disk for sectors of 4096 bytes, with data that ends within one.
    pub fn large_sectors() -> Self {
        let length = 12 * MIB + 3 * 4096;
        let pieces = vec![(4096, noise(11, 4096 + 512)), (length - 4096, noise(12, 4096))];
        Self { length, pieces, is_hollow: false }
    }

    /// Beyond what 32 bits of sectors count, with data on both sides of that border.
    pub fn beyond_two_tebibytes() -> Self {
        let length = 2 * TIB + 6 * MIB + 3 * SECTOR;
        let pieces = vec![
            (0, noise(13, 512)),
            (TIB, noise(14, 300_000)),
            (2 * TIB - 70_000, noise(15, 140_000)),
            (length - 512, noise(16, 512)),
        ];
        Self { length, pieces, is_hollow: true }
    }

    /// The most that a VHD holds.
    pub fn largest_vhd() -> Self {
        let length = 2040 << 30;
        let pieces = vec![(MIB, text(100_000)), (length - 512, noise(17, 512))];
        Self { length, pieces, is_hollow: true }
    }

    /// Writes the raw file. Zeros among the pieces are written, all others are holes.
    pub fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.length).expect("the temporary directory must be on a file system with sparse files");
        for (offset, bytes) in &self.pieces {
            file.write_all_at(bytes, *offset).unwrap();
        }
    }

    /// What a judge is to look at, as offset and length: all of a disk of `size` bytes, or if that is too much the
    /// pieces with what lies around them, and some zeros.
    pub fn ranges(&self, size: u64) -> Vec<(u64, u64)> {
        if !self.is_hollow {
            return vec![(0, size)];
        }
        let around = 128 << 10;
        let of_pieces = self.pieces.iter().map(|(offset, bytes)| (offset.saturating_sub(around), bytes.len() as u64));
        let zeros = [self.length / 3, self.length / 5 * 4, size.saturating_sub(around)].map(|offset| (offset, 0));
        let whole_sectors = |offset: u64| offset - offset % SECTOR;
        of_pieces
            .chain(zeros)
            .map(|(offset, length)| (whole_sectors(offset), (length + 2 * around).next_multiple_of(SECTOR)))
            .map(|(offset, length)| (offset, length.min(size - offset)))
            .collect()
    }

    /// Where the view shows something else than this disk filled up with zeros; `None` when nowhere. What the view
    /// says is zeros is taken for zeros.
    pub fn difference(&self, view: &dyn DiskView) -> Option<String> {
        let mut found = None;
        let result = disk_image::for_each_piece::<ImageError>(view, |offset, piece| {
            let is_same = match piece {
                disk_image::Piece::Data(bytes) => {
                    let mut expected = vec![0; bytes.len()];
                    self.fill(offset, &mut expected);
                    bytes == expected
                }
                disk_image::Piece::Zero(length) => self.is_zero(offset, length),
            };
            if !is_same && found.is_none() {
                found = Some(format!("shows something else in the {} bytes at {offset}", piece.length()));
            }
            Ok(())
        });
        result.err().map(|error| error.to_string()).or(found)
    }

    /// Copies what lies in a range into a buffer of zeros.
    fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let end = offset + buffer.len() as u64;
        for (start, bytes) in &self.pieces {
            let from = offset.max(*start);
            let to = end.min(start + bytes.len() as u64);
            if from < to {
                let source = &bytes[(from - start) as usize..(to - start) as usize];
                buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
            }
        }
    }

    fn is_zero(&self, offset: u64, length: u64) -> bool {
        self.pieces.iter().all(|(start, bytes)| {
            let from = offset.max(*start);
            let to = (offset + length).min(start + bytes.len() as u64);
            from >= to || bytes[(from - start) as usize..(to - start) as usize].iter().all(|byte| *byte == 0)
        })
    }
}

/// A disk in memory that knows exactly which of its sectors hold anything.
pub struct Exact<'a>(pub &'a Content);

impl DiskView for Exact<'_> {
    fn format(&self) -> ImageFormat {
        ImageFormat::Raw
    }

    fn size(&self) -> u64 {
        self.0.length.next_multiple_of(SECTOR)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        buffer.fill(0);
        self.0.fill(offset, buffer);
        Ok(())
    }

    fn extent_at(&self, from: u64) -> Result<Option<Extent>, ImageError> {
        if from >= self.size() {
            return Ok(None);
        }
        let sector = |at: u64| at - at % SECTOR;
        let is_data = |at: u64| !self.0.is_zero(sector(at), SECTOR);
        let kind = if is_data(from) { ExtentKind::Data } else { ExtentKind::Absent };
        let mut end = sector(from) + SECTOR;
        while end < self.size() && is_data(end) == kind.is_data() {
            // One by one within pieces, and over what lies between them at once.
            end = match self.0.pieces.iter().find(|(start, bytes)| start + bytes.len() as u64 > end) {
                None => self.size(),
                Some((start, _)) if *start >= end + SECTOR => sector(*start),
                Some(_) => end + SECTOR,
            };
        }
        Ok(Some(Extent { offset: from, length: end - from, kind }))
    }
}

/// Deterministic bytes that do not pack.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes().map(|byte| byte | 1));
    }
    bytes.truncate(length);
    bytes
}

/// Bytes that pack well.
fn text(length: usize) -> Vec<u8> {
    let lines = (0_u64..).flat_map(|number| format!("line {number} is much like the one before it\n").into_bytes());
    lines.take(length).collect()
}
