use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::Mutex;

use super::web::AskError;

/// How long what a provider publishes is taken for new, in seconds.
const FRESH: i64 = 3600;
/// How long it is used at most when the provider is away, in seconds.
const USABLE: i64 = 24 * 3600;
/// How long a provider that failed is left alone, in seconds.
const PAUSE: i64 = 10;
/// How often somebody's token may make us look for new keys, in seconds.
const REFETCH: i64 = 30;

/// Something that a provider publishes. One at a time fetches it; what is held is used meanwhile, and while the provider
/// is away.
#[derive(Debug)]
pub(super) struct Cached<T> {
    held: RwLock<Held<T>>,
    fetching: Mutex<()>,
}

#[derive(Debug)]
struct Held<T> {
    value: Option<(i64, Arc<T>)>,
    /// The last attempt, and what came of it if it failed.
    tried: Option<i64>,
    failed: Option<AskError>,
    /// When somebody's token last made us look again.
    looked: Option<i64>,
}

impl<T> Held<T> {
    fn value(&self, now: i64, not_older: i64) -> Option<Arc<T>> {
        // A clock that was set back makes everything old, rather than new for ever.
        self.value.as_ref().filter(|(at, _)| (0..not_older).contains(&(now - at))).map(|(_, value)| value.clone())
    }

    fn tried_within(&self, now: i64, seconds: i64) -> bool {
        within(self.tried, now, seconds)
    }
}

fn within(at: Option<i64>, now: i64, seconds: i64) -> bool {
    at.is_some_and(|at| (0..seconds).contains(&(now - at)))
}

impl<T> Cached<T> {
    pub fn new() -> Self {
        let held = Held { value: None, tried: None, failed: None, looked: None };
        Self { held: RwLock::new(held), fetching: Mutex::new(()) }
    }

    /// What the provider publishes, at most an hour old unless it is away.
    pub async fn get<F>(&self, now: i64, fetch: impl FnOnce() -> F) -> Result<Arc<T>, AskError>
    where
        F: Future<Output = Result<T, AskError>>,
    {
        let _turn = {
            let usable = match self.known(now) {
                Known::Answer(answer) => return answer,
                Known::Old(usable) => usable,
            };
            match (usable, self.fetching.try_lock()) {
                (_, Ok(turn)) => turn,
                (Some(usable), Err(_)) => return Ok(usable),
                (None, Err(_)) => self.fetching.lock().await,
            }
        };
        // Whoever had the turn before may have brought it.
        match self.known(now) {
            Known::Answer(answer) => answer,
            Known::Old(_) => self.fetched(now, fetch().await),
        }
    }

    /// Looks again because something was not found in what is held; not often, since strangers' tokens cause it.
    pub async fn look_again<F>(&self, now: i64, fetch: impl FnOnce() -> F) -> Result<Arc<T>, AskError>
    where
        F: Future<Output = Result<T, AskError>>,
    {
        let _turn = self.fetching.lock().await;
        let (looked, value) = self.read(|held| (within(held.looked, now, REFETCH), held.value(now, USABLE)));
        match value {
            Some(value) if looked => Ok(value),
            _ => {
                let outcome = fetch().await;
                self.held.write().unwrap_or_else(PoisonError::into_inner).looked = Some(now);
                self.fetched(now, outcome)
            }
        }
    }

    fn known(&self, now: i64) -> Known<T> {
        self.read(|held| {
            if let Some(value) = held.value(now, FRESH) {
                return Known::Answer(Ok(value));
            }
            let usable = held.value(now, USABLE);
            match (&held.failed, usable) {
                (Some(_), Some(usable)) if held.tried_within(now, PAUSE) => Known::Answer(Ok(usable)),
                (Some(error), None) if held.tried_within(now, PAUSE) => Known::Answer(Err(error.clone())),
                (_, usable) => Known::Old(usable),
            }
        })
    }

    fn fetched(&self, now: i64, outcome: Result<T, AskError>) -> Result<Arc<T>, AskError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.tried = Some(now);
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                held.value = Some((now, value.clone()));
                held.failed = None;
                Ok(value)
            }
            Err(error) => {
                held.failed = Some(error.clone());
                held.value(now, USABLE).ok_or(error)
            }
        }
    }

    fn read<R>(&self, look: impl FnOnce(&Held<T>) -> R) -> R {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Known<T> {
    Answer(Result<Arc<T>, AskError>),
    /// To be fetched; used meanwhile if there is something.
    Old(Option<Arc<T>>),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn away() -> AskError {
        AskError::away("keys", "gone")
    }

    #[tokio::test]
    async fn it_is_fetched_once_an_hour() {
        let cached = Cached::new();
        let count = AtomicUsize::new(0);
        let fetch = || async { Ok(count.fetch_add(1, Ordering::SeqCst)) };
        for (now, expected) in [(0, 0), (1, 0), (3599, 0), (3600, 1), (7199, 1), (7200, 2), (5, 3)] {
            assert_eq!(*cached.get(now, fetch).await.unwrap(), expected, "at {now}");
        }
    }

    #[tokio::test]
    async fn f31_what_is_held_is_used_for_a_day_while_the_provider_is_away() {
        let cached = Cached::new();
        cached.get(0, || async { Ok(7) }).await.unwrap();
        for now in [3600, 3605, 3611, 86_399] {
            assert_eq!(*cached.get(now, || async { Err(away()) }).await.unwrap(), 7, "at {now}");
        }
        assert_eq!(cached.get(86_400 + 11, || async { Err::<i32, _>(away()) }).await.unwrap_err(), away());
    }

    #[tokio::test]
    async fn f31_a_provider_that_failed_is_left_alone_for_ten_seconds() {
        let cached = Cached::<()>::new();
        let count = AtomicUsize::new(0);
        let fetch = || async {
            count.fetch_add(1, Ordering::SeqCst);
            Err(away())
        };
        for (now, expected) in [(0, 1), (1, 1), (9, 1), (10, 2), (19, 2), (20, 3)] {
            assert!(cached.get(now, fetch).await.is_err());
            assert_eq!(count.load(Ordering::SeqCst), expected, "at {now}");
        }
    }

    #[tokio::test]
    async fn f32_unknown_keys_make_us_look_again_twice_a_minute_at_most() {
        let cached = Cached::new();
        let count = AtomicUsize::new(0);
        let fetch = || async { Ok(count.fetch_add(1, Ordering::SeqCst)) };
        cached.get(0, fetch).await.unwrap();
        for (now, expected) in [(1, 1), (2, 1), (30, 1), (31, 2), (60, 2), (61, 3)] {
            assert_eq!(*cached.look_again(now, fetch).await.unwrap(), expected, "at {now}");
        }
    }

    #[tokio::test]
    async fn many_at_once_fetch_once() {
        let cached = Cached::new();
        let count = AtomicUsize::new(0);
        let fetch = || async {
            tokio::task::yield_now().await;
            Ok(count.fetch_add(1, Ordering::SeqCst))
        };
        let all = futures_util::future::join_all((0..50).map(|_| cached.get(0, fetch))).await;
        assert!(all.into_iter().all(|value| *value.unwrap() == 0));
        let all = futures_util::future::join_all((0..50).map(|_| cached.look_again(100, fetch))).await;
        assert!(all.into_iter().all(|value| *value.unwrap() == 1));
    }
}
