//! Hysteresis: who changes his mind often is believed slowly.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::store::entity::{EntityId, EntityState};

/// For how long a change of mind is held against a machine.
const MEMORY: Duration = Duration::from_secs(600);
/// Most rounds that a machine has to say the same.
const MOST_ROUNDS: u32 = 120;

/// What is doubted at a site.
#[derive(Default)]
pub struct Doubts(BTreeMap<EntityId, Doubt>);

#[derive(Default)]
struct Doubt {
    said: Option<(EntityState, u32)>,
    changes: Vec<Instant>,
}

impl Doubts {
    /// Whether it is to be believed that the machine's state is this other one now, having been said once more.
    pub fn believe(&mut self, id: EntityId, from: EntityState, to: EntityState, now: Instant) -> bool {
        let doubt = self.0.entry(id).or_default();
        let times = match doubt.said {
            Some((said, times)) if said == to => times + 1,
            _ => 1,
        };
        doubt.said = Some((to, times));
        doubt.changes.retain(|change| now.duration_since(*change) < MEMORY);
        // A failure, and the end of one, is said twice before it is believed.
        let grave = from == EntityState::Error || to == EntityState::Error;
        let doublings = u32::try_from(doubt.changes.len()).unwrap_or(u32::MAX).min(16) + u32::from(grave);
        if times < (1 << doublings).min(MOST_ROUNDS) {
            return false;
        }
        true
    }

    /// The machine was believed, and its state written down.
    pub fn changed(&mut self, id: EntityId, now: Instant) {
        let doubt = self.0.entry(id).or_default();
        doubt.changes.push(now);
        doubt.said = None;
    }

    /// The machine says what is known.
    pub fn agree(&mut self, id: EntityId) {
        if let Some(doubt) = self.0.get_mut(&id) {
            doubt.said = None;
            if doubt.changes.is_empty() {
                self.0.remove(&id);
            }
        }
    }

    /// Forgets those of long ago.
    pub fn forget(&mut self, now: Instant) {
        self.0.retain(|_, doubt| {
            doubt.changes.retain(|change| now.duration_since(*change) < MEMORY);
            doubt.said.is_some() || !doubt.changes.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_stop_is_believed_at_once_and_a_failure_when_it_is_said_twice() {
        let (mut doubts, id, now) = (Doubts::default(), EntityId(Uuid::nil()), Instant::now());
        assert!(doubts.believe(id, EntityState::Active, EntityState::Inactive, now));
        let id = EntityId(Uuid::max());
        assert!(!doubts.believe(id, EntityState::Active, EntityState::Error, now));
        doubts.agree(id);
        assert!(!doubts.believe(id, EntityState::Active, EntityState::Error, now), "said once more, not twice");
        assert!(doubts.believe(id, EntityState::Active, EntityState::Error, now));
    }

    #[test]
    fn who_flaps_is_believed_ever_more_slowly_and_forgiven_in_the_end() {
        let (mut doubts, id, start) = (Doubts::default(), EntityId(Uuid::nil()), Instant::now());
        let (mut state, mut believed) = (EntityState::Active, 0);
        // Every round another state, for an hour of rounds within ten minutes.
        for round in 0..3600 {
            let now = start + Duration::from_millis(round * 160);
            let said = if round % 2 == 0 { EntityState::Error } else { EntityState::Active };
            if said == state {
                doubts.agree(id);
            } else if doubts.believe(id, state, said, now) {
                doubts.changed(id, now);
                (state, believed) = (said, believed + 1);
            }
        }
        assert_eq!(believed, 0, "nothing is ever said twice in a row");
        for round in 0..3600 {
            let now = start + Duration::from_millis(round * 160);
            let said = if round / 8 % 2 == 0 { EntityState::Error } else { EntityState::Active };
            if said == state {
                doubts.agree(id);
            } else if doubts.believe(id, state, said, now) {
                doubts.changed(id, now);
                (state, believed) = (said, believed + 1);
            }
        }
        assert!((1..=3).contains(&believed), "{believed}");
        let later = start + Duration::from_secs(3600);
        doubts.forget(later);
        assert!(doubts.believe(id, EntityState::Active, EntityState::Inactive, later));
    }
}
