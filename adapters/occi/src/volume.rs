//! Volumes: OCCI's storages, and their links to machines.

use async_trait::async_trait;
use backend::{
    Attachment, AttachmentSpec, BackendError, Capability, CopyPurpose, IntentTag, Listing, MachineId, Volume, VolumeId,
    VolumeSpec, VolumeState, Volumes,
};
use occi_schema::{
    Value,
    render::Attributes,
    well_known::{
        BACKUP, COMPUTE, OFFLINE, ONLINE, SNAPSHOT, STORAGE, STORAGE_LINK,
        attribute::{STORAGE_LINK_DEVICE, STORAGE_SIZE},
    },
};

use crate::{
    OcciBackend,
    compute::ours,
    peer::Peer,
    reading::Entity,
    server::{Server, failure, standing, tag_of},
    sizes, units,
};

fn volume(peer: &Peer, entity: &Entity) -> Result<Option<Volume>, String> {
    let Some((_, tag)) = tag_of(entity) else { return Ok(None) };
    let id = entity.id.parse::<VolumeId>().map_err(|error| error.to_string())?;
    let size_bytes = entity.number(&STORAGE_SIZE).and_then(units::bytes_of_gib).ok_or("a storage without a size")?;
    let standing = standing(peer, &STORAGE, entity);
    let state = match (standing.state.as_str(), standing.is_busy) {
        ("error" | "degraded", _) => VolumeState::Failed,
        ("backup" | "snapshot" | "resize", _) | ("online", true) => VolumeState::Busy,
        (_, true) => VolumeState::Building,
        ("online", false) => VolumeState::Online,
        ("offline", false) => VolumeState::Offline,
        _ => VolumeState::Building,
    };
    Ok(Some(Volume { id, tag, state, size_bytes, detail: standing.message }))
}

fn attachment(link: &Entity, spec: &AttachmentSpec) -> Attachment {
    const LONGEST_DEVICE: usize = 64;
    let device = link.text(&STORAGE_LINK_DEVICE).unwrap_or_default();
    let device: String = device.chars().filter(|letter| !letter.is_control()).take(LONGEST_DEVICE).collect();
    let device = if device.is_empty() { "unknown".to_owned() } else { device };
    Attachment { tag: spec.tag, volume: spec.volume.clone(), device }
}

impl Server {
    async fn volume_of(&self, id: &str) -> Result<Volume, BackendError> {
        let entity = self.get(&STORAGE, id).await?;
        ours(volume(&*self.peer().await?, &entity), "volume", id)
    }

    async fn make_volume(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        let entity = match self.find(&STORAGE, spec.tag).await? {
            Some(entity) => entity,
            None => {
                let peer = self.peer().await?;
                let most = sizes::limits(&peer, &self.options, true).volume_bytes;
                if spec.size_bytes > most {
                    let wanted = spec.size_bytes;
                    return Err(BackendError::Refused(format!("a volume of {wanted} bytes, {most} are the most")));
                }
                let mut mixins = Vec::new();
                self.place(&peer, &mut mixins)?;
                let mut attributes = Self::mark(&peer, &spec.name, spec.tag);
                attributes.insert(STORAGE_SIZE.clone(), Value::Float(units::gib_of_bytes(spec.size_bytes)));
                self.make(&STORAGE, spec.tag, &mixins, &attributes, &[]).await?
            }
        };
        // A new storage is offline in OCCI until somebody takes it online (GFD.224 section 3.3).
        let (_, standing) = self.settled(&STORAGE, &entity.id).await?;
        if standing.state == "offline" && self.peer().await?.categories.offers(&STORAGE, &ONLINE) {
            self.act(&STORAGE, &entity.id, &ONLINE, &Attributes::new(), None).await?;
        }
        self.volume_of(&entity.id).await
    }

    async fn take_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        let present = self.volume_of(id.as_str()).await?.state;
        let (action, wanted) = if online { (&ONLINE, VolumeState::Online) } else { (&OFFLINE, VolumeState::Offline) };
        if present == wanted {
            return Ok(());
        }
        if !self.peer().await?.categories.offers(&STORAGE, action) {
            return Err(Capability::VolumeOffline.missing());
        }
        if !online {
            self.must_be_free(&STORAGE, id.as_str(), &STORAGE_LINK).await?;
        }
        self.act(&STORAGE, id.as_str(), action, &Attributes::new(), None).await
    }

    async fn resize_volume(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        let present = self.volume_of(id.as_str()).await?;
        if size_bytes < present.size_bytes {
            let (now, id) = (present.size_bytes, id.as_str());
            return Err(BackendError::Refused(format!("volume {id} has {now} bytes, and volumes never shrink")));
        }
        if size_bytes == present.size_bytes {
            return Ok(());
        }
        if !self.peer().await?.dialect.is_complete {
            return Err(Capability::VolumeResize.missing());
        }
        let size = Value::Float(units::gib_of_bytes(size_bytes));
        self.change(&STORAGE, id.as_str(), &[], &Attributes::from([(STORAGE_SIZE.clone(), size)])).await?;
        let (_, standing) = self.settled(&STORAGE, id.as_str()).await?;
        if standing.message.is_some() { Err(failure(&standing)) } else { Ok(()) }
    }

    async fn copy_volume(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        let (action, capability) = match purpose {
            CopyPurpose::Backup => (&BACKUP, Capability::VolumeBackup),
            CopyPurpose::Snapshot => (&SNAPSHOT, Capability::VolumeSnapshot),
        };
        self.volume_of(id.as_str()).await?;
        let peer = self.peer().await?;
        // Without a key, a copy that is asked for again would be another one.
        if !(peer.dialect.repeats && peer.categories.offers(&STORAGE, action)) {
            return Err(capability.missing());
        }
        self.act(&STORAGE, id.as_str(), action, &Attributes::new(), Some(tag)).await
    }

    async fn attach_volume(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        if let Some(id) = self.own_link(machine, &STORAGE_LINK, spec.tag).await? {
            return Ok(attachment(&self.joined(&STORAGE_LINK, &id).await?, spec));
        }
        let id = spec.volume.as_str();
        // Some servers take a storage online by linking it.
        if self.volume_of(id).await?.state == VolumeState::Offline {
            return Err(BackendError::Conflict(format!("volume {id} is offline; take it online first")));
        }
        self.must_be_free(&STORAGE, id, &STORAGE_LINK).await?;
        let ends = (self.path(&COMPUTE, machine.as_str()).await?, self.path(&STORAGE, id).await?);
        let mut attributes = Attributes::new();
        if let Some(device) = &spec.device {
            attributes.insert(STORAGE_LINK_DEVICE.clone(), Value::from(device.as_str()));
        }
        let link = self.join(&STORAGE_LINK, spec.tag, (&ends.0, &ends.1), &[], attributes).await?;
        Ok(attachment(&self.joined(&STORAGE_LINK, &link.id).await?, spec))
    }
}

#[async_trait]
impl Volumes for OcciBackend {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        self.server.make_volume(spec).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        self.server.volume_of(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        let Some(entity) = self.server.find(&STORAGE, tag).await? else { return Ok(None) };
        ours(volume(&*self.server.peer().await?, &entity), "volume", &entity.id).map(Some)
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.server.list(&STORAGE, volume).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.server.take_online(id, online).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        self.server.resize_volume(id, size_bytes).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        self.server.copy_volume(id, purpose, tag).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        self.server.must_be_free(&STORAGE, id.as_str(), &STORAGE_LINK).await?;
        self.server.remove(&STORAGE, id.as_str()).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        self.server.attach_volume(machine, spec).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        self.server.part(machine, &STORAGE_LINK, tag).await
    }
}

/// Whether the server has volumes of which ours can be told from others'.
pub(crate) fn are_there(peer: &Peer) -> bool {
    let has = |kind| peer.categories.location(kind).is_some();
    peer.dialect.keeps_link_titles && has(&STORAGE) && has(&STORAGE_LINK)
}
