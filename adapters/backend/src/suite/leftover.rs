//! What the checks have made, and how it goes.

use super::{Violation, inspection::Inspection};
use crate::{AddressId, MachineId, NetworkId, SecurityGroupId, VolumeId};

/// What a check has made.
pub(super) enum Leftover {
    Machine(MachineId),
    Volume(VolumeId),
    Network(NetworkId),
    Address(AddressId),
    SecurityGroup(SecurityGroupId),
}

impl Inspection<'_> {
    /// Removes all that was made, the last first; the first failure is told in the end.
    pub(super) async fn clear(&mut self) -> Result<(), Violation> {
        let mut outcome = Ok(());
        while let Some(leftover) = self.left.pop() {
            let removed = self.remove(&leftover).await;
            outcome = outcome.and(removed);
        }
        outcome
    }

    async fn remove(&self, leftover: &Leftover) -> Result<(), Violation> {
        const CHECK: &str = "clearing up";
        let backend = self.backend();
        match leftover {
            Leftover::Machine(id) => self.ask(CHECK, backend.delete(id)).await,
            Leftover::Volume(id) => match backend.volumes() {
                Some(volumes) => self.ask_once_free(CHECK, || volumes.delete(id)).await,
                None => Ok(()),
            },
            Leftover::Network(id) => match backend.networks() {
                Some(networks) => self.ask_once_free(CHECK, || networks.delete(id)).await,
                None => Ok(()),
            },
            Leftover::Address(id) => match backend.addresses() {
                Some(addresses) => self.ask_once_free(CHECK, || addresses.release(id)).await,
                None => Ok(()),
            },
            Leftover::SecurityGroup(id) => match backend.security_groups() {
                Some(groups) => self.ask_once_free(CHECK, || groups.delete(id)).await,
                None => Ok(()),
            },
        }
    }
}
