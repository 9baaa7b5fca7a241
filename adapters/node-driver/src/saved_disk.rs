//! A copy of a root disk, on its way out.

use std::{fs::File, io, path::Path};

use backend::SavedDisk;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    NodeError,
    machine_directory::{MachineDirectory, SAVED},
    overlay_view::OverlayView,
};

/// At most this much at a time, in bytes; a multiple of the overlay's clusters.
const CHUNK: u64 = 1 << 20;
static ZEROS: [u8; CHUNK as usize] = [0; CHUNK as usize];

/// The copy's bytes. Its file has no name any more, so nothing is left whatever ends this.
pub(crate) struct Saved {
    view: OverlayView,
    size: u64,
    at: u64,
    /// One of the few that there may be at a time.
    _permit: OwnedSemaphorePermit,
}

impl Saved {
    /// Takes the copy out of its machine's directory. A disk that is to be at least `least` bytes large, and has not
    /// grown yet, is shown as if it had.
    pub(crate) fn take(
        directory: &MachineDirectory,
        image: &Path,
        least: u64,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, NodeError> {
        let path = directory.file(SAVED);
        let overlay = File::open(&path).map_err(NodeError::file("open", &path))?;
        directory.discard(SAVED)?;
        let base = File::open(image).map_err(NodeError::file("open", image))?;
        let view = OverlayView::new(overlay, base).map_err(NodeError::file("read", &path))?;
        let size = view.size().max(least);
        Ok(Self { view, size, at: 0, _permit: permit })
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let length = CHUNK.min(self.size - self.at);
        if length == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let found = self.view.read(self.at, &mut bytes)?;
        self.at += length;
        Ok(Some(if found { Bytes::from(bytes) } else { Bytes::from_static(&ZEROS[..bytes.len()]) }))
    }
}

impl From<Saved> for SavedDisk {
    fn from(saved: Saved) -> Self {
        let size = saved.size;
        let bytes = stream::try_unfold(saved, |mut saved| async move {
            let read = tokio::task::spawn_blocking(move || saved.next().map(|next| next.map(|bytes| (bytes, saved))));
            read.await.map_err(io::Error::other)?
        });
        Self { size, bytes: bytes.boxed() }
    }
}
