use std::sync::Arc;

use async_trait::async_trait;
use backend::{
    Addresses, Backend, BackendError, Capability, Description, Finding, ImageOffer, IntentTag, Listing, Machine,
    MachineId, MachineSize, MachineSpec, Networks, Progress, Quota, RestartMethod, SaveMethod, SavedDisk,
    SecurityGroups, SiteImage, Snapshots, StopMethod, SuspendMethod, Volumes,
};
use disk_image::ContentDigest;

use crate::{OpenNebulaOptions, facts::facts, names::Id, save::cannot_save, site::Site};

/// An OpenNebula as a backend.
pub struct OpenNebulaBackend {
    pub(crate) site: Arc<Site>,
}

impl OpenNebulaBackend {
    /// A backend that calls this OpenNebula. Nothing is called yet.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for options that cannot be used.
    pub fn new(options: OpenNebulaOptions) -> Result<Self, BackendError> {
        Ok(Self { site: Arc::new(Site::new(options)?) })
    }
}

fn named(id: &MachineId) -> Result<Id, BackendError> {
    Id::of("machine", id.as_str())
}

#[async_trait]
impl Backend for OpenNebulaBackend {
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
        self.site.delete_image(digest).await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, BackendError> {
        self.site.create(spec.clone()).await
    }

    async fn machine(&self, id: &MachineId) -> Result<Machine, BackendError> {
        let vm = self.site.vm(named(id)?).await?;
        facts(&vm)?.ok_or_else(|| BackendError::NotFound(format!("machine {id}")))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Machine>, BackendError> {
        self.site.machine_by_tag(tag).await
    }

    async fn machines(&self) -> Result<Listing<Machine>, BackendError> {
        self.site.machines().await
    }

    async fn start(&self, id: &MachineId) -> Result<(), BackendError> {
        self.site.start(named(id)?).await
    }

    async fn stop(&self, id: &MachineId, method: StopMethod) -> Result<(), BackendError> {
        self.site.stop(named(id)?, method).await
    }

    async fn restart(&self, id: &MachineId, method: RestartMethod) -> Result<(), BackendError> {
        self.site.restart(named(id)?, method).await
    }

    async fn suspend(&self, id: &MachineId, method: SuspendMethod) -> Result<(), BackendError> {
        match method {
            SuspendMethod::Suspend => Err(Capability::Suspend.missing()),
            SuspendMethod::Hibernate => self.site.hibernate(named(id)?).await,
        }
    }

    async fn resize(&self, id: &MachineId, size: &MachineSize) -> Result<(), BackendError> {
        self.site.resize(named(id)?, size).await
    }

    async fn save(&self, id: &MachineId, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        if !self.site.saves() {
            return Err(cannot_save());
        }
        self.site.save(named(id)?, method).await
    }

    async fn quota(&self) -> Result<Quota, BackendError> {
        self.site.quota().await
    }

    async fn check(&self) -> Vec<Finding> {
        self.site.check().await
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }

    fn networks(&self) -> Option<&dyn Networks> {
        self.site.options.networks.is_some().then_some(self as &dyn Networks)
    }

    fn addresses(&self) -> Option<&dyn Addresses> {
        self.site.options.public_network.is_some().then_some(self as &dyn Addresses)
    }

    fn security_groups(&self) -> Option<&dyn SecurityGroups> {
        Some(self)
    }

    async fn delete(&self, id: &MachineId) -> Result<(), BackendError> {
        match named(id) {
            Ok(id) => self.site.delete(id).await,
            Err(_) => Ok(()),
        }
    }
}
