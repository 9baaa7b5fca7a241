use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use disk_image::ContentDigest;

use super::{
    SimulatorControl,
    line::Line,
    wire::{Answer, Call, Saved},
};
use crate::{
    Addresses, Backend, Capability, ConsoleKind, ConsoleTicket, Description, ImageOffer, IntentTag, Listing, Machine,
    MachineId, MachineSize, MachineSpec, Networks, Progress, Quota, RestartMethod, SaveMethod, SavedDisk,
    SecurityGroups, SiteImage, Snapshots, StopMethod, SuspendMethod, Volumes,
    simulator::{Parts, images::MarkedDisk},
};

/// A simulator in another process, as a backend. Clones share one connection, which is made anew when it was lost.
#[derive(Clone)]
pub struct SimulatorClient {
    pub(super) line: Arc<Line>,
    parts: Parts,
}

impl SimulatorClient {
    /// A backend that calls the simulator behind this socket. Nothing is called yet, so it counts on all optional parts
    /// of the contract.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { line: Arc::new(Line::to(socket.into())), parts: Parts::default() }
    }

    /// The same, with those optional parts that the simulator has.
    ///
    /// # Errors
    /// [`crate::BackendError::Unreachable`] when nobody answers there.
    pub async fn connect(socket: impl Into<PathBuf>) -> Answer<Self> {
        let client = Self::new(socket);
        let parts = client.line.call(Call::Parts).await?;
        Ok(Self { parts, ..client })
    }

    /// The same simulator, for tests.
    #[must_use]
    pub fn control(&self) -> SimulatorControl {
        SimulatorControl::over(Arc::clone(&self.line))
    }
}

#[async_trait]
impl Backend for SimulatorClient {
    async fn describe(&self) -> Answer<Description> {
        let description: Description = self.line.call(Call::Describe).await?;
        // Each call has one answer here: changes are told within the simulator's process only.
        let capabilities = description.capabilities.without(&[Capability::Events]);
        Ok(Description { capabilities, ..description })
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Answer<()> {
        self.line.call::<()>(Call::HoldImage { digest: offer.digest, size: offer.size }).await?;
        progress(offer.size);
        Ok(())
    }

    async fn find_image(&self, digest: &ContentDigest) -> Answer<Option<SiteImage>> {
        self.line.call(Call::FindImage(*digest)).await
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Answer<()> {
        self.line.call(Call::DeleteImage(*digest)).await
    }

    async fn create(&self, spec: &MachineSpec) -> Answer<Machine> {
        self.line.call(Call::Create(Box::new(spec.clone()))).await
    }

    async fn machine(&self, id: &MachineId) -> Answer<Machine> {
        self.line.call(Call::Machine(id.clone())).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Answer<Option<Machine>> {
        self.line.call(Call::FindByTag(tag)).await
    }

    async fn machines(&self) -> Answer<Listing<Machine>> {
        self.line.call(Call::Machines).await
    }

    async fn start(&self, id: &MachineId) -> Answer<()> {
        self.line.call(Call::Start(id.clone())).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Answer<()> {
        self.line.call(Call::Stop(id.clone(), method)).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Answer<()> {
        self.line.call(Call::Restart(id.clone(), method)).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Answer<()> {
        self.line.call(Call::Suspend(id.clone(), method)).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Answer<()> {
        self.line.call(Call::Resize(id.clone(), *size)).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Answer<SavedDisk> {
        let saved: Saved = self.line.call(Call::Save(id.clone(), method)).await?;
        Ok(MarkedDisk::of_zeros(saved.size, saved.mark).into())
    }

    async fn console(&self, id: &MachineId, kind: ConsoleKind) -> Answer<ConsoleTicket> {
        self.line.call(Call::Console(id.clone(), kind)).await
    }

    async fn quota(&self) -> Answer<Quota> {
        self.line.call(Call::Quota).await
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.parts.snapshots.then_some(self as &dyn Snapshots)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        self.parts.volumes.then_some(self as &dyn Volumes)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.parts.networks.then_some(self as &dyn Networks)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.parts.addresses.then_some(self as &dyn Addresses)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        self.parts.security_groups.then_some(self as &dyn SecurityGroups)
    }

    async fn delete(&self, id: &MachineId) -> Answer<()> {
        self.line.call(Call::Delete(id.clone())).await
    }
}
