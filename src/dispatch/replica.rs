//! This process among those that share the database: its beat, and its right to work.
//!
//! What holds, whatever the clocks of hosts and database say:
//! - a replica works only while its own last beat is younger than [`OWN_TERM`], by its monotonic clock;
//! - others bury it only when its beat has stood still for [`TERM`], by theirs; [`TERM`] is longer, so that who is
//!   buried has stopped before. A process that was stopped in between finds its term over when it wakes;
//! - who was buried gets a new name, and with it none of the rights of the old one: the fences of what it held were
//!   raised.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::site::Sites;
use crate::{
    measured,
    store::{
        Db, StoreError,
        replica::{self, Beat},
    },
};

const BEAT: Duration = Duration::from_millis(1500);
/// For how long a beat gives the right to work.
const OWN_TERM: Duration = Duration::from_secs(6);
/// For how long a beat has to stand still until others bury its replica.
const TERM: Duration = Duration::from_secs(9);

/// The right to work, until it is lost. Clones are the same right.
#[derive(Clone)]
pub struct Right {
    /// The name under which sagas are held.
    pub replica: Arc<str>,
    /// Cancelled when it is lost.
    pub lost: CancellationToken,
    until: Arc<RwLock<Instant>>,
}

impl Right {
    fn new() -> Self {
        Self {
            replica: Uuid::now_v7().to_string().into(),
            lost: CancellationToken::new(),
            until: Arc::new(RwLock::new(Instant::now())),
        }
    }

    /// Whether it holds at this moment.
    pub fn holds(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < *self.until.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        *self.until.write().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// This process.
pub struct Replica {
    db: Db,
    sites: Sites,
    right: RwLock<Option<Right>>,
    watched: RwLock<BTreeSet<String>>,
}

impl Replica {
    /// A process that may watch these sites. It has no right before its first beat.
    pub fn new(db: Db, sites: Sites) -> Self {
        Self { db, sites, right: RwLock::default(), watched: RwLock::default() }
    }

    /// The right to work, if there is one at this moment.
    pub fn right(&self) -> Option<Right> {
        self.right.read().unwrap_or_else(PoisonError::into_inner).clone().filter(Right::holds)
    }

    /// Whether it is this replica that compares the site with what is remembered.
    pub fn watches(&self, site: &str) -> bool {
        self.right().is_some() && self.watched.read().unwrap_or_else(PoisonError::into_inner).contains(site)
    }

    /// Whether nobody else could watch any of these sites, and no other one is watched.
    fn watches_all(&self, sites: &[String]) -> bool {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        !watched.is_empty() && watched.iter().eq(sites)
    }

    /// Beats until the token is cancelled, then gives everything back. `changed` is called whenever there may be more to
    /// do than before.
    pub async fn live(&self, shutdown: &CancellationToken, changed: impl Fn()) {
        let mut others = Others::default();
        while !shutdown.is_cancelled() {
            match self.beat(&mut others).await {
                Ok(true) => changed(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "no beat: the database does not take it");
                    self.give_up_if_over();
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    /// Gives everything back: others need not wait.
    pub async fn leave(&self) {
        let right = self.right.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(right) = right else { return };
        right.lost.cancel();
        let left = self.db.write_locking(move |connection| replica::leave(connection, &right.replica)).await;
        if let Err(error) = left {
            tracing::warn!(%error, "what this replica held could not be given back; others take it in a while");
        }
    }

    /// One beat; answers whether there is something new to work on.
    async fn beat(&self, others: &mut Others) -> Result<bool, StoreError> {
        let right = self.right.read().unwrap_or_else(PoisonError::into_inner).clone();
        let right = match right {
            Some(right) if right.holds() => right,
            Some(over) => {
                // Late: what it held may be another's by now, and is given back where it is not.
                self.lose(&over);
                let name = Arc::clone(&over.replica);
                self.db.write_locking(move |connection| replica::leave(connection, &name)).await?;
                tracing::warn!(replica = %over.replica, "this replica was silent for too long, and begins anew");
                self.begin().await?
            }
            None => self.begin().await?,
        };
        let sites = self.sites.names();
        if !self.db.is_shared() && self.watches_all(&sites) {
            // A file has one server, which its data directory's lock keeps; a beat that nobody hears is worth no write.
            right.extend(Instant::now() + OWN_TERM);
            return Ok(false);
        }
        // Counted from before the beat: that is when others may begin to count.
        let began = Instant::now();
        let name = Arc::clone(&right.replica);
        let (known, beats, watched) = self
            .db
            .write_locking(move |connection| {
                let known = replica::beat(connection, &name)?;
                let mut watched = BTreeSet::new();
                if known {
                    replica::watch_only(connection, &name, &sites)?;
                }
                for site in sites.iter().filter(|_| known) {
                    if replica::watch(connection, &name, site)? {
                        watched.insert(site.clone());
                    }
                }
                Ok((known, replica::beats(connection)?, watched))
            })
            .await?;
        if !known {
            tracing::warn!(replica = %right.replica, "this replica was taken for dead, and begins anew");
            self.lose(&right);
            return Ok(false);
        }
        right.extend(began + OWN_TERM);
        metrics::gauge!(measured::REPLICAS).set(u32::try_from(beats.len()).unwrap_or(u32::MAX));
        *self.watched.write().unwrap_or_else(PoisonError::into_inner) = watched;
        let mut taken = self.db.write_locking(replica::release_unowned).await?;
        for dead in others.dead(&beats, &right.replica, Instant::now()) {
            let buried = {
                let dead = dead.clone();
                self.db.write_locking(move |connection| replica::bury(connection, &dead)).await?
            };
            if let Some(sagas) = buried {
                tracing::warn!(replica = %dead.replica, sagas, "a replica is dead; others go on with what it held");
                taken += sagas;
            }
        }
        Ok(taken > 0)
    }

    async fn begin(&self) -> Result<Right, StoreError> {
        let right = Right::new();
        let name = Arc::clone(&right.replica);
        let began = Instant::now();
        self.db.write_locking(move |connection| replica::register(connection, &name)).await?;
        right.extend(began + OWN_TERM);
        *self.right.write().unwrap_or_else(PoisonError::into_inner) = Some(right.clone());
        Ok(right)
    }

    fn give_up_if_over(&self) {
        let right = self.right.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(right) = right.filter(|right| !right.holds()) {
            right.lost.cancel();
        }
    }

    fn lose(&self, right: &Right) {
        right.lost.cancel();
        self.right.write().unwrap_or_else(PoisonError::into_inner).take();
        self.watched.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Since when the beats of others stand still.
#[derive(Default)]
struct Others(BTreeMap<String, (i64, Instant)>);

impl Others {
    /// Those whose beat stands still for too long.
    fn dead(&mut self, beats: &[Beat], own: &str, now: Instant) -> Vec<Beat> {
        let known = std::mem::take(&mut self.0);
        let mut dead = Vec::new();
        for beat in beats.iter().filter(|beat| beat.replica != own) {
            let since = match known.get(&beat.replica) {
                Some((count, since)) if *count == beat.count => *since,
                _ => now,
            };
            if now.duration_since(since) >= TERM {
                dead.push(beat.clone());
            }
            self.0.insert(beat.replica.clone(), (beat.count, since));
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_beat_that_stands_still_is_dead() {
        let start = Instant::now();
        let mut others = Others::default();
        let beat = |replica: &str, count| Beat { replica: replica.into(), count };
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(others.dead(&[beat("a", 1), beat("b", 1), beat("me", 1)], "me", at(0)).is_empty());
        assert!(others.dead(&[beat("a", 2), beat("b", 1), beat("me", 1)], "me", at(8)).is_empty());
        let dead = others.dead(&[beat("a", 3), beat("b", 1), beat("me", 1)], "me", at(9));
        assert_eq!(dead, [beat("b", 1)], "nobody is dead because this replica itself was asleep, nor it itself");
        assert!(others.dead(&[beat("a", 3)], "me", at(10)).is_empty(), "counted from when it was seen");
        assert_eq!(others.dead(&[beat("a", 3)], "me", at(18)), [beat("a", 3)]);
        assert!(OWN_TERM + BEAT < TERM, "who is buried has stopped before");
    }
}
