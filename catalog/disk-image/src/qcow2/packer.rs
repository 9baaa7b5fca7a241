use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

use super::deflate::Deflater;
use crate::layout::Packer;

/// How the clusters of a file to be written are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qcow2Compression {
    /// Deflate, which every program reads that reads qcow2, with the window of 4 KiB that QEMU uses and some readers
    /// rely on.
    Deflate {
        /// 1 (quick) to 9 (small).
        level: u8,
    },
    /// Zstandard, which QEMU reads since 5.1: only in version 3.
    Zstd {
        /// 1 (quick) to 19 (small).
        level: u8,
    },
}

impl Qcow2Compression {
    /// Deflate at the level beyond which files hardly become shorter: within 3 % of what QEMU writes.
    pub const DEFLATE: Self = Self::Deflate { level: 4 };
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
        Qcow2Compression::Deflate { level } => ("deflate", level, 9),
        Qcow2Compression::Zstd { level } => ("zstd", level, 19),
    };
    if (1..=most).contains(&level) { Ok(()) } else { Err(format!("{name} has levels 1 to {most}, not {level}")) }
}

pub(super) fn packer(compression: Qcow2Compression) -> Box<dyn Packer> {
    match compression {
        Qcow2Compression::Deflate { level } => {
            let chain = CHAINS[usize::from(level).clamp(1, CHAINS.len()) - 1];
            Box::new(DeflatePacker(Deflater::new(chain)))
        }
        Qcow2Compression::Zstd { level } => {
            let mut context = CCtx::create();
            // The level was checked; at any other the bytes would still be a frame.
            let _ = context.set_parameter(CParameter::CompressionLevel(level.into()));
            Box::new(ZstdPacker(context))
        }
    }
}

/// How many earlier places each level of deflate tries.
const CHAINS: [u32; 9] = [2, 4, 6, 8, 16, 32, 64, 256, 4096];

struct DeflatePacker(Deflater);

impl Packer for DeflatePacker {
    fn pack(&mut self, _: u64, data: &[u8], packed: &mut Vec<u8>) {
        self.0.pack(data, packed);
    }
}

struct ZstdPacker(CCtx<'static>);

impl Packer for ZstdPacker {
    fn pack(&mut self, _: u64, data: &[u8], packed: &mut Vec<u8>) {
        let start = packed.len();
        packed.resize(start + compress_bound(data.len()), 0);
        match self.0.compress2(&mut packed[start..], data) {
            Ok(length) => packed.truncate(start + length),
            // Cannot happen with that much room, and must not cost a guest's bytes if it does.
            Err(_) => {
                packed.truncate(start);
                store_frame(data, packed);
            }
        }
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
            let mut packed = Vec::new();
            store_frame(&data, &mut packed);
            let mut unpacked = vec![0; data.len()];
            Unpacker::default().unpack(Compression::Zstd, &packed, &mut unpacked).unwrap();
            assert!(unpacked == data);
        }
    }
}
