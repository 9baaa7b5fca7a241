//! Orders to a simulator, as data: for tests that stand in another process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Delays, Fault, Operation, Simulator};
use crate::{BackendError, IntentTag, MachineSpec};

/// What a simulator can be told; each does what the method of [`Simulator`] with its name does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "fields are the parameters of the methods")]
pub enum Command {
    Inject {
        operation: Operation,
        fault: Fault,
        times: usize,
    },
    Slow(Duration),
    /// Replaces all delays.
    Delays(Delays),
    /// See [`super::Behaviour::idempotent_create`].
    IdempotentCreate(bool),
    /// See [`super::Behaviour::listing_lag`].
    ListingLag(Duration),
    RememberLists,
    StaleLists(usize),
    SpoilLists(usize),
    Garble {
        tag: IntentTag,
        garbled: bool,
    },
    MachineFlaps {
        tag: IntentTag,
        period: Duration,
    },
    Appear(Box<MachineSpec>),
    RevokeCredentials(bool),
    RefuseConnections(bool),
    Heal,
    Vanish(IntentTag),
    VanishVolume(IntentTag),
    VanishNetwork(IntentTag),
    GuestPowersOff(IntentTag),
    MachineFails {
        tag: IntentTag,
        detail: String,
    },
    VolumeFails {
        tag: IntentTag,
        detail: String,
    },
    NetworkFails {
        tag: IntentTag,
        detail: String,
    },
}

/// A command from elsewhere may ask for this many faults at once.
const MOST_FAULTS: usize = 1_000_000;

impl Simulator {
    /// Does what it is told.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for more faults at once than anybody needs; as [`Simulator::appear`].
    pub fn obey(&self, command: Command) -> Result<(), BackendError> {
        match command {
            Command::Inject { times, .. } if times > MOST_FAULTS => {
                return Err(BackendError::Refused(format!("{times} faults are more than {MOST_FAULTS}")));
            }
            Command::Inject { operation, fault, times } => self.inject(operation, fault, times),
            Command::Slow(delay) => self.slow(delay),
            Command::Delays(delays) => self.change(|behaviour| behaviour.delays = delays),
            Command::IdempotentCreate(is) => self.change(|behaviour| behaviour.idempotent_create = is),
            Command::ListingLag(lag) => self.change(|behaviour| behaviour.listing_lag = lag),
            Command::RememberLists => self.remember_lists(),
            Command::StaleLists(count) => self.stale_lists(count),
            Command::SpoilLists(count) => self.spoil_lists(count),
            Command::Garble { tag, garbled } => self.garble(tag, garbled),
            Command::MachineFlaps { tag, period } => self.machine_flaps(tag, period),
            Command::Appear(spec) => drop(self.appear(*spec)?),
            Command::RevokeCredentials(revoked) => self.revoke_credentials(revoked),
            Command::RefuseConnections(refused) => self.refuse_connections(refused),
            Command::Heal => self.heal(),
            Command::Vanish(tag) => self.vanish(tag),
            Command::VanishVolume(tag) => self.vanish_volume(tag),
            Command::VanishNetwork(tag) => self.vanish_network(tag),
            Command::GuestPowersOff(tag) => self.guest_powers_off(tag),
            Command::MachineFails { tag, detail } => self.machine_fails(tag, &detail),
            Command::VolumeFails { tag, detail } => self.volume_fails(tag, &detail),
            Command::NetworkFails { tag, detail } => self.network_fails(tag, &detail),
        }
        Ok(())
    }
}
