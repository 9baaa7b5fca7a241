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
    Addresses, Backend, BackendError, Capability, ConsoleKind, ConsoleTicket, Description, Events, ImageOffer,
    IntentTag, Listing, Machine, MachineId, MachineSize, MachineSpec, Networks, Progress, Quota, RestartMethod,
    SaveMethod, SavedDisk, SecurityGroups, SiteImage, Snapshots, StopMethod, SuspendMethod, Volumes,
};

impl State {
    pub(super) fn machine(&self, id: &MachineId) -> Result<&SimulatedMachine, BackendError> {
        self.machines.get(id).ok_or_else(|| unknown("a machine", id))
    }

    pub(super) fn machine_mut(&mut self, id: &MachineId) -> Result<&mut SimulatedMachine, BackendError> {
        self.machines.get_mut(id).ok_or_else(|| unknown("a machine", id))
    }

    /// The size that a machine of the wanted one gets.
    fn admit(&self, wanted: MachineSize) -> Result<MachineSize, BackendError> {
        let description = &self.behaviour.description;
        let limits = description.limits;
        if wanted.cores == 0 || wanted.memory_mib == 0 {
            return Err(BackendError::Refused("a machine needs a core and some memory".into()));
        }
        let MachineSize { cores, memory_mib, disk_bytes } = wanted;
        if cores > limits.cores || memory_mib > limits.memory_mib || disk_bytes > limits.disk_bytes {
            return Err(BackendError::Refused("the machine is larger than this backend's limits".into()));
        }
        if description.sizes.is_empty() {
            return Ok(wanted);
        }
        let offer = description.offer_for(wanted).ok_or_else(|| {
            BackendError::Refused(format!("none of the sizes that are offered holds {wanted:?}: choose a lesser one"))
        })?;
        Ok(MachineSize { disk_bytes: offer.size.disk_bytes.max(disk_bytes), ..offer.size })
    }

    fn create_machine(&mut self, spec: &MachineSpec, now: Instant) -> Result<Machine, BackendError> {
        if self.behaviour.idempotent_create
            && let Some(existing) = self.machines.oldest(spec.tag)?
        {
            return Ok(existing.facts(now));
        }
        if !spec.ssh_keys.is_empty() {
            self.behaviour.must(Capability::SshKeys)?;
        }
        if spec.user_data.is_some() {
            self.behaviour.must(Capability::UserData)?;
        }
        let MachineSize { cores, memory_mib, disk_bytes } = self.admit(size_of(spec))?;
        if !self.images.holds(&spec.image) {
            return Err(BackendError::NotFound(format!("image {}", spec.image)));
        }
        let granted = MachineSpec { cores, memory_mib, disk_bytes, ..spec.clone() };
        self.leave_room(&granted)?;
        let machine = self.add_machine(granted, now, now + self.behaviour.delays.boot)?;
        match self.join(&machine.id, spec, now) {
            Ok(()) => Ok(machine),
            Err(error) => {
                self.remove_machine(&machine.id);
                Err(error)
            }
        }
    }

    fn join(&mut self, machine: &MachineId, spec: &MachineSpec, now: Instant) -> Result<(), BackendError> {
        for volume in &spec.joins.volumes {
            self.attach(machine, volume, now)?;
        }
        for interface in &spec.joins.interfaces {
            self.plug(machine, interface)?;
        }
        spec.joins.security_groups.iter().try_for_each(|group| self.apply(machine, group))
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
        self.machines.insert(id.clone(), machine, now);
        self.tell_of_machine(&id);
        Ok(facts)
    }
}

impl Simulator {
    /// A saved disk that has not been read yet.
    pub(super) async fn save_marked(&self, id: &MachineId, method: SaveMethod) -> Result<MarkedDisk, BackendError> {
        let visited = self.begin(Operation::Save).await?;
        let (disk, pause) = {
            let mut state = self.lock();
            state.behaviour.must(match method {
                SaveMethod::Hot => Capability::SaveHot,
                SaveMethod::Deferred => Capability::SaveDeferred,
            })?;
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
        self.perform(Operation::Describe, |state, _| Ok(state.behaviour.describe())).await
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
            state.machine_mut(id)?.start(now, boot)?;
            state.tell_of_machine(id);
            Ok(())
        };
        self.perform(Operation::Start, start).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        let stop = |state: &mut State, now| {
            let pause = if method == StopMethod::PowerOff { Duration::ZERO } else { state.behaviour.delays.stop };
            state.machine_mut(id)?.stop(now, pause)?;
            state.tell_of_machine(id);
            Ok(())
        };
        self.perform(Operation::Stop, stop).await
    }

    async fn restart(&self, id: &MachineId, _method: RestartMethod) -> Result<(), BackendError> {
        let restart = |state: &mut State, now| {
            let boot = state.behaviour.delays.boot;
            state.machine_mut(id)?.restart(now, boot)?;
            state.tell_of_machine(id);
            Ok(())
        };
        self.perform(Operation::Restart, restart).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        let suspend = |state: &mut State, now| {
            state.behaviour.must(match method {
                SuspendMethod::Suspend => Capability::Suspend,
                SuspendMethod::Hibernate => Capability::Hibernate,
            })?;
            let pause = state.behaviour.delays.suspend;
            state.machine_mut(id)?.suspend(now, pause)?;
            state.tell_of_machine(id);
            Ok(())
        };
        self.perform(Operation::Suspend, suspend).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        let resize = |state: &mut State, now| {
            state.behaviour.must(Capability::Resize)?;
            state.machine(id)?;
            let size = state.admit(*size)?;
            let boot = state.behaviour.delays.boot;
            state.machine_mut(id)?.resize(size, now, boot)?;
            state.tell_of_machine(id);
            Ok(())
        };
        self.perform(Operation::Resize, resize).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        Ok(self.save_marked(id, method).await?.into())
    }

    async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        self.perform(Operation::FindImage, |state, _| Ok(state.images.find(digest))).await
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        self.perform(Operation::DeleteImage, |state, _| state.delete_image(digest)).await
    }

    async fn console(&self, id: &MachineId, kind: ConsoleKind) -> Result<ConsoleTicket, BackendError> {
        let show = |state: &mut State, now| {
            state.behaviour.must(Capability::Console)?;
            state.machine(id)?.console(kind, now)
        };
        self.perform(Operation::Console, show).await
    }

    async fn quota(&self) -> Result<Quota, BackendError> {
        let count = |state: &mut State, _| {
            state.behaviour.must(Capability::Quota)?;
            Ok(state.quota())
        };
        self.perform(Operation::Quota, count).await
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.parts().snapshots.then_some(self as &dyn Snapshots)
    }

    fn events(&self) -> Option<&dyn Events> {
        self.parts().events.then_some(self as &dyn Events)
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
