//! Machines, and the calls that every backend has.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{Course, Operation, Simulator, State, images::Received, interfaces::PluggedInterface, name, unknown};
use crate::{
    Addresses, Attachment, Backend, BackendError, Description, Endpoint, ImageOffer, IntentTag, Listing, Machine,
    MachineId, MachineSize, MachineSpec, MachineState, Networks, Progress, RestartMethod, SaveMethod, SavedDisk,
    SecurityGroupId, SecurityGroups, StopMethod, SuspendMethod, Volumes,
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
}

impl SimulatedMachine {
    fn building(id: MachineId, spec: MachineSpec, running_at: Instant) -> Self {
        Self {
            id,
            spec,
            course: Course::through(MachineState::Building, running_at, MachineState::Running),
            detail: None,
            attachments: Vec::new(),
            interfaces: Vec::new(),
            security_groups: BTreeSet::new(),
        }
    }

    fn facts(&self, now: Instant) -> Machine {
        let state = self.course.at(now);
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
            detail: self.detail.clone(),
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

    fn start(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Running | MachineState::Building => {}
            MachineState::Stopped | MachineState::Suspended => self.boot(now + boot),
            other => return Err(self.refusal("started", other)),
        }
        Ok(())
    }

    fn stop(&mut self, now: Instant, pause: Duration) -> Result<(), BackendError> {
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

    fn restart(&mut self, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Running => self.boot(now + boot),
            other => return Err(self.refusal("restarted", other)),
        }
        Ok(())
    }

    fn suspend(&mut self, now: Instant, pause: Duration) -> Result<(), BackendError> {
        match self.course.at(now) {
            MachineState::Suspended => {}
            MachineState::Running => {
                self.go(Course::through(MachineState::Running, now + pause, MachineState::Suspended));
            }
            other => return Err(self.refusal("suspended", other)),
        }
        Ok(())
    }

    fn resize(&mut self, size: MachineSize, now: Instant, boot: Duration) -> Result<(), BackendError> {
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

    fn save(&mut self, method: SaveMethod, now: Instant, boot: Duration) -> Result<(), BackendError> {
        match (method, self.course.at(now)) {
            (SaveMethod::Deferred, MachineState::Running) => self.boot(now + boot),
            (_, MachineState::Running | MachineState::Stopped | MachineState::Suspended) => {}
            (_, other) => return Err(self.refusal("saved", other)),
        }
        Ok(())
    }

    fn refusal(&self, asked: &str, state: MachineState) -> BackendError {
        BackendError::Conflict(format!("machine {} is {state:?} and cannot be {asked} now", self.id))
    }
}

fn size_of(spec: &MachineSpec) -> MachineSize {
    MachineSize { cores: spec.cores, memory_mib: spec.memory_mib, disk_bytes: spec.disk_bytes }
}

impl State {
    pub(super) fn machine(&self, id: &MachineId) -> Result<&SimulatedMachine, BackendError> {
        self.machines.get(id).ok_or_else(|| unknown("a machine", id))
    }

    pub(super) fn machine_mut(&mut self, id: &MachineId) -> Result<&mut SimulatedMachine, BackendError> {
        self.machines.get_mut(id).ok_or_else(|| unknown("a machine", id))
    }

    fn admit(&self, size: MachineSize) -> Result<(), BackendError> {
        let limits = self.behaviour.description.limits;
        if size.cores == 0 || size.memory_mib == 0 {
            return Err(BackendError::Refused("a machine needs a core and some memory".into()));
        }
        if size.cores > limits.cores || size.memory_mib > limits.memory_mib || size.disk_bytes > limits.disk_bytes {
            return Err(BackendError::Refused("the machine is larger than this backend's limits".into()));
        }
        Ok(())
    }

    fn create_machine(&mut self, spec: &MachineSpec, now: Instant) -> Result<Machine, BackendError> {
        let id: MachineId = name("sim", spec.tag)?;
        if let Some(existing) = self.machines.get(&id) {
            return Ok(existing.facts(now));
        }
        self.admit(size_of(spec))?;
        if !self.images.holds(&spec.image) {
            return Err(BackendError::NotFound(format!("image {}", spec.image)));
        }
        let machine = SimulatedMachine::building(id.clone(), spec.clone(), now + self.behaviour.delays.boot);
        let facts = machine.facts(now);
        self.machines.insert(id, machine);
        Ok(facts)
    }
}

#[async_trait]
impl Backend for Simulator {
    async fn describe(&self) -> Result<Description, BackendError> {
        let describe = |state: &mut State, _| {
            let mut description = state.behaviour.description.clone();
            if !state.behaviour.parts.volumes {
                description.limits.volume_bytes = 0;
            }
            Ok(description)
        };
        self.perform(Operation::Describe, describe).await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        let after = self.begin(Operation::ProvideImage).await?;
        if !self.holds_image(&offer.digest) {
            let mut stream = offer.source.stream();
            let mut received = Received::nothing();
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|error| BackendError::Failed(format!("reading the image: {error}")))?;
                received.take(&chunk);
                progress(received.size);
            }
            let pause = self.lock().behaviour.delays.image;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if received.size != offer.size {
                return Err(BackendError::Failed(format!(
                    "image {} has {} bytes, {} were announced",
                    offer.digest, received.size, offer.size
                )));
            }
            self.lock().images.insert(offer, received);
        }
        after.answer(())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        self.perform(Operation::Create, |state, now| state.create_machine(spec, now)).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.perform(Operation::Machine, |state, now| Ok(state.machine(id)?.facts(now))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        let find = |state: &mut State, now| Ok(state.machines.get(&name("sim", tag)?).map(|found| found.facts(now)));
        self.perform(Operation::FindByTag, find).await
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        let list = |state: &mut State, now| Ok(state.machines.values().map(|machine| machine.facts(now)).collect());
        self.perform(Operation::Machines, list).await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        let start = |state: &mut State, now| {
            let boot = state.behaviour.delays.boot;
            state.machine_mut(id)?.start(now, boot)
        };
        self.perform(Operation::Start, start).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        let stop = |state: &mut State, now| {
            let pause = if method == StopMethod::PowerOff { Duration::ZERO } else { state.behaviour.delays.stop };
            state.machine_mut(id)?.stop(now, pause)
        };
        self.perform(Operation::Stop, stop).await
    }

    async fn restart(&self, id: &MachineId, _method: RestartMethod) -> Result<(), BackendError> {
        let restart = |state: &mut State, now| {
            let boot = state.behaviour.delays.boot;
            state.machine_mut(id)?.restart(now, boot)
        };
        self.perform(Operation::Restart, restart).await
    }

    async fn suspend(&self, id: &MachineId, _method: SuspendMethod) -> Result<(), BackendError> {
        let suspend = |state: &mut State, now| {
            let pause = state.behaviour.delays.suspend;
            state.machine_mut(id)?.suspend(now, pause)
        };
        self.perform(Operation::Suspend, suspend).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        let resize = |state: &mut State, now| {
            state.machine(id)?;
            state.admit(*size)?;
            let boot = state.behaviour.delays.boot;
            state.machine_mut(id)?.resize(*size, now, boot)
        };
        self.perform(Operation::Resize, resize).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        let save = |state: &mut State, now| {
            let delays = state.behaviour.delays;
            let machine = state.machine_mut(id)?;
            machine.save(method, now, delays.boot)?;
            let image = machine.spec.image;
            Ok((state.images.marked(&image, &format!("saved from {id}"))?, delays.save))
        };
        let (disk, pause) = self.perform(Operation::Save, save).await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(disk)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        self.lock().behaviour.parts.volumes.then_some(self as &dyn Volumes)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.lock().behaviour.parts.networks.then_some(self as &dyn Networks)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.lock().behaviour.parts.addresses.then_some(self as &dyn Addresses)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        self.lock().behaviour.parts.security_groups.then_some(self as &dyn SecurityGroups)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        let delete = |state: &mut State, _| {
            state.machines.remove(id);
            Ok(())
        };
        self.perform(Operation::Delete, delete).await
    }
}
