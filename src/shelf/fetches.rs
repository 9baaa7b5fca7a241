use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::store::member::ProjectId;

/// Most images that are fetched at once by all together. Each takes a thread now and then, and some MiB.
const MOST: usize = 256;
/// Most of these that strangers have. They must not keep sites and members from what they need.
const MOST_OF_STRANGERS: usize = 128;

/// As whom somebody who fetches is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fetcher {
    /// A site's backend.
    Site(String),
    /// The members of a project.
    Project(ProjectId),
    /// Strangers of this address.
    Stranger(IpAddr),
}

/// Those who fetch images at present.
pub struct Fetches {
    most_of_one: usize,
    open: Mutex<HashMap<Fetcher, usize>>,
}

/// A place among them, free again when it is dropped.
pub struct Place {
    fetches: Arc<Fetches>,
    fetcher: Fetcher,
}

impl Fetches {
    /// With so many places for each.
    pub fn new(most_of_one: usize) -> Self {
        Self { most_of_one, open: Mutex::default() }
    }

    /// One more of them, if there is a place.
    pub fn admit(self: Arc<Self>, fetcher: Fetcher) -> Option<Place> {
        let mut open = self.open();
        let (of_one, all) = (open.get(&fetcher).copied().unwrap_or(0), open.values().sum::<usize>());
        let is_stranger = |fetcher: &Fetcher| matches!(fetcher, Fetcher::Stranger(_));
        let of_strangers = || open.iter().filter(|(one, _)| is_stranger(one)).map(|(_, count)| count).sum::<usize>();
        if of_one >= self.most_of_one || all >= MOST || (is_stranger(&fetcher) && of_strangers() >= MOST_OF_STRANGERS) {
            return None;
        }
        open.insert(fetcher.clone(), of_one + 1);
        drop(open);
        Some(Place { fetches: self, fetcher })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Fetcher, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.fetches.open();
        match open.get_mut(&self.fetcher) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.fetcher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn neither_one_nor_all_together_fetch_more_than_there_is_room_for() {
        let fetches = Arc::new(Fetches::new(16));
        let admit = |fetcher| Arc::clone(&fetches).admit(fetcher);
        let greedy = || Fetcher::Site("lab".into());
        let mut places: Vec<Place> = (0..16).map(|_| admit(greedy()).unwrap()).collect();
        assert!(admit(greedy()).is_none());
        let strangers = (0..128).map(|number| Fetcher::Stranger(Ipv4Addr::from_bits(number).into()));
        places.extend(strangers.map(|stranger| admit(stranger).unwrap()));
        assert!(admit(Fetcher::Stranger(Ipv4Addr::BROADCAST.into())).is_none(), "the others' places are kept free");
        let sites = (0..112).map(|number| Fetcher::Site(number.to_string()));
        places.extend(sites.map(|site| admit(site).unwrap()));
        let late = || Fetcher::Site("late".into());
        assert!(admit(late()).is_none());
        places.remove(0);
        let place = admit(late());
        assert!(place.is_some());
        drop(place);
        assert!(admit(greedy()).is_some());
        places.clear();
        assert!(fetches.open().is_empty(), "nothing is kept of those who went");
    }
}
