//! How many streams are open, and whose.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{measured, store::member::ProjectId};

/// Most streams of one project: a class room with a browser each, twice.
const MOST_OF_ONE: usize = 64;
/// Most streams of all.
const MOST: usize = 1024;

/// Those who follow events at present.
#[derive(Default)]
pub struct Consumers(Mutex<HashMap<ProjectId, usize>>);

/// A place among them, free again when it is dropped.
pub struct Place {
    consumers: Arc<Consumers>,
    project: ProjectId,
}

impl Consumers {
    /// One more of this project, if there is a place.
    pub fn admit(self: Arc<Self>, project: ProjectId) -> Option<Place> {
        let mut open = self.open();
        let (of_project, all) = (open.get(&project).copied().unwrap_or(0), open.values().sum::<usize>());
        if of_project >= MOST_OF_ONE || all >= MOST {
            return None;
        }
        open.insert(project, of_project + 1);
        drop(open);
        metrics::gauge!(measured::EVENT_STREAMS).increment(1);
        Some(Place { consumers: self, project })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ProjectId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.consumers.open();
        match open.get_mut(&self.project) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.project);
            }
        }
        metrics::gauge!(measured::EVENT_STREAMS).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn neither_one_project_nor_all_together_open_more_than_there_is_room_for() {
        let consumers = Arc::new(Consumers::default());
        let admit = |project| Arc::clone(&consumers).admit(project);
        let greedy = ProjectId(Uuid::from_u128(0));
        let mut places: Vec<Place> = (0..MOST_OF_ONE).map(|_| admit(greedy).unwrap()).collect();
        assert!(admit(greedy).is_none());
        let others = (1..).map(|number| ProjectId(Uuid::from_u128(number)));
        places.extend(others.take(MOST - MOST_OF_ONE).map(|project| admit(project).unwrap()));
        let late = ProjectId(Uuid::from_u128(u128::MAX));
        assert!(admit(late).is_none());
        places.remove(0);
        assert!(admit(late).is_some());
        assert!(admit(greedy).is_some());
        places.clear();
        assert!(consumers.open().is_empty(), "nothing is kept of those who went");
    }
}
