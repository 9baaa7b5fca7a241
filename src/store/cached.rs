//! What was read once and is still so.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Db, DbConnection, StoreError, Topic};

/// Values that were read from the database, never a stale one: each lookup asks first whether anything of the topic has
/// changed ([`super::revision`]), and reads again if so.
pub struct Cached<K, V> {
    topic: Topic,
    most: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

struct Entry<V> {
    /// The topic's revision *before* the value was read. A value may be newer than that, never older.
    revision: i64,
    value: Arc<V>,
}

impl<K: Eq + Hash, V: Send + Sync + 'static> Cached<K, V> {
    /// An empty one for what depends on this topic alone, of at most so many values.
    pub fn new(topic: Topic, most: usize) -> Self {
        Self { topic, most, entries: Mutex::default() }
    }

    /// The value of the key; `read` reads a few rows of the topic's tables, if need be.
    ///
    /// # Errors
    /// What `read` answers; the database failed.
    pub async fn get<E, F>(&self, db: &Db, key: K, read: F) -> Result<Arc<V>, E>
    where
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<V, E> + Send + 'static,
    {
        let found = self.find(db, key, move |connection| read(connection).map(Some)).await?;
        found.ok_or_else(|| StoreError::Interrupted.into())
    }

    /// As [`Cached::get`], for what may not be there; that it is not there is not kept, since strangers ask for it.
    ///
    /// # Errors
    /// What `read` answers; the database failed.
    pub async fn find<E, F>(&self, db: &Db, key: K, read: F) -> Result<Option<Arc<V>>, E>
    where
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut DbConnection) -> Result<Option<V>, E> + Send + 'static,
    {
        let revision = db.revision(self.topic).await?;
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && entry.revision == revision
        {
            return Ok(Some(Arc::clone(&entry.value)));
        }
        let Some(value) = db.brief(read).await?.map(Arc::new) else { return Ok(None) };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.most && !entries.contains_key(&key) {
            entries.retain(|_, entry| entry.revision == revision);
            if entries.len() >= self.most {
                entries.clear();
            }
        }
        entries.insert(key, Entry { revision, value: Arc::clone(&value) });
        Ok(Some(value))
    }
}
