//! What the simulator tells of by itself.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    sync::broadcast::{self, Receiver, Sender, error::RecvError},
    time::{Instant, sleep_until},
};

use super::{Operation, Simulator, State};
use crate::{BackendError, Capability, Change, Events, MachineId, NetworkId, VolumeId};

/// How many changes a slow listener may be behind before some are lost to it.
const MOST_BEHIND: usize = 1024;

/// Something has changed, and will perhaps change once more by the clock alone.
#[derive(Clone)]
struct Told {
    change: Change,
    again_at: Option<Instant>,
}

pub(super) struct Changes(Sender<Told>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(MOST_BEHIND).0)
    }
}

impl Changes {
    fn tell(&self, change: Change, again_at: Option<Instant>) {
        // Nobody may be listening.
        let _ = self.0.send(Told { change, again_at });
    }
}

impl State {
    pub(super) fn tell_of_machine(&self, id: &MachineId) {
        let arrival = self.machines.get(id).and_then(|machine| machine.arrival());
        self.changes.tell(Change::Machine(id.clone()), arrival);
    }

    pub(super) fn tell_of_volume(&self, id: &VolumeId) {
        let arrival = self.volumes.get(id).and_then(|volume| volume.arrival());
        self.changes.tell(Change::Volume(id.clone()), arrival);
    }

    pub(super) fn tell_of_network(&self, id: &NetworkId) {
        let arrival = self.networks.get(id).and_then(|network| network.arrival());
        self.changes.tell(Change::Network(id.clone()), arrival);
    }
}

/// A listener, and what is to be told by the clock.
struct Following {
    told: Receiver<Told>,
    /// Numbered, since a change has no order.
    later: BTreeSet<(Instant, u64)>,
    changes: std::collections::BTreeMap<u64, Change>,
    number: u64,
}

impl Following {
    async fn next(&mut self) -> Option<Change> {
        let due = self.later.first().copied();
        let told = match due {
            None => self.told.recv().await,
            Some((at, number)) => tokio::select! {
                told = self.told.recv() => told,
                () = sleep_until(at) => {
                    self.later.pop_first();
                    return Some(self.changes.remove(&number).unwrap_or(Change::Lost));
                }
            },
        };
        match told {
            Ok(Told { change, again_at }) => {
                if let Some(at) = again_at.filter(|_| self.later.len() < MOST_BEHIND) {
                    self.number += 1;
                    self.later.insert((at, self.number));
                    self.changes.insert(self.number, change.clone());
                }
                Some(change)
            }
            Err(RecvError::Lagged(_)) => Some(Change::Lost),
            Err(RecvError::Closed) => None,
        }
    }
}

#[async_trait]
impl Events for Simulator {
    async fn follow(&self) -> Result<BoxStream<'static, Result<Change, BackendError>>, BackendError> {
        let follow = |state: &mut State, _| {
            state.behaviour.must(Capability::Events)?;
            let told = state.changes.0.subscribe();
            Ok(Following { told, later: BTreeSet::new(), changes: Default::default(), number: 0 })
        };
        let following = self.perform(Operation::FollowEvents, follow).await?;
        let changes = stream::unfold(following, |mut following| async {
            let change = following.next().await?;
            Some((Ok(change), following))
        });
        Ok(changes.boxed())
    }
}
