use async_trait::async_trait;
use backend::{
    Attachment, AttachmentSpec, BackendError, CopyPurpose, IntentTag, Listing, MachineId, Volume, VolumeId, VolumeSpec,
    Volumes,
};
use node_driver::wire::{NewCopy, Online, Selection, VolumeSize};
use reqwest::Method;

use crate::{
    NodeBackend,
    node_backend::{COPY, LONG, SHORT},
};

#[async_trait]
impl Volumes for NodeBackend {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        self.node.ask(self.node.request(Method::POST, "/volumes", SHORT).json(spec)).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        self.node.ask(self.get(&format!("/volumes/{id}"))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        let selection = Selection { tag: Some(tag) };
        self.node.find(self.get("/volumes").query(&selection), |volume: &Volume| volume.tag == tag).await
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.node.list(self.get("/volumes")).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.change(&format!("/volumes/{id}/online"), &Online { online }).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        self.change(&format!("/volumes/{id}/resize"), &VolumeSize { size_bytes }).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        let request = self.node.request(Method::POST, &format!("/volumes/{id}/copies"), COPY);
        self.node.tell(request.json(&NewCopy { tag, purpose })).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::DELETE, &format!("/volumes/{id}"), LONG)).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        self.node.ask(self.node.request(Method::POST, &format!("/machines/{machine}/volumes"), SHORT).json(spec)).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let path = format!("/machines/{machine}/volumes/{tag}");
        self.node.tell(self.node.request(Method::DELETE, &path, LONG)).await
    }
}
