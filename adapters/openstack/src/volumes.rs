//! Volumes of ours.

use std::sync::Arc;

use backend::{BackendError, Capability, IntentTag, Listing, Volume, VolumeSpec};
use backend_http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    cinder::{CinderVolume, VolumeLimits},
    identifier, mark,
    microversion::Microversion,
    paging,
    service::Service,
    site::Site,
};

const GIB: u64 = 1 << 30;
/// Where Cinder sets no bound, some storage does; none is told.
const LARGEST: u64 = 1 << 50;
/// From here on a volume in use can be enlarged.
const ENLARGES_IN_USE: Microversion = Microversion::new(3, 42);

#[derive(Deserialize)]
struct OneVolume {
    volume: CinderVolume,
}

impl Site {
    pub(crate) async fn create_volume(self: &Arc<Self>, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        let _turn = self.turns.of(format!("tag {}", spec.tag)).await;
        let nonsense = || BackendError::Failed("Cinder does not keep a volume's metadata".to_owned());
        if let Some(volume) = self.volume_by_tag(spec.tag).await? {
            return volume.facts()?.ok_or_else(nonsense);
        }
        self.is_no_larger(spec.size_bytes).await?;
        let options = &self.cloud.options;
        let mut volume = json!({
            "name": spec.name,
            "size": spec.size_bytes.div_ceil(GIB).max(1),
            "metadata": { (mark::TAG_KEY): spec.tag.to_string() },
        });
        if let Some(kind) = &options.volume_type {
            volume["volume_type"] = kind.as_str().into();
        }
        if let Some(zone) = &options.availability_zone {
            volume["availability_zone"] = zone.as_str().into();
        }
        let about = format!("new volume with tag {}", spec.tag);
        let call = self.cloud.call(Service::BlockStorage, Method::POST, &["volumes"], about);
        let OneVolume { volume } = call.body(json!({ "volume": volume })).json().await?;
        volume.facts()?.ok_or_else(nonsense)
    }

    async fn is_no_larger(&self, size_bytes: u64) -> Result<(), BackendError> {
        let most = self.largest_volume().await?;
        if size_bytes <= most {
            return Ok(());
        }
        Err(BackendError::Refused(format!("a volume of {size_bytes} bytes; {most} are the most here")))
    }

    /// The size of the largest volume that our project may have, in bytes.
    pub(crate) async fn largest_volume(&self) -> Result<u64, BackendError> {
        let gib = self.volume_limits().await?.gib;
        Ok(u64::try_from(gib).map_or(LARGEST, |gib| gib.saturating_mul(GIB).min(LARGEST)))
    }

    pub(crate) async fn volume_limits(&self) -> Result<VolumeLimits, BackendError> {
        #[derive(Deserialize)]
        struct Answer {
            limits: Limits,
        }
        #[derive(Deserialize)]
        struct Limits {
            absolute: VolumeLimits,
        }
        let call = self.cloud.get(Service::BlockStorage, &["limits"], "limits of Cinder");
        let Answer { limits } = call.json().await?;
        Ok(limits.absolute)
    }

    /// The volume as Cinder shows it, one of ours.
    pub(crate) async fn our_volume(&self, id: &str) -> Result<CinderVolume, BackendError> {
        let about = format!("volume {id}");
        let id = identifier::known("volume", id)?;
        let call = self.cloud.get(Service::BlockStorage, &["volumes", &id], &about);
        let OneVolume { volume } = call.json().await?;
        let is_ours = volume.tag().is_some();
        if is_ours { Ok(volume) } else { Err(BackendError::NotFound(format!("{about} among those of this broker"))) }
    }

    pub(crate) async fn volume(&self, id: &str) -> Result<Volume, BackendError> {
        self.our_volume(id).await?.facts()?.ok_or_else(|| BackendError::NotFound(format!("volume {id}")))
    }

    pub(crate) async fn volume_by_tag(&self, tag: IntentTag) -> Result<Option<CinderVolume>, BackendError> {
        let found = self.volumes_with(mark::TAG_KEY, tag, "volume").await?;
        Ok(found.into_iter().find(|volume| volume.tag() == Some(tag)))
    }

    /// Volumes with this word in their metadata; Cinder takes the filter as Python writes a dictionary.
    pub(crate) async fn volumes_with(
        &self,
        key: &str,
        tag: IntentTag,
        what: &str,
    ) -> Result<Vec<CinderVolume>, BackendError> {
        let call = self.cloud.get(Service::BlockStorage, &["volumes", "detail"], format!("{what} with tag {tag}"));
        paging::all(call.query("metadata", format!("{{'{key}': '{tag}'}}")), "volumes").await
    }

    pub(crate) async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        let call = self.cloud.get(Service::BlockStorage, &["volumes", "detail"], "volumes");
        let mut all = Listing::default();
        paging::each_page(call, "volumes", |page: Listing<CinderVolume>| {
            page.unreadable.iter().for_each(|note| all.note_unreadable(note));
            for volume in page.objects {
                match volume.facts() {
                    Ok(Some(volume)) => all.objects.push(volume),
                    Ok(None) => {}
                    Err(error) => all.note_unreadable(error),
                }
            }
        })
        .await?;
        Ok(all)
    }

    /// Cinder knows no volume out of use; one that is in use anyway is left alone.
    pub(crate) async fn set_volume_online(&self, id: &str, online: bool) -> Result<(), BackendError> {
        let volume = self.our_volume(id).await?;
        if online {
            return Ok(());
        }
        if volume.attachments.is_empty() {
            return Err(Capability::VolumeOffline.missing());
        }
        Err(BackendError::Conflict(format!("volume {id} is in a machine; detach it first")))
    }

    pub(crate) async fn resize_volume(&self, id: &str, size_bytes: u64) -> Result<(), BackendError> {
        let volume = self.our_volume(id).await?;
        let gib = size_bytes.div_ceil(GIB).max(1);
        if gib < volume.size {
            return Err(BackendError::Refused(format!(
                "volume {id} has {} GiB, and a volume never shrinks",
                volume.size
            )));
        }
        if gib == volume.size {
            return Ok(());
        }
        self.is_no_larger(size_bytes).await?;
        let token = self.cloud.session.token().await?;
        let version = self.cloud.version(Service::BlockStorage, &token).await?;
        let can_in_use = version.is_some_and(|version| version >= ENLARGES_IN_USE);
        match volume.status.as_str() {
            "available" => {}
            "in-use" if can_in_use => {}
            "in-use" => {
                return Err(BackendError::Conflict(format!("volume {id} is in a machine; detach it first")));
            }
            status => return Err(BackendError::Conflict(format!("volume {id} is {}", backend_http::quoted(status)))),
        }
        self.volume_action(&volume.id, json!({ "os-extend": { "new_size": gib } })).await
    }

    pub(crate) async fn volume_action(&self, id: &str, action: Value) -> Result<(), BackendError> {
        let path = ["volumes", id, "action"];
        let call = self.cloud.call(Service::BlockStorage, Method::POST, &path, format!("volume {id}"));
        call.body(action).send().await.map(drop)
    }

    /// Deletes the volume and its copies, and waits until Cinder knows it no more.
    pub(crate) async fn delete_volume(self: &Arc<Self>, id: &str) -> Result<(), BackendError> {
        let volume = match self.our_volume(id).await {
            Ok(volume) => volume,
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !volume.attachments.is_empty() {
            return Err(BackendError::Conflict(format!("volume {id} is in a machine; detach it first")));
        }
        let _turn = self.turns.of(format!("volume {id}")).await;
        let about = format!("volume {id}");
        // What Cinder still works on it deletes as little as what has it.
        self.await_effect(&format!("copies of {about}"), || async {
            Ok((!self.has_busy_copies(&volume.id).await?).then_some(()))
        })
        .await?;
        self.delete_backups(&volume.id).await?;
        if volume.status != "deleting" {
            let path = ["volumes", &volume.id];
            let call = self.cloud.call(Service::BlockStorage, Method::DELETE, &path, &about);
            match call.query("cascade", "true").send_if_there().await {
                // Cinder says 400 for what its state does not allow.
                Err(BackendError::Refused(why)) => return Err(BackendError::Conflict(why)),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        self.await_effect(&format!("delete of {about}"), || async {
            match self.our_volume(&volume.id).await {
                Err(BackendError::NotFound(_)) => Ok(Some(())),
                Err(error) => Err(error),
                Ok(volume) if volume.status == "error_deleting" => {
                    Err(BackendError::Failed(format!("{about}: Cinder cannot delete it (error_deleting)")))
                }
                Ok(_) => Ok(None),
            }
        })
        .await
    }
}
