//! One consumer's stream of events.
//!
//! Nothing is read ahead: the next page is fetched when the socket has taken the last one. Whoever reads slowly keeps a
//! place in the log, not a queue.

use std::{convert::Infallible, time::Duration};

use actix_web::web::Bytes;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{PAGE, consumers::Place, rendering};
use crate::{
    broker::{Broker, EventsRead},
    http::principal::Shown,
    login::{Principal, gate::Gate},
};

/// After such a silence a comment shows that the connection still stands (proxies close it after a minute or so).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Milliseconds after which a client that was cut off should come again.
const RETRY: u32 = 2000;

/// Who follows.
pub struct Follower {
    pub broker: Broker,
    pub gate: Gate,
    pub principal: Principal,
    pub shown: Shown,
    /// Given back with the stream.
    #[allow(dead_code, reason = "it is there to be dropped")]
    pub place: Place,
}

impl Follower {
    /// Tokens expire and are revoked while streams are open.
    async fn may_go_on(&self) -> bool {
        matches!(self.shown.project(&self.gate).await, Ok(Some(project)) if project == self.principal.project)
    }
}

/// A stream of events that is being read.
pub struct Stream {
    follower: Follower,
    /// Not sent yet.
    ready: Option<String>,
    /// The place up to which the consumer has seen everything of its project.
    seen: i64,
    /// Whether there may be more after that.
    is_behind: bool,
    /// So many events may follow.
    left: u64,
    end: watch::Receiver<i64>,
    shutdown: CancellationToken,
}

impl Stream {
    /// A stream that begins with what was read after the place, and ends after `limit` events if there is a limit.
    pub fn new(
        follower: Follower,
        first: EventsRead,
        after: Option<i64>,
        limit: Option<u64>,
        end: watch::Receiver<i64>,
        shutdown: CancellationToken,
    ) -> Self {
        let left = limit.unwrap_or(u64::MAX);
        let seen = after.unwrap_or_default();
        let mut stream = Self { follower, ready: None, seen, is_behind: false, left, end, shutdown };
        // The first bytes show that the stream is open.
        stream.ready = Some(format!("retry: {RETRY}\n\n{}", stream.take(first)));
        stream
    }

    /// The stream as the body of an answer.
    pub fn into_bytes(self) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold(self, async |mut stream| {
            let text = stream.next().await?;
            Some((Ok(Bytes::from(text)), stream))
        })
    }

    /// What follows; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(ready) = self.ready.take() {
            return Some(ready);
        }
        let silent_until = Instant::now() + KEEP_ALIVE;
        loop {
            if self.left == 0 || self.shutdown.is_cancelled() || !self.follower.may_go_on().await {
                return None;
            }
            if self.is_behind {
                let read = self.follower.broker.events(&self.follower.principal, Some(self.seen), PAGE).await;
                // A client that is cut off comes again and names its place.
                let text = read.map(|read| self.take(read)).ok()?;
                if !text.is_empty() {
                    return Some(text);
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                changed = self.end.changed() => changed.ok()?,
                () = tokio::time::sleep_until(silent_until) => return Some(": still here\n\n".into()),
            }
            self.is_behind = *self.end.borrow_and_update() != self.seen;
        }
    }

    /// As text, as much of what was read as fits.
    fn take(&mut self, read: EventsRead) -> String {
        match read {
            EventsRead::Reset(end) => {
                (self.seen, self.is_behind) = (end, false);
                rendering::reset(end)
            }
            EventsRead::Page(events, end) => {
                let piece = rendering::piece(&events, self.left);
                self.left -= piece.count;
                let is_whole = usize::try_from(piece.count).is_ok_and(|count| count == events.len());
                let may_have_more = i64::try_from(events.len()).is_ok_and(|count| count >= PAGE);
                self.is_behind = !is_whole || may_have_more;
                self.seen = piece.read_to.unwrap_or(self.seen);
                if !self.is_behind {
                    self.seen = self.seen.max(end);
                }
                piece.text
            }
        }
    }
}
