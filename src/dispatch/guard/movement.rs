//! Transfers have no deadline, since images have no common size; they have to go on.

use std::{
    future::Future,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use backend::{BackendError, ImageSource, Rendering};
use bytes::Bytes;
use disk_image::ImageFormat;
use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a transfer may stand still.
pub(super) const STANDSTILL: Duration = Duration::from_secs(120);

/// What was seen of a transfer.
#[derive(Clone)]
pub(super) struct Movement(Arc<Mutex<Seen>>);

struct Seen {
    at: Instant,
    furthest: u64,
}

impl Movement {
    /// Of one that begins now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Seen { at: Instant::now(), furthest: 0 })))
    }

    fn note(&self, moves: impl FnOnce(&mut Seen) -> bool) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if moves(&mut seen) {
            seen.at = Instant::now();
        }
    }

    fn until(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at + STANDSTILL
    }

    /// So many bytes have arrived. To hear the same number again is no movement.
    pub(super) fn reached(&self, bytes: u64) {
        self.note(|seen| {
            let further = bytes > seen.furthest;
            seen.furthest = seen.furthest.max(bytes);
            further
        });
    }

    /// Lets the work go on for as long as it moves.
    pub(super) async fn bounds<T>(
        &self,
        work: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        tokio::pin!(work);
        // The breaker may have taken its time.
        self.note(|_| true);
        loop {
            let until = self.until();
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(until) => {
                    if self.until() <= until {
                        return Err(BackendError::Unreachable(stood_still()));
                    }
                }
            }
        }
    }
}

/// A source that notes what is taken of it: a backend that says nothing of its progress moves by what it takes.
pub(super) struct WatchedSource {
    pub(super) source: Arc<dyn ImageSource>,
    pub(super) movement: Movement,
}

#[async_trait]
impl ImageSource for WatchedSource {
    fn local_path(&self) -> Option<&Path> {
        self.source.local_path()
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let movement = self.movement.clone();
        self.source.stream().inspect(move |_| movement.note(|_| true)).boxed()
    }

    async fn render(&self, format: ImageFormat) -> io::Result<Option<Rendering>> {
        let movement = self.movement.clone();
        let rendering = self.source.render(format).await?;
        Ok(rendering.map(|rendering| {
            let bytes = rendering.bytes.inspect(move |_| movement.note(|_| true)).boxed();
            Rendering { bytes, ..rendering }
        }))
    }
}

/// The same bytes, and an error where the next ones do not come.
pub(super) fn moving(bytes: BoxStream<'static, io::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
    stream::unfold(Some(bytes), |rest| async {
        let mut bytes = rest?;
        match timeout(STANDSTILL, bytes.next()).await {
            Ok(chunk) => chunk.map(|chunk| (chunk, Some(bytes))),
            // The backend's end goes with what is left of the stream.
            Err(_) => Some((Err(io::Error::new(io::ErrorKind::TimedOut, stood_still())), None)),
        }
    })
    .boxed()
}

fn stood_still() -> String {
    format!("nothing has moved for {} s", STANDSTILL.as_secs())
}
