//! What may befall a service behind the broker's back.

use super::{Fault, Operation, Simulator};
use crate::{IntentTag, InterfaceTarget, MachineState};

impl Simulator {
    /// Makes the next `times` calls of `operation` fail in the given way, after those ordered before.
    pub fn inject(&self, operation: Operation, fault: Fault, times: usize) {
        let mut state = self.lock();
        let queue = state.behaviour.faults.entry(operation).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Makes a machine vanish.
    pub fn vanish(&self, tag: IntentTag) {
        self.lock().machines.retain(|_, machine| machine.spec.tag != tag);
    }

    /// Makes a volume vanish, out of its machine too.
    pub fn vanish_volume(&self, tag: IntentTag) {
        let mut state = self.lock();
        let gone: Vec<_> = state.volumes.extract_if(.., |_, volume| volume.spec.tag == tag).map(|(id, _)| id).collect();
        for machine in state.machines.values_mut() {
            machine.attachments.retain(|attachment| !gone.contains(&attachment.volume));
        }
    }

    /// Makes a network vanish, and all interfaces to it.
    pub fn vanish_network(&self, tag: IntentTag) {
        let mut state = self.lock();
        let gone: Vec<_> = state.networks.extract_if(.., |_, one| one.spec.tag == tag).map(|(id, _)| id).collect();
        let leads_nowhere =
            |target: &InterfaceTarget| matches!(target, InterfaceTarget::Network(id) if gone.contains(id));
        for machine in state.machines.values_mut() {
            machine.interfaces.retain(|interface| !leads_nowhere(&interface.target));
        }
    }

    /// Lets the guest switch itself off.
    pub fn guest_powers_off(&self, tag: IntentTag) {
        for machine in self.lock().machines.values_mut().filter(|machine| machine.spec.tag == tag) {
            machine.settle(MachineState::Stopped, "the guest switched off");
        }
    }

    /// Lets a machine fail.
    pub fn machine_fails(&self, tag: IntentTag, detail: &str) {
        for machine in self.lock().machines.values_mut().filter(|machine| machine.spec.tag == tag) {
            machine.settle(MachineState::Failed, detail);
        }
    }

    /// Lets a volume fail.
    pub fn volume_fails(&self, tag: IntentTag, detail: &str) {
        for volume in self.lock().volumes.values_mut().filter(|volume| volume.spec.tag == tag) {
            volume.fail(detail);
        }
    }

    /// Lets a network fail.
    pub fn network_fails(&self, tag: IntentTag, detail: &str) {
        for network in self.lock().networks.values_mut().filter(|network| network.spec.tag == tag) {
            network.fail(detail);
        }
    }
}
