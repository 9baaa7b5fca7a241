//! Tells those who wait for events how far the log goes.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Db, event};

/// Other processes seal too, and do not ring here.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// However fast events are sealed, those who wait are told ten times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// The bell of one process. Whoever seals events rings it; one task looks how far the log goes, for everybody.
#[derive(Clone, Default)]
pub struct EventBell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rung: Notify,
    end: watch::Sender<i64>,
}

impl EventBell {
    /// To be called when events were sealed.
    #[allow(dead_code, reason = "for the one who seals")]
    pub fn ring(&self) {
        self.0.rung.notify_one();
    }

    /// The last taken place, from now on; what was sealed before is not announced.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.0.end.subscribe()
    }

    /// Looks at the log when the bell is rung, and every second, while somebody listens and until the token is
    /// cancelled.
    pub async fn attend(self, db: Db, shutdown: CancellationToken) {
        let mut works = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.rung.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if self.0.end.receiver_count() == 0 {
                continue;
            }
            let looked = db.read_brief(event::last_position).await;
            if let Err(error) = &looked
                && works
            {
                tracing::warn!(%error, "the end of the event log cannot be read; streams of events stand still");
            }
            works = looked.is_ok();
            let end = looked.unwrap_or(*self.0.end.borrow());
            let is_new = self.0.end.send_if_modified(|known| std::mem::replace(known, end) != end);
            if is_new {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::event::{NewEvent, record, seal};

    #[tokio::test]
    async fn those_who_listen_hear_of_new_events_rung_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        let (bell, shutdown) = (EventBell::default(), CancellationToken::new());
        let mut end = bell.subscribe();
        let attending = tokio::spawn(bell.clone().attend(db.clone(), shutdown.clone()));
        let add = async |count: usize| {
            db.write(move |connection| {
                (0..count).try_for_each(|_| record(connection, &NewEvent { kind: "test", ..NewEvent::default() }))
            })
            .await
            .unwrap();
            assert_eq!(db.write(|connection| seal(connection, 1000)).await.unwrap(), count);
        };
        add(2).await;
        bell.ring();
        assert_eq!(*end.wait_for(|end| *end > 0).await.unwrap(), 2);
        add(3).await;
        assert_eq!(*end.wait_for(|end| *end > 2).await.unwrap(), 5, "another process seals without ringing");
        shutdown.cancel();
        attending.await.unwrap();
    }
}
