use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Who changes one object waits for whoever does so already: within this process two creates with one tag never meet.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// Waits for the turn; it ends with the guard.
    pub(crate) async fn of(&self, object: impl Into<String>) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let entry = turns.entry(object.into()).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let turn = Arc::new(Turn::new(()));
                *entry = Arc::downgrade(&turn);
                turn
            })
        };
        turn.lock_owned().await
    }
}
