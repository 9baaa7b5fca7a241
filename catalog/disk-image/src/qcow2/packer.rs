use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

use crate::layout::Packer;

/// How the clusters of a file to be written are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qcow2Compression {
    /// Deflate, which every program reads that reads qcow2.
    Deflate {
        /// 1 (quick) to 12 (small).
        level: u8,
    },
    /// Zstandard, which QEMU reads since 5.1: only in version 3.
    Zstd {
        /// 1 (quick) to 19 (small).
        level: u8,
    },
}

impl Qcow2Compression {
    /// Deflate at the quickest level: no more than 2 % longer than what QEMU writes, and often shorter, since QEMU looks
    /// back only 4 KiB.
    pub const DEFLATE: Self = Self::Deflate { level: 1 };
    /// Zstandard at the level that QEMU takes.
    pub const ZSTD: Self = Self::Zstd { level: 3 };
}

impl Default for Qcow2Compression {
    fn default() -> Self {
        Self::DEFLATE
    }
}

/// Whether there is such a level.
pub(super) fn check(compression: Qcow2Compression) -> Result<(), String> {
    let (name, level, most) = match compression {
        Qcow2Compression::Deflate { level } => ("deflate", level, 12),
        Qcow2Compression::Zstd { level } => ("zstd", level, 19),
    };
    if (1..=most).contains(&level) { Ok(()) } else { Err(format!("{name} has levels 1 to {most}, not {level}")) }
}

pub(super) fn packer(compression: Qcow2Compression) -> Box<dyn Packer> {
    match compression {
        Qcow2Compression::Deflate { level } => {
            let level = CompressionLvl::new(level.into()).unwrap_or_default();
            Box::new(DeflatePacker(Compressor::new(level)))
        }
        Qcow2Compression::Zstd { level } => {
            let mut context = CCtx::create();
            // The level was checked; at any other the bytes would still be a frame.
            let _ = context.set_parameter(CParameter::CompressionLevel(level.into()));
            Box::new(ZstdPacker(context))
        }
    }
}

struct DeflatePacker(Compressor);

impl Packer for DeflatePacker {
    fn pack(&mut self, _: u64, data: &[u8], packed: &mut Vec<u8>) {
        let start = packed.len();
        packed.resize(start + self.0.deflate_compress_bound(data.len()), 0);
        match self.0.deflate_compress(data, &mut packed[start..]) {
            Ok(length) => packed.truncate(start + length),
            // Cannot happen with that much room, and must not cost a guest's bytes if it does.
            Err(_) => {
                packed.truncate(start);
                store_deflated(data, packed);
            }
        }
    }
}

struct ZstdPacker(CCtx<'static>);

impl Packer for ZstdPacker {
    fn pack(&mut self, _: u64, data: &[u8], packed: &mut Vec<u8>) {
        let start = packed.len();
        packed.resize(start + compress_bound(data.len()), 0);
        match self.0.compress2(&mut packed[start..], data) {
            Ok(length) => packed.truncate(start + length),
            // As above.
            Err(_) => {
                packed.truncate(start);
                store_frame(data, packed);
            }
        }
    }
}

/// A deflate stream of stored blocks (RFC 1951, 3.2.4).
fn store_deflated(data: &[u8], packed: &mut Vec<u8>) {
    let blocks = data.chunks(usize::from(u16::MAX));
    let last = blocks.len().saturating_sub(1);
    for (number, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        packed.push(u8::from(number == last));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
    }
}

/// A Zstandard frame of raw blocks (RFC 8878, 3.1.1): no checksum, a size of four bytes in place of a window.
fn store_frame(data: &[u8], packed: &mut Vec<u8>) {
    const LARGEST_BLOCK: usize = 128 << 10;
    const SINGLE_SEGMENT_WITH_32_BIT_SIZE: u8 = 0xa0;
    packed.extend(0xfd2f_b528_u32.to_le_bytes());
    packed.push(SINGLE_SEGMENT_WITH_32_BIT_SIZE);
    packed.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    // A block may not be longer than the window, which is the whole here.
    let blocks = data.chunks(LARGEST_BLOCK);
    let last = blocks.len().saturating_sub(1);
    for (number, block) in blocks.enumerate() {
        let head = u32::try_from(block.len()).unwrap_or(0) << 3 | u32::from(number == last);
        packed.extend(&head.to_le_bytes()[..3]);
        packed.extend(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qcow2::compressed::{Compression, Unpacker};

    #[test]
    fn what_is_stored_without_compression_unpacks() {
        for length in [512, 65535, 65536, 2 << 20] {
            let data: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            for (store, compression) in
                [(store_deflated as fn(&[u8], &mut Vec<u8>), Compression::Deflate), (store_frame, Compression::Zstd)]
            {
                let mut packed = Vec::new();
                store(&data, &mut packed);
                let mut unpacked = vec![0; data.len()];
                Unpacker::default().unpack(compression, &packed, &mut unpacked).unwrap();
                assert!(unpacked == data);
            }
        }
    }
}
