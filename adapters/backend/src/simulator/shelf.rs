//! All simulated objects of one kind, found by name and by tag without a search.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use tokio::time::Instant;

use crate::{BackendError, IntentTag, InvalidName};

/// What stands on a shelf.
pub(super) trait Object {
    type Id: Ord + Clone + Display + TryFrom<String, Error = InvalidName>;

    /// What its names begin with.
    const PREFIX: &'static str;

    fn tag(&self) -> IntentTag;
}

/// Names follow from tags: all objects of one tag stand side by side.
pub(super) struct Shelf<T: Object> {
    kept: BTreeMap<T::Id, Kept<T>>,
}

struct Kept<T> {
    made: Instant,
    object: T,
}

impl<T: Object> Default for Shelf<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new() }
    }
}

impl<T: Object> Shelf<T> {
    pub(super) fn get(&self, id: &T::Id) -> Option<&T> {
        self.kept.get(id).map(|kept| &kept.object)
    }

    pub(super) fn get_mut(&mut self, id: &T::Id) -> Option<&mut T> {
        self.kept.get_mut(id).map(|kept| &mut kept.object)
    }

    pub(super) fn insert(&mut self, id: T::Id, object: T, made: Instant) {
        self.kept.insert(id, Kept { made, object });
    }

    pub(super) fn remove(&mut self, id: &T::Id) -> Option<T> {
        self.kept.remove(id).map(|kept| kept.object)
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&T::Id, &T)> {
        self.kept.iter().map(|(id, kept)| (id, &kept.object))
    }

    /// Those that the service shows: not what was made less than `lag` ago.
    pub(super) fn shown(&self, now: Instant, lag: Duration) -> impl Iterator<Item = &T> {
        self.kept.values().filter(move |kept| kept.is_shown(now, lag)).map(|kept| &kept.object)
    }

    /// The oldest one of a tag that the service shows.
    pub(super) fn find(&self, tag: IntentTag, now: Instant, lag: Duration) -> Result<Option<&T>, BackendError> {
        let shown = self.of(tag)?.filter(|(_, kept)| kept.is_shown(now, lag));
        Ok(shown.min_by_key(|(_, kept)| kept.made).map(|(_, kept)| &kept.object))
    }

    /// The oldest one of a tag, shown or not.
    pub(super) fn oldest(&self, tag: IntentTag) -> Result<Option<&T>, BackendError> {
        Ok(self.of(tag)?.min_by_key(|(_, kept)| kept.made).map(|(_, kept)| &kept.object))
    }

    /// The names of all of a tag.
    pub(super) fn names(&self, tag: IntentTag) -> Vec<T::Id> {
        // A name that cannot be is the name of nothing.
        self.of(tag).map(|all| all.map(|(id, _)| id.clone()).collect()).unwrap_or_default()
    }

    /// A name for one more of a tag: `sim-TAG`, `sim-TAG-2`, …
    pub(super) fn fresh_name(&self, tag: IntentTag) -> Result<T::Id, BackendError> {
        let mut id = name::<T>(tag, "")?;
        let mut number = 2_u64;
        while self.kept.contains_key(&id) {
            id = name::<T>(tag, &format!("-{number}"))?;
            number += 1;
        }
        Ok(id)
    }

    fn of(&self, tag: IntentTag) -> Result<impl Iterator<Item = (&T::Id, &Kept<T>)>, BackendError> {
        let first = name::<T>(tag, "")?;
        Ok(self.kept.range(first..).take_while(move |(_, kept)| kept.object.tag() == tag))
    }
}

impl<T> Kept<T> {
    fn is_shown(&self, now: Instant, lag: Duration) -> bool {
        now.saturating_duration_since(self.made) >= lag
    }
}

fn name<T: Object>(tag: IntentTag, suffix: &str) -> Result<T::Id, BackendError> {
    let name = format!("{}-{tag}{suffix}", T::PREFIX);
    name.try_into().map_err(|error: InvalidName| BackendError::Failed(error.to_string()))
}
