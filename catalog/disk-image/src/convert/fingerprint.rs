use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::zeros::is_zero;
use crate::layout::Identity;

/// What is hashed at a time, in bytes: windows begin and end at its multiples.
pub(super) const BLOCK: u64 = 64 << 10;

/// What tells a disk's content from others', put together from its blocks in whatever order they are read.
///
/// Blocks of zeros do not count, so that it does not depend on how a source stores them. It serves for identifiers
/// and resists accidents only; images are named by their [`crate::ContentDigest`].
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    low: AtomicU64,
    high: AtomicU64,
}

impl Fingerprint {
    /// Takes the bytes from `offset` on, a multiple of [`BLOCK`].
    pub(super) fn add(&self, offset: u64, bytes: &[u8]) {
        let mut sums = (0_u64, 0_u64);
        for (number, block) in (offset / BLOCK..).zip(bytes.chunks(usize::try_from(BLOCK).unwrap_or(usize::MAX))) {
            if !is_zero(block) {
                let hash = xxh3_128_with_seed(block, number).to_le_bytes();
                let [low, high] = [&hash[..8], &hash[8..]]
                    .map(|half| half.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)));
                sums = (sums.0.wrapping_add(low), sums.1.wrapping_add(high));
            }
        }
        // Sums, which do not depend on the order.
        self.low.fetch_add(sums.0, Ordering::Relaxed);
        self.high.fetch_add(sums.1, Ordering::Relaxed);
    }

    /// Of a disk of `size` bytes.
    pub(super) fn identity(&self, size: u64) -> Identity {
        let mut hasher = blake3::Hasher::new();
        for number in [size, self.low.load(Ordering::Relaxed), self.high.load(Ordering::Relaxed)] {
            hasher.update(&number.to_le_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Identity::from_bytes(bytes)
    }
}
