//! The caller's side of a connection: many calls at a time, each waiting for its own answer.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    io::BufReader,
    net::UnixStream,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

use super::{
    frame::{self, Frame, MOST_BODY_BYTES, MOST_WAITING},
    wire::{Answer, Asked, Call},
};
use crate::{BackendError, request};

const CONNECT: Duration = Duration::from_secs(5);

/// A way to the socket; connected when it is first needed, and again when the connection was lost.
pub(super) struct Line {
    path: PathBuf,
    open: AsyncMutex<Option<Arc<Open>>>,
}

/// A connection.
struct Open {
    frames: mpsc::Sender<Frame>,
    waiting: Arc<Waiting>,
    last_number: AtomicU64,
    /// The tasks that read and write.
    tasks: [AbortHandle; 2],
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

type Calls = HashMap<u64, oneshot::Sender<Vec<u8>>>;

/// Calls that wait for their answers; nothing once the connection is lost, and then nobody waits any more.
struct Waiting(Mutex<Option<Calls>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.lock().is_none()
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn enter(&self, number: u64) -> Option<oneshot::Receiver<Vec<u8>>> {
        let (answer, answered) = oneshot::channel();
        self.lock().as_mut()?.insert(number, answer);
        Some(answered)
    }

    fn leave(&self, number: u64) -> Option<oneshot::Sender<Vec<u8>>> {
        self.lock().as_mut()?.remove(&number)
    }
}

/// A call that waits; it waits no more when its caller has gone.
struct Ticket<'a> {
    open: &'a Open,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.open.waiting.leave(self.number).is_some() {
            // Only calls that hang need to know it; where there is no room for it now, they learn it from the end of
            // the connection.
            let _ = self.open.frames.try_send(Frame { number: self.number, body: Vec::new() });
        }
    }
}

impl Line {
    pub(super) fn to(path: PathBuf) -> Self {
        Self { path, open: AsyncMutex::new(None) }
    }

    /// A call and its answer. Dropped before the call is on its way, nothing happens; after that, everything.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Answer<T> {
        let asked = Asked { request: request::current(), call };
        let body = serde_json::to_vec(&asked).map_err(|error| BackendError::Failed(error.to_string()))?;
        if body.len() > MOST_BODY_BYTES {
            return Err(BackendError::Refused(format!("a call of {} bytes is too long", body.len())));
        }
        let open = self.connected().await?;
        let answer = open.exchange(body).await.ok_or_else(|| self.unreachable("the connection was lost"))?;
        serde_json::from_slice::<Answer<T>>(&answer)
            .map_err(|error| BackendError::Failed(format!("the simulator answers nonsense: {error}")))?
    }

    async fn connected(&self) -> Answer<Arc<Open>> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref().filter(|open| !open.is_over()) {
            return Ok(Arc::clone(open));
        }
        let connected = timeout(CONNECT, UnixStream::connect(&self.path)).await;
        let line = connected.map_err(|_| self.unreachable("no answer in time"))?;
        let fresh = Arc::new(Open::over(line.map_err(|error| self.unreachable(&error.to_string()))?));
        *open = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    fn unreachable(&self, why: &str) -> BackendError {
        BackendError::Unreachable(format!("simulator {}: {why}", self.path.display()))
    }
}

impl Open {
    fn over(line: UnixStream) -> Self {
        let (reader, writer) = line.into_split();
        let (frames, to_write) = mpsc::channel(MOST_WAITING);
        let waiting = Arc::new(Waiting(Mutex::new(Some(Calls::new()))));
        let (read, written) = (Arc::clone(&waiting), Arc::clone(&waiting));
        let reading = tokio::spawn(async move {
            let mut reader = BufReader::new(reader);
            while let Ok(Some(answer)) = frame::read(&mut reader).await {
                if let Some(caller) = read.leave(answer.number) {
                    // It may have gone this very moment.
                    let _ = caller.send(answer.body);
                }
            }
            read.end();
        });
        let writing = tokio::spawn(async move {
            if frame::write_all(writer, to_write).await.is_err() {
                written.end();
            }
        });
        let tasks = [reading.abort_handle(), writing.abort_handle()];
        Self { frames, waiting, last_number: AtomicU64::new(0), tasks }
    }

    /// Nobody reads or writes any more, be it that their runtime has ended.
    fn is_over(&self) -> bool {
        self.frames.is_closed() || self.waiting.is_over()
    }

    async fn exchange(&self, body: Vec<u8>) -> Option<Vec<u8>> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let answer = self.waiting.enter(number)?;
        let _ticket = Ticket { open: self, number };
        self.frames.send(Frame { number, body }).await.ok()?;
        answer.await.ok()
    }
}
