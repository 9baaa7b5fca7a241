//! Compression of an image on its way to a node.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use backend::ImageSource;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use zstd::stream::write::Encoder;

/// Fast, and still takes an image's zeros for nothing.
const LEVEL: i32 = 1;

/// The source's bytes as one zstd frame. `taken` counts the bytes that have gone in.
pub(crate) fn packed(
    source: &dyn ImageSource,
    taken: Arc<AtomicU64>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    struct Packing<S> {
        source: S,
        /// None once the frame is finished.
        encoder: Option<Encoder<'static, Vec<u8>>>,
        taken: Arc<AtomicU64>,
    }
    let start = Packing { source: source.stream(), encoder: Some(Encoder::new(Vec::new(), LEVEL)?), taken };
    Ok(stream::try_unfold(start, |mut packing| async move {
        let Some(mut encoder) = packing.encoder.take() else { return Ok(None) };
        while let Some(chunk) = packing.source.next().await {
            let chunk = chunk?;
            let work = move || {
                encoder.write_all(&chunk)?;
                let out = std::mem::take(encoder.get_mut());
                Ok::<_, io::Error>((encoder, chunk.len(), out))
            };
            let (back, length, out) = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
            encoder = back;
            packing.taken.fetch_add(length as u64, Ordering::Relaxed);
            if !out.is_empty() {
                packing.encoder = Some(encoder);
                return Ok(Some((Bytes::from(out), packing)));
            }
        }
        let out = encoder.finish()?;
        Ok::<_, io::Error>(Some((Bytes::from(out), packing)))
    }))
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path, sync::Arc};

    use backend::ImageSource;
    use bytes::Bytes;
    use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};

    use super::packed;

    struct Chunks(Vec<Result<Bytes, io::ErrorKind>>);

    impl ImageSource for Chunks {
        fn local_path(&self) -> Option<&Path> {
            None
        }

        fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
            stream::iter(self.0.clone()).map(|chunk| chunk.map_err(io::Error::from)).boxed()
        }
    }

    async fn pack(chunks: Vec<Result<Bytes, io::ErrorKind>>) -> io::Result<Vec<u8>> {
        let pieces: Vec<Bytes> = packed(&Chunks(chunks), Arc::default())?.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn what_goes_in_comes_out() {
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let chunks = data.chunks(1 << 20).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        assert!(zstd::decode_all(&pack(chunks).await.unwrap()[..]).unwrap() == data);
        assert_eq!(zstd::decode_all(&pack(Vec::new()).await.unwrap()[..]).unwrap(), b"");
    }

    #[tokio::test]
    async fn a_broken_source_breaks_the_stream() {
        let chunks = vec![Ok(Bytes::from_static(b"x")), Err(io::ErrorKind::UnexpectedEof)];
        assert_eq!(pack(chunks).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
