//! Volumes in machines. Which intent put a volume there stands in the volume's metadata: not every hypervisor lets Nova
//! tag attachments.

use std::sync::Arc;

use backend::{Attachment, AttachmentSpec, BackendError, IntentTag, MachineSpec};
use backend_http::Method;
use serde_json::{Value, json};

use crate::{cinder::CinderVolume, identifier, mark, service::Service, site::Site};

impl Site {
    pub(crate) async fn attach(
        self: &Arc<Self>,
        machine: &str,
        spec: &AttachmentSpec,
    ) -> Result<Attachment, BackendError> {
        let server = self.server(machine).await?.id;
        let id = spec.volume.as_str();
        let _turn = self.turns.of(format!("volume {id}")).await;
        let volume = self.our_volume(id).await?;
        if volume.in_machine(&server).is_some() && volume.attachment_tag() == Some(spec.tag) {
            return attachment(&volume, &server, spec);
        }
        if !volume.is_available() {
            return Err(not_free(&volume));
        }
        self.note_attachment(&volume.id, Some(spec.tag)).await?;
        let mut words = json!({ "volumeId": volume.id });
        if let Some(device) = &spec.device {
            words["device"] = device.as_str().into();
        }
        let about = format!("volume {id} in machine {machine}");
        let path = ["servers", server.as_str(), "os-volume_attachments"];
        let call = self.cloud.call(Service::Compute, Method::POST, &path, &about);
        match call.body(json!({ "volumeAttachment": words })).send().await {
            // Perhaps it was done all the same: the looks tell.
            Ok(_) | Err(BackendError::Unreachable(_)) => {}
            // Nova says 400 for a volume that another one has got in the meantime.
            Err(BackendError::Refused(why)) if why.contains("status") => return Err(BackendError::Conflict(why)),
            Err(error) => return Err(error),
        }
        self.await_effect(&format!("attachment of {about}"), || async {
            let volume = self.our_volume(&volume.id).await?;
            match volume.status.as_str() {
                "in-use" => attachment(&volume, &server, spec).map(Some),
                "available" | "error" | "error_attaching" => {
                    Err(BackendError::Failed(format!("{about}: Nova could not attach it")))
                }
                _ => Ok(None),
            }
        })
        .await
    }

    pub(crate) async fn detach(self: &Arc<Self>, machine: &str, tag: IntentTag) -> Result<(), BackendError> {
        let Ok(server) = identifier::known("machine", machine) else { return Ok(()) };
        for volume in self.volumes_with(mark::ATTACHMENT_KEY, tag, "attachment").await? {
            if volume.attachment_tag() == Some(tag) && volume.in_machine(&server).is_some() {
                let _turn = self.turns.of(format!("volume {}", volume.id)).await;
                self.detach_volume(&server, &volume).await?;
            }
        }
        Ok(())
    }

    async fn detach_volume(&self, server: &str, volume: &CinderVolume) -> Result<(), BackendError> {
        let about = format!("volume {} in machine {server}", volume.id);
        let path = ["servers", server, "os-volume_attachments", &volume.id];
        if volume.status != "detaching" {
            self.cloud.call(Service::Compute, Method::DELETE, &path, &about).send_if_there().await?;
        }
        // Nova asks the guest to let go of it.
        self.await_effect(&format!("detachment of {about}"), || async {
            match self.our_volume(&volume.id).await {
                Ok(volume) => Ok((volume.in_machine(server).is_none() && volume.status != "detaching").then_some(())),
                Err(BackendError::NotFound(_)) => Ok(Some(())),
                Err(error) => Err(error),
            }
        })
        .await?;
        match self.note_attachment(&volume.id, None).await {
            Err(BackendError::NotFound(_)) => Ok(()),
            outcome => outcome,
        }
    }

    async fn note_attachment(&self, volume: &str, tag: Option<IntentTag>) -> Result<(), BackendError> {
        let about = format!("volume {volume}");
        match tag {
            Some(tag) => {
                let call =
                    self.cloud.call(Service::BlockStorage, Method::POST, &["volumes", volume, "metadata"], about);
                let words = json!({ "metadata": { (mark::ATTACHMENT_KEY): tag.to_string() } });
                call.body(words).send().await.map(drop)
            }
            None => {
                let path = ["volumes", volume, "metadata", mark::ATTACHMENT_KEY];
                let call = self.cloud.call(Service::BlockStorage, Method::DELETE, &path, about);
                call.send_if_there().await.map(drop)
            }
        }
    }

    /// Adds the volumes that the machine starts with to the request for it.
    pub(crate) async fn volumes_to_join(&self, spec: &MachineSpec, request: &mut Value) -> Result<(), BackendError> {
        if spec.joins.volumes.is_empty() {
            return Ok(());
        }
        let mut disks = request["block_device_mapping_v2"].as_array().cloned().unwrap_or_default();
        if disks.is_empty() {
            disks.push(json!({
                "boot_index": 0, "uuid": request["imageRef"], "source_type": "image", "destination_type": "local",
                "delete_on_termination": true,
            }));
        }
        for join in &spec.joins.volumes {
            let volume = self.our_volume(join.volume.as_str()).await?;
            if !volume.is_available() {
                return Err(not_free(&volume));
            }
            self.note_attachment(&volume.id, Some(join.tag)).await?;
            let mut disk = json!({
                "boot_index": -1, "uuid": volume.id, "source_type": "volume", "destination_type": "volume",
                "delete_on_termination": false,
            });
            if let Some(device) = &join.device {
                disk["device_name"] = device.as_str().into();
            }
            disks.push(disk);
        }
        request["block_device_mapping_v2"] = disks.into();
        Ok(())
    }
}

fn attachment(volume: &CinderVolume, server: &str, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
    let there = volume.in_machine(server).ok_or_else(|| not_free(volume))?;
    // Hypervisors that choose themselves do not always tell.
    let device = there.device.as_deref().filter(|device| !device.is_empty()).unwrap_or("disk");
    Ok(Attachment { tag: spec.tag, volume: spec.volume.clone(), device: backend_http::quoted(device) })
}

fn not_free(volume: &CinderVolume) -> BackendError {
    let status = backend_http::quoted(&volume.status);
    BackendError::Conflict(format!("volume {} is {status}; it must be available", volume.id))
}
