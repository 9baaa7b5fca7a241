//! Compression of a disk on its way to the broker.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use zstd::stream::write::Encoder;

/// Fast, and still takes a disk's zeros for nothing.
const LEVEL: i32 = 1;
/// Small packets are sent together.
const LEAST: usize = 64 << 10;

struct Packing {
    source: BoxStream<'static, io::Result<Bytes>>,
    /// None once the frame is finished.
    encoder: Option<Encoder<'static, Vec<u8>>>,
}

/// The source's bytes as one zstd frame. A source that breaks off breaks the frame.
pub(super) fn packed(
    source: BoxStream<'static, io::Result<Bytes>>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>>> {
    let start = Packing { source, encoder: Some(Encoder::new(Vec::new(), LEVEL)?) };
    Ok(stream::try_unfold(start, |mut packing| async move {
        let Some(mut encoder) = packing.encoder.take() else { return Ok(None) };
        while let Some(chunk) = packing.source.next().await {
            let chunk = chunk?;
            let work = move || encoder.write_all(&chunk).map(|()| encoder);
            encoder = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
            if encoder.get_ref().len() >= LEAST {
                let out = std::mem::take(encoder.get_mut());
                packing.encoder = Some(encoder);
                return Ok(Some((Bytes::from(out), packing)));
            }
        }
        let out = encoder.finish()?;
        Ok(Some((Bytes::from(out), packing)))
    }))
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;
    use futures_util::{StreamExt, TryStreamExt, stream};

    use super::packed;

    #[tokio::test]
    async fn what_goes_in_comes_out_and_what_breaks_is_broken() {
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let chunks: Vec<_> = data.chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let pieces: Vec<Bytes> = packed(stream::iter(chunks).boxed()).unwrap().try_collect().await.unwrap();
        assert!(zstd::decode_all(&pieces.concat()[..]).unwrap() == data);
        let chunks = vec![Ok(Bytes::from_static(b"x")), Err(io::Error::from(io::ErrorKind::UnexpectedEof))];
        let broken: Result<Vec<Bytes>, _> = packed(stream::iter(chunks).boxed()).unwrap().try_collect().await;
        assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
