use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{
    Addresses, Backend, BackendError, ConsoleKind, ConsoleTicket, Description, Events, Finding, ImageOffer, IntentTag,
    Listing, Machine, MachineId, MachineSize, MachineSpec, Networks, Progress, Quota, RestartMethod, SaveMethod,
    SavedDisk, SecurityGroups, SiteImage, Snapshots, StopMethod, SuspendMethod, Volumes,
};
use disk_image::ContentDigest;

use super::{
    Guarded,
    call::Call,
    movement::{Movement, WatchedSource, moving},
};

#[async_trait]
impl Backend for Guarded {
    async fn describe(&self) -> Result<Description, BackendError> {
        self.call(Call::Describe, self.backend.describe()).await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        let movement = Movement::new();
        let source = Arc::new(WatchedSource { source: Arc::clone(&offer.source), movement: movement.clone() });
        let watched = ImageOffer { digest: offer.digest, size: offer.size, source };
        let report = |bytes| {
            movement.reached(bytes);
            progress(bytes);
        };
        let work = self.backend.provide_image(&watched, &report);
        self.watch(Call::ProvideImage, movement.bounds(work)).await
    }

    async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        self.call(Call::FindImage, self.backend.find_image(digest)).await
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        self.call(Call::DeleteImage, self.backend.delete_image(digest)).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        self.call(Call::Create, self.backend.create(spec)).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.call(Call::Machine, self.backend.machine(id)).await
    }

    async fn machine_at_rest(&self, id: &MachineId, patience: Duration) -> Result<Machine, BackendError> {
        self.call(Call::MachineAtRest, self.backend.machine_at_rest(id, patience)).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        self.call(Call::FindByTag, self.backend.find_by_tag(tag)).await
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.call(Call::Machines, self.backend.machines()).await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        self.call(Call::Start, self.backend.start(id)).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        self.call(Call::Stop, self.backend.stop(id, method)).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError> {
        self.call(Call::Restart, self.backend.restart(id, method)).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        self.call(Call::Suspend, self.backend.suspend(id, method)).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        self.call(Call::Resize, self.backend.resize(id, size)).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        let SavedDisk { size, bytes } = self.call(Call::Save, self.backend.save(id, method)).await?;
        Ok(SavedDisk { size, bytes: moving(bytes) })
    }

    async fn console(&self, id: &MachineId, kind: ConsoleKind) -> Result<ConsoleTicket, BackendError> {
        self.call(Call::Console, self.backend.console(id, kind)).await
    }

    async fn quota(&self) -> Result<Quota, BackendError> {
        self.call(Call::Quota, self.backend.quota()).await
    }

    /// Whoever checks a site wants to hear what the backend says, and not what the breaker makes of it.
    async fn check(&self) -> Vec<Finding> {
        self.backend.check().await
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.backend.snapshots().map(|_| self as &dyn Snapshots)
    }

    fn events(&self) -> Option<&dyn Events> {
        self.backend.events().map(|_| self as &dyn Events)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        self.backend.volumes().map(|_| self as &dyn Volumes)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.backend.networks().map(|_| self as &dyn Networks)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.backend.addresses().map(|_| self as &dyn Addresses)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        self.backend.security_groups().map(|_| self as &dyn SecurityGroups)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        self.call(Call::Delete, self.backend.delete(id)).await
    }
}
