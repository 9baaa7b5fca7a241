//! What may befall a service behind the broker's back.

use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, Operation, Simulator, machine::SimulatedMachine};
use crate::{BackendError, IntentTag, InterfaceTarget, MachineId, MachineSpec, MachineState};

impl Simulator {
    /// Makes the next `times` calls of `operation` fail in the given way, after those ordered before.
    pub fn inject(&self, operation: Operation, fault: Fault, times: usize) {
        let mut state = self.lock();
        let queue = state.behaviour.faults.entry(operation).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Gives every call this delay from now on.
    pub fn slow(&self, delay: Duration) {
        self.change(|behaviour| behaviour.delays.call = delay);
    }

    /// Does not accept the broker's credentials any more, or accepts them again.
    pub fn revoke_credentials(&self, revoked: bool) {
        self.change(|behaviour| behaviour.credentials_revoked = revoked);
    }

    /// Lets nobody connect, or everybody again. Calls under way go on.
    pub fn refuse_connections(&self, refused: bool) {
        self.change(|behaviour| behaviour.connections_refused = refused);
    }

    /// Ends what was ordered to go wrong: faults, slowness, lag, stale and spoiled lists, refusals. What
    /// has befallen objects stays.
    pub fn heal(&self) {
        self.forget_lists();
        self.change(|behaviour| {
            behaviour.faults.clear();
            behaviour.delays.call = Duration::ZERO;
            behaviour.listing_lag = Duration::ZERO;
            behaviour.unreadable_in_lists = 0;
            behaviour.credentials_revoked = false;
            behaviour.connections_refused = false;
        });
    }

    /// Makes a running machine that nobody asked for, whatever its image and size; another one each time.
    ///
    /// # Errors
    /// [`BackendError::Failed`] for a tag that makes no name, which none does.
    pub fn appear(&self, spec: MachineSpec) -> Result<MachineId, BackendError> {
        let now = Instant::now();
        Ok(self.lock().add_machine(spec, now, now)?.id)
    }

    /// Makes all machines with the tag vanish.
    pub fn vanish(&self, tag: IntentTag) {
        let mut state = self.lock();
        for id in state.machines.names(tag) {
            state.remove_machine(&id);
        }
    }

    /// Makes a volume vanish, out of its machine too.
    pub fn vanish_volume(&self, tag: IntentTag) {
        let mut state = self.lock();
        for id in state.volumes.names(tag) {
            state.remove_volume(&id);
        }
    }

    /// Makes a network vanish, and all interfaces to it.
    pub fn vanish_network(&self, tag: IntentTag) {
        let mut state = self.lock();
        for id in state.networks.names(tag) {
            state.networks.remove(&id);
            state.tell_of_network(&id);
            state.remove_interfaces_to(&InterfaceTarget::Network(id));
        }
    }

    /// Lets the guest switch itself off.
    pub fn guest_powers_off(&self, tag: IntentTag) {
        self.befall(tag, |machine| machine.settle(MachineState::Stopped, "the guest switched off"));
    }

    /// Lets a machine fail.
    pub fn machine_fails(&self, tag: IntentTag, detail: &str) {
        self.befall(tag, |machine| machine.settle(MachineState::Failed, detail));
    }

    /// Lets a running machine seem to fail after a period, to recover after another, and so on; no period ends it.
    pub fn machine_flaps(&self, tag: IntentTag, period: Duration) {
        self.befall(tag, |machine| machine.flap(period, Instant::now()));
    }

    /// Makes lists unable to show a machine, which is there all the same, or able again.
    pub fn garble(&self, tag: IntentTag, garbled: bool) {
        self.befall(tag, |machine| machine.garbled = garbled);
    }

    /// Lets a volume fail.
    pub fn volume_fails(&self, tag: IntentTag, detail: &str) {
        let mut state = self.lock();
        for id in state.volumes.names(tag) {
            if let Some(volume) = state.volumes.get_mut(&id) {
                volume.fail(detail);
                state.tell_of_volume(&id);
            }
        }
    }

    /// Lets a network fail.
    pub fn network_fails(&self, tag: IntentTag, detail: &str) {
        let mut state = self.lock();
        for id in state.networks.names(tag) {
            if let Some(network) = state.networks.get_mut(&id) {
                network.fail(detail);
                state.tell_of_network(&id);
            }
        }
    }

    fn befall(&self, tag: IntentTag, happening: impl Fn(&mut SimulatedMachine)) {
        let mut state = self.lock();
        for id in state.machines.names(tag) {
            if let Some(machine) = state.machines.get_mut(&id) {
                happening(machine);
                state.tell_of_machine(&id);
            }
        }
    }
}
