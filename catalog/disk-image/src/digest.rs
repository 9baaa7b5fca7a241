use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{DiskView, ImageError, Piece, for_each_piece};

/// The BLAKE3 digest of an image's guest-visible bytes, zeros included: what an image is named by.
///
/// Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// From the 32 bytes of the hash.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("an image digest is 64 hexadecimal digits in lower case")]
pub struct InvalidDigest;

impl FromStr for ContentDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidDigest);
        }
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| InvalidDigest)
    }
}

impl TryFrom<String> for ContentDigest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<ContentDigest> for String {
    fn from(digest: ContentDigest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({self})")
    }
}

/// Digests a guest's bytes in order, for those who do something else with them in the same pass.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, piece: Piece<'_>) {
        static ZEROS: [u8; 1 << 18] = [0; 1 << 18];
        match piece {
            Piece::Data(bytes) => {
                self.0.update(bytes);
            }
            Piece::Zero(mut left) => {
                while left > 0 {
                    let length = left.min(ZEROS.len() as u64);
                    self.0.update(&ZEROS[..usize::try_from(length).unwrap_or(0)]);
                    left -= length;
                }
            }
        }
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(&self) -> ContentDigest {
        ContentDigest(*self.0.finalize().as_bytes())
    }
}

/// Digests all that a guest sees of a disk. `progress` is told the bytes done, and all.
///
/// # Errors
/// What the view fails with.
pub fn content_digest(view: &dyn DiskView, progress: &dyn Fn(u64, u64)) -> Result<ContentDigest, ImageError> {
    let mut hasher = ContentHasher::default();
    for_each_piece(view, |offset, piece| {
        hasher.update(piece);
        progress(offset + piece.length(), view.size());
        Ok::<(), ImageError>(())
    })?;
    Ok(hasher.finish())
}
