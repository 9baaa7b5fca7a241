//! Frames on their way in and out.

use std::io::{Error, ErrorKind, Result};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::mpsc::Receiver,
};

/// A list of a hundred thousand machines fits.
pub(super) const MOST_BODY_BYTES: usize = 64 << 20;
/// How many frames wait to be written before those who have more do.
pub(super) const MOST_WAITING: usize = 64;

/// A call or an answer.
pub(super) struct Frame {
    /// Says which call an answer belongs to.
    pub(super) number: u64,
    pub(super) body: Vec<u8>,
}

/// The next frame, or nothing at the end.
pub(super) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Result<Option<Frame>> {
    let length = match reader.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let number = reader.read_u64().await?;
    if usize::try_from(length).map_or(true, |length| length > MOST_BODY_BYTES) {
        let problem = format!("a frame of {length} bytes, {MOST_BODY_BYTES} are the most");
        return Err(Error::new(ErrorKind::InvalidData, problem));
    }
    // It grows with the bytes that come, not with those that are announced.
    let mut body = Vec::new();
    let read = reader.take(length.into()).read_to_end(&mut body).await?;
    if u32::try_from(read) != Ok(length) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Frame { number, body }))
}

/// Writes frames until there are no more to come.
pub(super) async fn write_all(writer: impl AsyncWrite + Unpin, mut frames: Receiver<Frame>) -> Result<()> {
    let mut writer = BufWriter::new(writer);
    while let Some(frame) = frames.recv().await {
        let length = u32::try_from(frame.body.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
        writer.write_u32(length).await?;
        writer.write_u64(frame.number).await?;
        writer.write_all(&frame.body).await?;
        if frames.is_empty() {
            writer.flush().await?;
        }
    }
    writer.flush().await
}
