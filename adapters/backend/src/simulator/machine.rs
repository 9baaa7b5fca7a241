//! One simulated machine: what it does when it is asked, and what it seems to be.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Course, interfaces::PluggedInterface, shelf::Object, snapshots::SimulatedSnapshot};
use crate::{
    Attachment, BackendError, ConsoleKind, ConsoleTicket, Endpoint, IntentTag, Machine, MachineId, MachineSize,
    MachineSpec, MachineState, SaveMethod, SecurityGroupId, Snapshot, SnapshotId,
};

pub(super) struct SimulatedMachine {
    id: MachineId,
    /// As it was ordered, and since then resized.
    pub(super) spec: MachineSpec,
    course: Course<MachineState>,
    detail: Option<String>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) interfaces: Vec<PluggedInterface>,
    pub(super) security_groups: BTreeSet<SecurityGroupId>,
    pub(super) snapshots: Vec<SimulatedSnapshot>,
    /// Seems to fail and to recover; rare, so not to cost every machine its room.
    flapping: Option<Box<Flapping>>,
    /// Lists cannot show it.
    pub(super) garbled: bool,
}

struct Flapping {
    since: Instant,
    period: Duration,
}

impl Object for SimulatedMachine {
    type Id = MachineId;

    const PREFIX: &'static str = "sim";

    fn tag(&self) -> IntentTag {
        self.spec.tag
    }
}

impl SimulatedMachine {
    pub(super) fn building(id: MachineId, spec: MachineSpec, running_at: Instant) -> Self {
        Self {
            id,
            spec,
            course: Course::through(MachineState::Building, running_at, MachineState::Running),
            detail: None,
            attachments: Vec::new(),
            interfaces: Vec::new(),
            security_groups: BTreeSet::new(),
            snapshots: Vec::new(),
            flapping: None,
            garbled: false,
        }
    }

    /// What it is called at the moment, which is not always what it is.
    fn apparent(&self, now: Instant) -> (MachineState, Option<String>) {
        let state = self.course.at(now);
        let flapping = self.flapping.as_ref().filter(|_| state == MachineState::Running);
        let turns = flapping.map_or(0, |flapping| {
            now.saturating_duration_since(flapping.since).as_nanos() / flapping.period.as_nanos().max(1)
        });
        if turns % 2 == 1 {
            (MachineState::Failed, Some("it flaps to order".into()))
        } else {
            (state, self.detail.clone())
        }
    }

    /// Lets it seem to fail after a period, to recover after another, and so on; no period ends it.
    pub(super) fn flap(&mut self, period: Duration, now: Instant) {
        self.flapping = (!period.is_zero()).then(|| Box::new(Flapping { since: now, period }));
    }

    /// When it gets to where it goes; nothing if it stays where it is.
    pub(super) fn arrival(&self) -> Option<Instant> {
        self.course.arrival.map(|(at, _)| at)
    }

    pub(super) fn facts(&self, now: Instant) -> Machine {
        let (state, detail) = self.apparent(now);
        let running = state == MachineState::Running;
        let endpoints = if running {
            vec![Endpoint { service: "ssh".into(), host: "127.0.0.1".into(), port: 22 }]
        } else {
            Vec::new()
        };
        Machine {
            id: self.id.clone(),
            tag: self.spec.tag,
            state,
            detail,
            endpoints,
            console: None,
            guest_answers: Some(running),
            name: Some(self.spec.name.clone()),
            size: Some(size_of(&self.spec)),
        }
    }

    pub(super) fn settle(&mut self, state: MachineState, detail: &str) {
        self.course = Course::at_rest(state);
        self.detail = Some(detail.to_owned());
    }

    fn go(&mut self, course: Course<MachineState>) {
        self.course = course;
        self.detail = None;
    }

    fn boot(&mut self, running_at: Instant) {
        self.go(Course::through(MachineState::Building, running_at, MachineState::Running));
    }

    pub(super) fn start(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Running | MachineState::Building => {}
            MachineState::Stopped | MachineState::Suspended => self.boot(now + boot),
            other => return Err(self.refusal("started", other)),
        }
        Ok(())
    }

    pub(super) fn stop(&mut self, now: Instant, pause: Duration) -> Result<(), BackendError> {
        let mut stopped_at = now + pause;
        match self.course.at(now) {
            MachineState::Stopped => return Ok(()),
            MachineState::Running | MachineState::Building => {}
            // Asking again hastens the end, and never puts it off.
            MachineState::Stopping => {
                stopped_at = self.course.arrival.map_or(stopped_at, |(at, _)| at.min(stopped_at));
            }
            other => return Err(self.refusal("stopped", other)),
        }
        self.go(Course::through(MachineState::Stopping, stopped_at, MachineState::Stopped));
        Ok(())
    }

    pub(super) fn restart(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Running => self.boot(now + boot),
            other => return Err(self.refusal("restarted", other)),
        }
        Ok(())
    }

    pub(super) fn suspend(&mut self, now: Instant, pause: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Suspended => {}
            MachineState::Running => {
                self.go(Course::through(MachineState::Running, now + pause, MachineState::Suspended));
            }
            other => return Err(self.refusal("suspended", other)),
        }
        Ok(())
    }

    pub(super) fn resize(&mut self, size: MachineSize, now: Instant, boot: Duration) -> Result<(), BackendError> {
        // The disk that is there already serves every lesser wish.
        let size = MachineSize { disk_bytes: size.disk_bytes.max(self.spec.disk_bytes), ..size };
        if size == size_of(&self.spec) {
            return Ok(());
        }
        match self.course.at(now) {
            MachineState::Stopped | MachineState::Stopping => {}
            MachineState::Running | MachineState::Building => self.boot(now + boot),
            other => return Err(self.refusal("resized", other)),
        }
        self.spec.cores = size.cores;
        self.spec.memory_mib = size.memory_mib;
        self.spec.disk_bytes = size.disk_bytes;
        Ok(())
    }

    pub(super) fn save(&mut self, method: SaveMethod, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match (method, self.course.at(now)) {
            (SaveMethod::Deferred, MachineState::Running) => self.boot(now + boot),
            (_, MachineState::Running | MachineState::Stopped | MachineState::Suspended) => {}
            (_, other) => return Err(self.refusal("saved", other)),
        }
        Ok(())
    }

    /// Nobody listens where the ticket leads.
    pub(super) fn console(&self, kind: ConsoleKind, now: Instant) -> Result<ConsoleTicket, BackendError> {
        match self.course.at(now) {
            MachineState::Running => {
                let url = format!("wss://simulator.invalid/{}/{kind}?ticket={}", self.id, Uuid::new_v4());
                Ok(ConsoleTicket { kind, url, holds_for: Some(Duration::from_secs(60)) })
            }
            other => Err(self.refusal("shown", other)),
        }
    }

    pub(super) fn take_snapshot(
        &mut self,
        id: SnapshotId,
        tag: IntentTag,
        now: Instant,
        complete_at: Instant,
    ) -> Result<Snapshot, BackendError> {
        match self.course.at(now) {
            state @ (MachineState::Running | MachineState::Stopped | MachineState::Suspended) => {
                let snapshot = SimulatedSnapshot { id, tag, complete_at, state };
                let facts = snapshot.facts(now);
                self.snapshots.push(snapshot);
                Ok(facts)
            }
            other => Err(self.refusal("kept as it is", other)),
        }
    }

    /// Goes back to the state that it had then.
    pub(super) fn revert(&mut self, state: MachineState, running_at: Instant) {
        match state {
            MachineState::Running => self.boot(running_at),
            state => self.go(Course::at_rest(state)),
        }
    }

    fn refusal(&self, asked: &str, state: MachineState) -> BackendError {
        BackendError::Conflict(format!("machine {} is {state:?} and cannot be {asked} now", self.id))
    }
}

pub(super) fn size_of(spec: &MachineSpec) -> MachineSize {
    MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes }
}
