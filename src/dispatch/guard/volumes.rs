use async_trait::async_trait;
use backend::{
    Attachment, AttachmentSpec, BackendError, CopyPurpose, IntentTag, Listing, MachineId, Volume, VolumeId, VolumeSpec,
    Volumes,
};

use super::{Guarded, call::Call, gone};

impl Guarded {
    fn its_volumes(&self) -> Result<&dyn Volumes, BackendError> {
        self.backend.volumes().ok_or_else(|| gone("volumes"))
    }
}

#[async_trait]
impl Volumes for Guarded {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        self.call(Call::CreateVolume, self.its_volumes()?.create(spec)).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        self.call(Call::Volume, self.its_volumes()?.volume(id)).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        self.call(Call::FindVolumeByTag, self.its_volumes()?.find_by_tag(tag)).await
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.call(Call::Volumes, self.its_volumes()?.volumes()).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.call(Call::SetVolumeOnline, self.its_volumes()?.set_online(id, online)).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        self.call(Call::ResizeVolume, self.its_volumes()?.resize(id, size_bytes)).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        self.call(Call::CopyVolume, self.its_volumes()?.copy(id, purpose, tag)).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        self.call(Call::DeleteVolume, self.its_volumes()?.delete(id)).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        self.call(Call::Attach, self.its_volumes()?.attach(machine, spec)).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        self.call(Call::Detach, self.its_volumes()?.detach(machine, tag)).await
    }
}
