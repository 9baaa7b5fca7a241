//! The images that were delivered, and the disks that are made of them.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use disk_image::{ContentDigest, ImageFormat};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::State;
use crate::{BackendError, SavedDisk, SiteImage, SiteImageState};

/// Larger images are held by name and length only.
const MOST_KEPT_OF_ONE: u64 = 4 << 20;
/// For all images together.
const MOST_KEPT: u64 = 64 << 20;
const SECTOR: u64 = 512;
const CHUNK: u64 = 1 << 20;

#[derive(Default)]
pub(super) struct Images {
    held: BTreeMap<ContentDigest, HeldImage>,
    kept: u64,
}

struct HeldImage {
    size: u64,
    /// Nothing for an image that is not kept: its disk reads as zeros.
    bytes: Bytes,
}

impl Images {
    pub(super) fn holds(&self, digest: &ContentDigest) -> bool {
        self.held.contains_key(digest)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn insert(&mut self, digest: ContentDigest, size: u64, received: Received) {
        let mut bytes = Bytes::from(received.kept);
        if self.kept + bytes.len() as u64 > MOST_KEPT {
            bytes.clear();
        }
        self.kept += bytes.len() as u64;
        if let Some(before) = self.held.insert(digest, HeldImage { size, bytes }) {
            self.kept -= before.bytes.len() as u64;
        }
    }

    pub(super) fn find(&self, digest: &ContentDigest) -> Option<SiteImage> {
        let held = self.held.get(digest)?;
        Some(SiteImage {
            digest: *digest,
            id: format!("img-{digest}"),
            state: SiteImageState::Ready,
            format: Some(ImageFormat::Raw),
            stored_bytes: Some(held.size),
        })
    }

    pub(super) fn remove(&mut self, digest: &ContentDigest) {
        if let Some(gone) = self.held.remove(digest) {
            self.kept -= gone.bytes.len() as u64;
        }
    }

    /// The image's bytes up to a whole sector, with a mark at the begin of the last one. The same mark gives the same
    /// disk. However large its machine's disk is meant to be, it is as large as its image, so that tests need not move
    /// gigabytes of zeros.
    pub(super) fn marked(&self, digest: &ContentDigest, mark: String) -> Result<MarkedDisk, BackendError> {
        let image = self.held.get(digest).ok_or_else(|| BackendError::NotFound(format!("image {digest}")))?;
        let size = image.size.max(1).next_multiple_of(SECTOR);
        Ok(MarkedDisk { size, bytes: image.bytes.clone(), mark })
    }
}

impl State {
    pub(super) fn delete_image(&mut self, digest: &ContentDigest) -> Result<(), BackendError> {
        if let Some((id, _)) = self.machines.iter().find(|(_, machine)| machine.spec.image == *digest) {
            return Err(BackendError::Conflict(format!("machine {id} was made from image {digest}: delete it first")));
        }
        self.images.remove(digest);
        Ok(())
    }
}

/// The bytes of an image on its way in.
pub(super) struct Received {
    pub(super) size: u64,
    kept: Vec<u8>,
}

impl Received {
    pub(super) fn nothing() -> Self {
        Self { size: 0, kept: Vec::new() }
    }

    pub(super) fn take(&mut self, chunk: &Bytes) {
        self.size += chunk.len() as u64;
        if self.size <= MOST_KEPT_OF_ONE {
            self.kept.extend_from_slice(chunk);
        } else {
            self.kept = Vec::new();
        }
    }
}

/// A disk that is made when it is read.
pub(super) struct MarkedDisk {
    pub(super) size: u64,
    bytes: Bytes,
    pub(super) mark: String,
}

impl From<MarkedDisk> for SavedDisk {
    fn from(disk: MarkedDisk) -> Self {
        Self { size: disk.size, bytes: disk.stream() }
    }
}

impl MarkedDisk {
    /// Of an image whose bytes are not at hand; `size` is at least a sector.
    pub(super) fn of_zeros(size: u64, mark: String) -> Self {
        Self { size: size.max(SECTOR), bytes: Bytes::new(), mark }
    }

    fn stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        let chunks = self.size.div_ceil(CHUNK);
        stream::iter(0..chunks).map(move |index| Ok(self.piece(index * CHUNK))).boxed()
    }

    fn piece(&self, offset: u64) -> Bytes {
        let length = CHUNK.min(self.size - offset);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        lay(&mut piece, offset, &self.bytes, 0);
        lay(&mut piece, offset, self.mark.as_bytes(), self.size - SECTOR);
        piece.into()
    }
}

/// Lays what stands at `at` of the disk over the piece that stands at `offset`, as far as the two meet.
fn lay(piece: &mut [u8], offset: u64, what: &[u8], at: u64) {
    let place = |position: u64, from: u64| usize::try_from(position.saturating_sub(from)).unwrap_or(usize::MAX);
    let skipped = place(offset, at);
    let start = place(at, offset);
    if let (Some(what), Some(piece)) = (what.get(skipped..), piece.get_mut(start..)) {
        let length = what.len().min(piece.len());
        piece[..length].copy_from_slice(&what[..length]);
    }
}
