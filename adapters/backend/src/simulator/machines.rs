//! Machines, and the calls that every backend has.

use std::time::Duration;

use async_trait::async_trait;
use disk_image::ContentDigest;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    Operation, Simulator, State,
    images::{MarkedDisk, Received},
    machine::{SimulatedMachine, size_of},
    unknown,
};
use crate::{
    Addresses, Backend, BackendError, Description, ImageOffer, IntentTag, Listing, Machine, MachineId, MachineSize,
    MachineSpec, Networks, Progress, RestartMethod, SaveMethod, SavedDisk, SecurityGroups, StopMethod, SuspendMethod,
    Volumes,
};

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
        if self.behaviour.idempotent_create
            && let Some(existing) = self.machines.oldest(spec.tag)?
        {
            return Ok(existing.facts(now));
        }
        self.admit(size_of(spec))?;
        if !self.images.holds(&spec.image) {
            return Err(BackendError::NotFound(format!("image {}", spec.image)));
        }
        self.add_machine(spec.clone(), now, now + self.behaviour.delays.boot)
    }

    pub(super) fn add_machine(
        &mut self,
        spec: MachineSpec,
        now: Instant,
        running_at: Instant,
    ) -> Result<Machine, BackendError> {
        let id = self.machines.fresh_name(spec.tag)?;
        let machine = SimulatedMachine::building(id.clone(), spec, running_at);
        let facts = machine.facts(now);
        self.machines.insert(id, machine, now);
        Ok(facts)
    }
}

impl Simulator {
    /// A saved disk that has not been read yet.
    pub(super) async fn save_marked(&self, id: &MachineId, method: SaveMethod) -> Result<MarkedDisk, BackendError> {
        let visited = self.begin(Operation::Save).await?;
        let (disk, pause) = {
            let mut state = self.lock();
            let delays = state.behaviour.delays;
            let machine = state.machine_mut(id)?;
            machine.save(method, Instant::now(), delays.boot)?;
            let image = machine.spec.image;
            (state.images.marked(&image, format!("saved from {id}"))?, delays.save)
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        visited.answer(disk)
    }

    /// Takes an image by its name and size, without its bytes.
    pub(super) async fn hold_image(&self, digest: ContentDigest, size: u64) -> Result<(), BackendError> {
        let visited = self.begin(Operation::ProvideImage).await?;
        if !self.holds_image(&digest) {
            let pause = self.lock().behaviour.delays.image;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            self.lock().images.insert(digest, size, Received::nothing());
        }
        visited.answer(())
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
        let visited = self.begin(Operation::ProvideImage).await?;
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
            self.lock().images.insert(offer.digest, offer.size, received);
        }
        visited.answer(())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        self.perform(Operation::Create, |state, now| state.create_machine(spec, now)).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.perform(Operation::Machine, |state, now| Ok(state.machine(id)?.facts(now))).await
    }

    async fn machine_at_rest(&self, id: &MachineId, patience: Duration) -> Result<Machine, BackendError> {
        let limit = Instant::now() + patience;
        loop {
            let look = |state: &mut State, now| {
                let machine = state.machine(id)?;
                Ok((machine.facts(now), machine.arrival()))
            };
            let (machine, arrival) = self.perform(Operation::Machine, look).await?;
            if machine.state.is_at_rest() || Instant::now() >= limit {
                return Ok(machine);
            }
            tokio::time::sleep_until(arrival.map_or(limit, |arrival| arrival.min(limit))).await;
        }
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        let find = |state: &mut State, now| {
            let found = state.machines.find(tag, now, state.behaviour.listing_lag)?;
            Ok(found.map(|found| found.facts(now)))
        };
        self.perform(Operation::FindByTag, find).await
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.perform(Operation::Machines, |state, now| Ok(state.list_machines(now))).await
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
        Ok(self.save_marked(id, method).await?.into())
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
            state.remove_machine(id);
            Ok(())
        };
        self.perform(Operation::Delete, delete).await
    }
}
