//! What the service lists, which may be late, stale or spoiled.

use tokio::time::Instant;

use super::{Simulator, State};
use crate::{Listing, Machine, Network, Volume};

/// A list as it once was, and how often it is still to be told.
pub(super) struct StaleList<T> {
    remembered: Option<Listing<T>>,
    left: usize,
}

impl<T> Default for StaleList<T> {
    fn default() -> Self {
        Self { remembered: None, left: 0 }
    }
}

impl<T: Clone> StaleList<T> {
    fn next(&mut self) -> Option<Listing<T>> {
        self.left = self.left.checked_sub(1)?;
        self.remembered.clone()
    }
}

impl State {
    pub(super) fn list_machines(&mut self, now: Instant) -> Listing<Machine> {
        self.stale_machines.next().unwrap_or_else(|| self.machines_now(now))
    }

    pub(super) fn list_volumes(&mut self, now: Instant) -> Listing<Volume> {
        self.stale_volumes.next().unwrap_or_else(|| self.volumes_now(now))
    }

    pub(super) fn list_networks(&mut self, now: Instant) -> Listing<Network> {
        self.stale_networks.next().unwrap_or_else(|| self.networks_now(now))
    }

    fn machines_now(&self, now: Instant) -> Listing<Machine> {
        let mut listing = Listing::default();
        for machine in self.machines.shown(now, self.behaviour.listing_lag) {
            if machine.garbled {
                listing.note_unreadable("a machine that was garbled to order");
            } else {
                listing.objects.push(machine.facts(now));
            }
        }
        self.spoil(listing)
    }

    fn volumes_now(&self, now: Instant) -> Listing<Volume> {
        self.spoil(self.volumes.shown(now, self.behaviour.listing_lag).map(|volume| volume.facts(now)).collect())
    }

    fn networks_now(&self, now: Instant) -> Listing<Network> {
        self.spoil(self.networks.shown(now, self.behaviour.listing_lag).map(|network| network.facts(now)).collect())
    }

    fn spoil<T>(&self, mut listing: Listing<T>) -> Listing<T> {
        for index in 0..self.behaviour.unreadable_in_lists {
            listing.note_unreadable(format_args!("object {index} was spoiled to order"));
        }
        listing
    }

    fn remember_lists(&mut self, now: Instant) {
        self.stale_machines.remembered = Some(self.machines_now(now));
        self.stale_volumes.remembered = Some(self.volumes_now(now));
        self.stale_networks.remembered = Some(self.networks_now(now));
    }
}

impl Simulator {
    /// Keeps in mind what the lists are at this moment, for [`Simulator::stale_lists`].
    pub fn remember_lists(&self) {
        self.lock().remember_lists(Instant::now());
    }

    /// Makes the next `count` lists of each kind of object say what was remembered last; where nothing was, what is so
    /// at this moment.
    pub fn stale_lists(&self, count: usize) {
        let mut state = self.lock();
        if state.stale_machines.remembered.is_none() {
            state.remember_lists(Instant::now());
        }
        state.stale_machines.left = count;
        state.stale_volumes.left = count;
        state.stale_networks.left = count;
    }

    pub(super) fn forget_lists(&self) {
        let mut state = self.lock();
        state.stale_machines = StaleList::default();
        state.stale_volumes = StaleList::default();
        state.stale_networks = StaleList::default();
    }

    /// Adds `count` entries to every list that cannot be read; 0 ends it.
    pub fn spoil_lists(&self, count: usize) {
        self.change(|behaviour| behaviour.unreadable_in_lists = count);
    }
}
