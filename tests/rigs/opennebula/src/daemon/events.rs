//! What will happen, and when. Nothing runs in the background: each call first lets happen what is due.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::states::State;
use super::{Daemon, disks, images, interfaces, lifecycle, networks, scheduling};

/// Which action of the hypervisor's driver is to fail next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverAction {
    /// The start of a machine: it ends in `BOOT_FAILURE`.
    Deploy,
    /// The shutdown at a terminate: the machine is RUNNING again.
    Shutdown,
    /// The attachment of a disk: the disk is gone again.
    AttachDisk,
}

/// One thing that will happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A machine comes into a state, and something is done with it.
    Machine(i32, State, Effect),
    /// A machine is placed on a host.
    Placement(i32),
    /// A network becomes READY.
    NetworkReady(i32),
    /// A deleted network disappears.
    NetworkGone(i32),
    /// An image without download becomes READY.
    ImageReady(i32),
    /// A host is monitored.
    HostMonitored(i32),
}

/// What a machine's transition does besides changing its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The hypervisor starts the machine; this may fail.
    Deploy,
    /// The hypervisor stops the machine for good; this may fail.
    Shutdown,
    /// Everything that the machine held is given back.
    Release,
    /// The capacity on the host is given back.
    Undeploy,
    /// A disk is attached; this may fail.
    AttachDisk(i32),
    /// A disk is detached.
    DetachDisk(i32),
    /// An interface is detached.
    DetachInterface(i32),
    /// A disk has been saved as an image.
    Saved(i32),
}

/// One thing that will happen, at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    due: Instant,
    sequence: u64,
    happening: Happening,
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first; we want the earliest.
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Daemon {
    /// Plans something, counted from the moment of what happens now.
    pub(crate) fn plan(&mut self, after: Duration, happening: Happening) {
        self.sequence += 1;
        self.events.push(Event { due: self.moment + after, sequence: self.sequence, happening });
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self) {
        let now = Instant::now();
        while self.events.peek().is_some_and(|e| e.due <= now) {
            self.next();
        }
        self.moment = now;
    }

    /// Lets everything happen that is planned, without waiting for it. Machines that cannot be placed stay PENDING.
    pub(crate) fn settle(&mut self) {
        let mut placements = 0;
        while let Some(event) = self.events.peek() {
            // An unplaceable machine plans its next attempt for ever.
            if matches!(event.happening, Happening::Placement(_)) {
                placements += 1;
                if placements > 2 * (self.events.len() + 1) {
                    break;
                }
            }
            self.next();
        }
        self.moment = Instant::now();
    }

    /// Lets happen at once what is planned next for one machine, and says whether there was something.
    pub(crate) fn hurry(&mut self, machine: i32) -> bool {
        let (mut own, other): (Vec<_>, Vec<_>) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(|e| matches!(e.happening, Happening::Machine(id, ..) if id == machine));
        self.events.extend(other);
        own.sort_by_key(|e| (e.due, e.sequence));
        let found = !own.is_empty();
        let mut own = own.into_iter();
        if let Some(first) = own.next() {
            self.moment = Instant::now();
            self.happen(first.happening);
        }
        self.events.extend(own);
        found
    }

    /// Lets happen at once what is planned next for one machine, its placement too, and says whether there was
    /// something.
    pub(crate) fn step(&mut self, machine: i32) -> bool {
        let placement = |e: &Event| matches!(e.happening, Happening::Placement(id) if id == machine);
        if self.events.iter().any(placement) {
            self.events.retain(|e| !placement(e));
            self.moment = Instant::now();
            self.happen(Happening::Placement(machine));
            return true;
        }
        self.hurry(machine)
    }

    /// Forgets what was planned for a machine.
    pub(crate) fn forget(&mut self, machine: i32) {
        self.events.retain(|e| match e.happening {
            Happening::Machine(id, ..) | Happening::Placement(id) => id != machine,
            _ => true,
        });
    }

    /// Whether a failure of this driver action was ordered; it is used up.
    pub(crate) fn driver_fails(&mut self, action: DriverAction) -> bool {
        match self.driver_failures.iter().position(|a| *a == action) {
            Some(at) => {
                self.driver_failures.remove(at);
                true
            }
            None => false,
        }
    }

    fn next(&mut self) {
        if let Some(event) = self.events.pop() {
            self.moment = event.due;
            self.happen(event.happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Machine(id, state, effect) => self.transition(id, state, &effect),
            Happening::Placement(id) => scheduling::place(self, id),
            Happening::NetworkReady(id) => networks::ready(self, id),
            Happening::NetworkGone(id) => networks::gone(self, id),
            Happening::ImageReady(id) => images::ready(self, id),
            Happening::HostMonitored(id) => {
                if let Some(host) = self.hosts.get_mut(id) {
                    host.monitored();
                }
            }
        }
    }

    fn transition(&mut self, id: i32, state: State, effect: &Effect) {
        let mut state = state;
        match effect {
            Effect::Deploy if self.driver_fails(DriverAction::Deploy) => {
                self.forget(id);
                state = State::BOOT_FAILURE;
                scheduling::deployment_failed(self, id);
            }
            Effect::Shutdown if self.driver_fails(DriverAction::Shutdown) => {
                self.forget(id);
                state = State::RUNNING;
                lifecycle::shutdown_failed(self, id);
            }
            _ => {}
        }
        let Some(machine) = self.machines.get_mut(id) else { return };
        machine.enter(state);
        match effect {
            Effect::None | Effect::Shutdown => {}
            Effect::Deploy => machine.started(),
            Effect::Release => lifecycle::release(self, id),
            Effect::Undeploy => lifecycle::leave_host(self, id),
            Effect::AttachDisk(disk) => disks::attached(self, id, *disk),
            Effect::DetachDisk(disk) => disks::detached(self, id, *disk),
            Effect::DetachInterface(interface) => interfaces::detached(self, id, *interface),
            Effect::Saved(image) => images::ready(self, *image),
        }
    }
}
