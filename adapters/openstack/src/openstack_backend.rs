use std::sync::Arc;

use async_trait::async_trait;
use backend::{
    AddressId, AddressSpec, Addresses, Attachment, AttachmentSpec, Backend, BackendError, ConsoleKind, ConsoleTicket,
    CopyPurpose, Description, Finding, ImageOffer, IntentTag, Interface, InterfaceSpec, Listing, Machine, MachineId,
    MachineSize, MachineSpec, Network, NetworkId, NetworkSpec, Networks, Progress, Quota, ReservedAddress,
    RestartMethod, Rule, SaveMethod, SavedDisk, SecurityGroup, SecurityGroupId, SecurityGroupSpec, SecurityGroups,
    SiteImage, StopMethod, SuspendMethod, Volume, VolumeId, VolumeSpec, Volumes,
};
use backend_http::OptionsError;
use disk_image::ContentDigest;

use crate::{
    OpenStackOptions,
    cloud::Cloud,
    site::{Site, to_the_end},
};

/// A project of an OpenStack as a backend.
pub struct OpenStackBackend {
    site: Arc<Site>,
}

impl OpenStackBackend {
    /// A backend for this project. Nothing is called yet.
    ///
    /// # Errors
    /// [`OptionsError`] for certificates or a proxy that cannot be used.
    pub fn new(options: OpenStackOptions) -> Result<Self, OptionsError> {
        Ok(Self { site: Arc::new(Site::new(Cloud::new(options)?)) })
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site)
    }
}

#[async_trait]
impl Backend for OpenStackBackend {
    async fn describe(&self) -> Result<Description, BackendError> {
        self.site.describe().await
    }

    async fn provide_image(&self, offer: &ImageOffer, progress: &Progress<'_>) -> Result<(), BackendError> {
        self.site.provide_image(offer, progress).await
    }

    async fn find_image(&self, digest: &ContentDigest) -> Result<Option<SiteImage>, BackendError> {
        self.site.find_image(digest).await
    }

    async fn delete_image(&self, digest: &ContentDigest) -> Result<(), BackendError> {
        let (site, digest) = (self.site(), *digest);
        to_the_end(async move { site.delete_image(&digest).await }).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        let (site, spec) = (self.site(), spec.clone());
        let server = to_the_end(async move { site.create_machine(&spec).await }).await?;
        server.facts()?.ok_or_else(|| BackendError::NotFound(format!("machine {}: it is deleted", server.id)))
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        self.site.machine(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        match self.site.server_by_tag(tag).await? {
            Some(server) => server.facts(),
            None => Ok(None),
        }
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.site.machines().await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        self.site.start(id.as_str()).await
    }

    async fn stop(&self, id: &MachineId, _method: StopMethod) -> Result<(), BackendError> {
        let (site, id) = (self.site(), id.clone());
        to_the_end(async move { site.stop(id.as_str()).await }).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError> {
        self.site.restart(id.as_str(), method).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        self.site.suspend(id.as_str(), method).await
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        let (site, id, size) = (self.site(), id.clone(), *size);
        to_the_end(async move { site.resize(id.as_str(), size).await }).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        self.site.save(id.as_str(), method).await
    }

    async fn console(&self, id: &MachineId, kind: ConsoleKind) -> Result<ConsoleTicket, BackendError> {
        self.site.console(id.as_str(), kind).await
    }

    async fn quota(&self) -> Result<Quota, BackendError> {
        self.site.quota().await
    }

    async fn check(&self) -> Vec<Finding> {
        self.site.check().await
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        (!self.site.lacks_volumes()).then_some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        Some(self)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        (!self.site.lacks_addresses()).then_some(self)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        Some(self)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        let (site, id) = (self.site(), id.clone());
        to_the_end(async move { site.delete_machine(id.as_str()).await }).await
    }
}

#[async_trait]
impl Volumes for OpenStackBackend {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        let (site, spec) = (self.site(), spec.clone());
        to_the_end(async move { site.create_volume(&spec).await }).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        self.site.volume(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        match self.site.volume_by_tag(tag).await? {
            Some(volume) => volume.facts(),
            None => Ok(None),
        }
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.site.volumes().await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.site.set_volume_online(id.as_str(), online).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        self.site.resize_volume(id.as_str(), size_bytes).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        let (site, id) = (self.site(), id.clone());
        to_the_end(async move { site.copy_volume(id.as_str(), purpose, tag).await }).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        let (site, id) = (self.site(), id.clone());
        to_the_end(async move { site.delete_volume(id.as_str()).await }).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        let (site, machine, spec) = (self.site(), machine.clone(), spec.clone());
        to_the_end(async move { site.attach(machine.as_str(), &spec).await }).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let (site, machine) = (self.site(), machine.clone());
        to_the_end(async move { site.detach(machine.as_str(), tag).await }).await
    }
}

#[async_trait]
impl Networks for OpenStackBackend {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        let (site, spec) = (self.site(), spec.clone());
        to_the_end(async move { site.create_network(&spec).await }).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        self.site.network(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        match self.site.network_by_tag(tag).await? {
            Some(network) => network.facts(),
            None => Ok(None),
        }
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.site.networks().await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        self.site.set_network_up(id.as_str(), up).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        let (site, id, spec) = (self.site(), id.clone(), spec.clone());
        to_the_end(async move { site.change_network(id.as_str(), &spec).await }).await
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        let (site, id) = (self.site(), id.clone());
        to_the_end(async move { site.delete_network(id.as_str()).await }).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        let (site, machine, spec) = (self.site(), machine.clone(), spec.clone());
        to_the_end(async move { site.plug(machine.as_str(), &spec).await }).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let (site, machine) = (self.site(), machine.clone());
        to_the_end(async move { site.unplug(machine.as_str(), tag).await }).await
    }
}

#[async_trait]
impl Addresses for OpenStackBackend {
    async fn reserve(&self, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        let (site, spec) = (self.site(), spec.clone());
        to_the_end(async move { site.reserve(&spec).await }).await
    }

    async fn address(&self, id: &AddressId) -> Result<ReservedAddress, BackendError> {
        self.site.reserved(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<ReservedAddress>, BackendError> {
        match self.site.address_by_tag(tag).await? {
            Some(address) => address.facts(),
            None => Ok(None),
        }
    }

    async fn release(&self, id: &AddressId) -> Result<(), BackendError> {
        self.site.release(id.as_str()).await
    }
}

#[async_trait]
impl SecurityGroups for OpenStackBackend {
    async fn create(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroup, BackendError> {
        let (site, spec) = (self.site(), spec.clone());
        to_the_end(async move { site.create_group(&spec).await }).await
    }

    async fn group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, BackendError> {
        self.site.group(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<SecurityGroup>, BackendError> {
        Ok(self.site.group_by_tag(tag).await?.map(|found| found.facts))
    }

    async fn change(&self, id: &SecurityGroupId, rules: &[Rule]) -> Result<(), BackendError> {
        let (site, id, rules) = (self.site(), id.clone(), rules.to_vec());
        to_the_end(async move { site.change_group(id.as_str(), &rules).await }).await
    }

    async fn delete(&self, id: &SecurityGroupId) -> Result<(), BackendError> {
        self.site.delete_group(id.as_str()).await
    }

    async fn apply(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        let (site, machine, group) = (self.site(), machine.clone(), group.clone());
        to_the_end(async move { site.apply(machine.as_str(), group.as_str()).await }).await
    }

    async fn lift(&self, machine: &MachineId, group: &SecurityGroupId) -> Result<(), BackendError> {
        let (site, machine, group) = (self.site(), machine.clone(), group.clone());
        to_the_end(async move { site.lift(machine.as_str(), group.as_str()).await }).await
    }
}
