use std::{
    io::{self, Read},
    os::unix::fs::FileExt,
};

use bytes::{Buf, Bytes};
use disk_image::ContentDigest;
use tokio::sync::mpsc;

use super::{ImageCache, Temporary};
use crate::NodeError;

/// Zeros of this length, at multiples of it, are left out of the file.
const BLOCK: usize = 64 << 10;
/// How often free space is looked at, in bytes.
const ROOM_STEP: u64 = 32 << 20;
/// The largest window that a stream may ask for, as a power of two: 32 MiB.
const MOST_WINDOW: u32 = 25;

impl ImageCache {
    /// Writes what arrives, until `None` says that it is complete.
    pub(super) fn receive_now(
        &self,
        digest: ContentDigest,
        size: u64,
        received: mpsc::Receiver<Option<Bytes>>,
    ) -> Result<(), NodeError> {
        self.ensure_room(0)?;
        let bad = |problem: String| NodeError::BadImage { digest, problem };
        let broken = |error: io::Error| bad(format!("its transfer cannot be read: {error}"));
        let temporary = Temporary::new(&self.directory)?;
        let pieces = Pieces { received, rest: Bytes::new(), complete: false };
        let mut bytes = zstd::stream::read::Decoder::new(pieces).map_err(broken)?;
        bytes.window_log_max(MOST_WINDOW).map_err(broken)?;
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            let read = fill(&mut bytes, &mut block).map_err(broken)?;
            if read == 0 {
                break;
            }
            // However well the rest may be packed: more than announced is never unpacked.
            if at + read as u64 > size {
                return Err(bad(format!("it holds more than the {size} bytes announced")));
            }
            if at % ROOM_STEP == 0 {
                self.ensure_room(0)?;
            }
            hasher.update(&block[..read]);
            if block[..read].iter().any(|byte| *byte != 0) {
                let written = temporary.file.write_all_at(&block[..read], at);
                written.map_err(NodeError::file("write", &temporary.path))?;
            }
            at += read as u64;
        }
        if !bytes.get_ref().get_ref().complete {
            return Err(bad("its transfer broke off".into()));
        }
        let found = ContentDigest::from_bytes(*hasher.finalize().as_bytes());
        if at != size || found != digest {
            return Err(bad(format!("{at} bytes with the digest {found} arrived, announced were {size}")));
        }
        temporary.keep(size, &self.path_of(&digest))
    }
}

/// Fills the block as far as the stream reaches.
fn fill(bytes: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match bytes.read(&mut block[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The pieces of a stream, one after the other.
struct Pieces {
    received: mpsc::Receiver<Option<Bytes>>,
    rest: Bytes,
    complete: bool,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.complete {
            match self.received.blocking_recv() {
                Some(Some(piece)) => self.rest = piece,
                Some(None) => self.complete = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off")),
            }
        }
        let read = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}
