//! A saved disk on its way from a node.

use std::{io, time::Duration};

use backend::{BackendError, SavedDisk};
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use reqwest::Response;
use tokio::time::timeout;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// At most this much is handed on at a time, in bytes, however well it was packed.
const CHUNK: usize = 1 << 20;
/// How long a node may pause.
const IDLE: Duration = Duration::from_secs(60);
/// The largest window that a stream may ask for, as a power of two: 32 MiB.
const MOST_WINDOW: u32 = 25;

struct Unpacking {
    answer: Response,
    decoder: Decoder<'static>,
    packed: Bytes,
    /// Bytes that are still to come.
    left: u64,
    /// The frame is complete.
    ended: bool,
}

/// The raw bytes in an answer that announces `size` of them.
pub(crate) fn unpacked(answer: Response, size: u64) -> Result<SavedDisk, BackendError> {
    let broken = |error: io::Error| BackendError::Failed(format!("the disk cannot be unpacked: {error}"));
    let mut decoder = Decoder::new().map_err(broken)?;
    decoder.set_parameter(DParameter::WindowLogMax(MOST_WINDOW)).map_err(broken)?;
    let start = Unpacking { answer, decoder, packed: Bytes::new(), left: size, ended: false };
    let bytes = stream::try_unfold(start, |mut unpacking| async move {
        Ok(unpacking.next().await?.map(|bytes| (bytes, unpacking)))
    });
    Ok(SavedDisk { size, bytes: bytes.boxed() })
}

impl Unpacking {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = vec![0; CHUNK];
        let mut filled = 0;
        while filled < CHUNK && !self.ended {
            if self.packed.is_empty() && !self.receive().await? {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node broke off"));
            }
            let mut input = InBuffer::around(&self.packed);
            let mut output = OutBuffer::around(&mut out[filled..]);
            self.ended = self.decoder.run(&mut input, &mut output)? == 0;
            let (taken, given) = (input.pos(), output.pos());
            self.packed.advance(taken);
            filled += given;
        }
        if filled as u64 > self.left || (self.ended && filled as u64 != self.left) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the node sends another size than it announced"));
        }
        self.left -= filled as u64;
        out.truncate(filled);
        Ok((filled > 0).then(|| Bytes::from(out)))
    }

    /// Whether there is more.
    async fn receive(&mut self) -> io::Result<bool> {
        let silent =
            || io::Error::new(io::ErrorKind::TimedOut, format!("the node sent nothing for {} s", IDLE.as_secs()));
        let chunk = timeout(IDLE, self.answer.chunk()).await.map_err(|_| silent())?.map_err(io::Error::other)?;
        self.packed = chunk.unwrap_or_default();
        Ok(!self.packed.is_empty())
    }
}
