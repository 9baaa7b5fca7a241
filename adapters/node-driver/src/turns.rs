use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// One at a time per key: creates of one machine, deliveries of one image.
pub(crate) struct Turns<K> {
    queues: Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// Waits for this key's turn, which lasts as long as the guard.
    pub(crate) async fn take(&self, key: &K) -> OwnedMutexGuard<()> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever waits or works holds a clone; the others' queues are forgotten here, so the map stays small.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            queues.entry(key.clone()).or_default().clone()
        };
        queue.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Turns;

    #[tokio::test]
    async fn one_at_a_time_per_key() {
        let turns = Turns::<u8>::default();
        let first = turns.take(&1).await;
        assert!(turns.take(&2).now_or_never().is_some(), "another key does not wait");
        assert!(turns.take(&1).now_or_never().is_none(), "the same key waits");
        drop(first);
        assert!(turns.take(&1).now_or_never().is_some(), "and comes next");
        assert!(turns.queues.lock().unwrap().len() <= 1, "nothing is remembered for long");
    }
}
