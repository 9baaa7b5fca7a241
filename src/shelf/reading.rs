use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use image_store::RenderedImage;

/// Bytes that are read at a time, and held by whoever fetches slowly.
const CHUNK: u64 = 512 << 10;

/// The file's bytes of the range, which must lie in it, read where reading may wait.
pub fn read(rendered: Arc<RenderedImage>, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
    stream::try_unfold(range, move |rest| {
        let rendered = Arc::clone(&rendered);
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            // Up to the next multiple, so that a resumed fetch soon reads the same chunks as any other.
            let end = rest.end.min((rest.start / CHUNK + 1) * CHUNK);
            let length = usize::try_from(end - rest.start).map_err(io::Error::other)?;
            let start = rest.start;
            let reading = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; length];
                rendered.read_at(start, &mut chunk).map(|()| chunk)
            });
            let chunk = reading.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
            Ok(Some((Bytes::from(chunk), end..rest.end)))
        }
    })
    .boxed()
}
