//! Volumes are persistent images.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{
    Attachment, AttachmentSpec, BackendError, CopyPurpose, IntentTag, Listing, MachineId, Volume, VolumeId, VolumeSpec,
    VolumeState, Volumes,
};

use crate::{
    OpenNebulaBackend,
    document::{Disk, ImageDocument, ImageState, VmDocument},
    names::{self, Id, Kind},
    oned::{Allocated, allocated, unless_unknown},
    pool::Pool,
    rpc::Call,
    site::{Site, is_ours},
    waiting::Looks,
    xml::Template,
};

/// Until a disk is in a machine, or out of it.
const PLUGS: Duration = Duration::from_secs(100);

/// The tag of a volume of ours; the copies of one carry its tag as an attribute, and another name.
fn tag_of(image: &ImageDocument) -> Option<IntentTag> {
    let named = Kind::Volume.tag_in(&image.name);
    let is_copy = image.name.starts_with("volume-") && image.name.contains(".copy-");
    named.or(image.tag.filter(|_| !is_copy && image.digest.is_none()))
}

fn facts(image: &ImageDocument) -> Result<Option<Volume>, BackendError> {
    let Some(tag) = tag_of(image) else { return Ok(None) };
    let state = match image.state {
        ImageState::Init | ImageState::Locked => VolumeState::Building,
        ImageState::Ready | ImageState::Used | ImageState::UsedPersistent => VolumeState::Online,
        ImageState::Disabled => VolumeState::Offline,
        ImageState::Clone | ImageState::LockedUsed | ImageState::LockedUsedPersistent => VolumeState::Busy,
        ImageState::Error => VolumeState::Failed,
        ImageState::Delete => return Ok(None),
    };
    let size_bytes = image.size_mib.checked_mul(1 << 20);
    let size_bytes = size_bytes.ok_or_else(|| BackendError::Failed(format!("image {} is too large", image.id)))?;
    Ok(Some(Volume { id: image.id.named()?, tag, state, size_bytes, detail: image.error.clone() }))
}

fn unknown(id: &VolumeId) -> BackendError {
    BackendError::NotFound(format!("volume {id}"))
}

impl Site {
    /// The image behind a volume of ours.
    pub(crate) async fn volume_document(&self, id: &VolumeId) -> Result<ImageDocument, BackendError> {
        let image: ImageDocument = self.oned.object("one.image.info", Id::of("volume", id.as_str())?).await?;
        if facts(&image)?.is_some() { Ok(image) } else { Err(unknown(id)) }
    }

    async fn volume_by_tag(&self, tag: IntentTag) -> Result<Option<ImageDocument>, BackendError> {
        let is_it = |image: &ImageDocument| tag_of(image) == Some(tag) && image.state != ImageState::Delete;
        self.oned.find(Pool::images(self.filter()), is_it).await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        self.version().await?;
        if let Some(known) = self.volume_by_tag(spec.tag).await? {
            return facts(&known)?.ok_or_else(|| unknown_tag(spec.tag));
        }
        self.is_small_enough(spec.size_bytes).await?;
        let datastore = self.datastore_for(spec.size_bytes).await?;
        let template = Template::write(|image| {
            image.set("NAME", Kind::Volume.name(&spec.name, spec.tag)).set("TYPE", "DATABLOCK");
            image.set("SIZE", spec.size_bytes.div_ceil(1 << 20)).set("PERSISTENT", "YES");
            image.set("FORMAT", "raw").set("DRIVER", "raw").set("DEV_PREFIX", &self.options.disk_prefix);
            image.set(names::TAG, spec.tag);
        })?;
        let call = Call::new("one.image.allocate").with(template).with(datastore);
        let image = match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => self.shown("one.image.info", id).await?,
            Allocated::NameTaken(refusal) => self.volume_by_tag(spec.tag).await?.ok_or(refusal)?,
        };
        facts(&image)?.ok_or_else(|| unknown_tag(spec.tag))
    }

    async fn is_small_enough(&self, bytes: u64) -> Result<(), BackendError> {
        let most = self.limits().await?.volume_bytes;
        if bytes <= most {
            return Ok(());
        }
        Err(BackendError::Refused(format!("{bytes} bytes: {most} is the most that a volume has here")))
    }

    /// Refuses a volume that no machine can be given now.
    pub(crate) fn is_attachable(&self, image: &ImageDocument) -> Result<(), BackendError> {
        let id = image.id;
        match image.state {
            ImageState::Ready => Ok(()),
            ImageState::Disabled => Err(BackendError::Conflict(format!("volume {id} is offline; put it online first"))),
            ImageState::Used | ImageState::UsedPersistent => {
                Err(BackendError::Conflict(format!("volume {id} is in another machine; detach it there first")))
            }
            _ => Err(BackendError::Conflict(format!("volume {id} is not ready"))),
        }
    }

    async fn attach(&self, machine: Id, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        let vm = self.settled(machine).await?;
        let image = self.volume_document(&spec.volume).await?;
        if let Some(disk) = vm.disks.iter().find(|disk| disk.tag == Some(spec.tag)) {
            return attachment(&vm, disk, spec);
        }
        let image = if image.state.is_arriving() { self.image_at_rest(image.id, PLUGS).await? } else { image };
        self.is_attachable(&image)?;
        let template = Template::write(|template| {
            template.vector("DISK", |disk| {
                disk.set("IMAGE_ID", image.id).set("DEV_PREFIX", &self.options.disk_prefix).set(names::TAG, spec.tag);
            });
        })?;
        self.oned.changed(&Call::new("one.vm.attach").with(machine).with(template)).await?;
        let after = self.finished(machine, PLUGS).await?;
        match after.disks.iter().find(|disk| disk.tag == Some(spec.tag)) {
            Some(disk) => attachment(&after, disk, spec),
            None => Err(Self::why_not(&after, "put a volume into")),
        }
    }

    async fn detach(&self, machine: Id, tag: IntentTag) -> Result<(), BackendError> {
        let vm = match self.vm_if_known(machine).await? {
            Some(vm) if vm.disks.iter().any(|disk| disk.tag == Some(tag)) => self.settled(vm.id).await?,
            _ => return Ok(()),
        };
        let Some(disk) = vm.disks.iter().find(|disk| disk.tag == Some(tag)) else { return Ok(()) };
        let call = Call::new("one.vm.detach").with(machine).with(disk.id);
        if unless_unknown(self.oned.change(&call).await?)?.is_none() {
            return Ok(());
        }
        let after = self.finished(machine, PLUGS).await?;
        if after.disks.iter().any(|disk| disk.tag == Some(tag)) {
            return Err(Self::why_not(&after, "take a volume out of"));
        }
        let Some(image) = disk.image else { return Ok(()) };
        self.given_back(image).await
    }

    /// An image is free a moment after its machine is rid of it.
    async fn given_back(&self, image: Id) -> Result<(), BackendError> {
        let mut looks = Looks::within(PLUGS);
        loop {
            let now: Option<ImageDocument> = self.oned.object_if_known("one.image.info", image).await?;
            let in_use = now.is_some_and(|image| image.state == ImageState::UsedPersistent);
            if !in_use || !looks.next().await {
                return Ok(());
            }
        }
    }

    /// A machine of ours, if there is one of this name.
    pub(crate) async fn vm_if_known(&self, id: Id) -> Result<Option<VmDocument>, BackendError> {
        Ok(self.oned.object_if_known("one.vm.info", id).await?.filter(is_ours))
    }

    /// The machine that has the volume, and its disk there.
    async fn holder(&self, image: &ImageDocument) -> Result<Option<(VmDocument, Id)>, BackendError> {
        for machine in image.machines.iter().take(1) {
            let Some(vm) = self.vm_if_known(*machine).await? else { continue };
            if let Some(disk) = vm.disks.iter().find(|disk| disk.image == Some(image.id)).map(|disk| disk.id) {
                return Ok(Some((vm, disk)));
            }
        }
        Ok(None)
    }

    async fn resize_volume(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        let image = self.volume_document(id).await?;
        let present = image.size_mib.saturating_mul(1 << 20);
        if size_bytes == present || size_bytes.div_ceil(1 << 20) == image.size_mib {
            return Ok(());
        }
        if size_bytes < present {
            return Err(BackendError::Refused(format!("volume {id} has {present} bytes and never shrinks")));
        }
        self.is_small_enough(size_bytes).await?;
        match self.holder(&image).await? {
            Some((vm, disk)) => {
                let vm = self.settled(vm.id).await?;
                self.enlarge_disk(vm.id, disk, size_bytes).await
            }
            None => Err(BackendError::Unsupported("resize a volume that is in no machine; attach it first".into())),
        }
    }

    async fn copy_volume(&self, id: &VolumeId, copy: IntentTag) -> Result<(), BackendError> {
        let image = self.volume_document(id).await?;
        let tag = tag_of(&image).ok_or_else(|| unknown(id))?;
        let name = names::of_copy(tag, copy);
        // While it is copied it takes no second wish; the same wish again is granted already.
        if image.state == ImageState::Clone && self.image_named(&name).await?.is_some() {
            return Ok(());
        }
        let call = match self.holder(&image).await? {
            Some((vm, disk)) => {
                let vm = self.settled(vm.id).await?;
                Call::new("one.vm.disksaveas").with(vm.id).with(disk).with(name).with("DATABLOCK").with(-1)
            }
            None => Call::new("one.image.clone").with(image.id).with(name),
        };
        match allocated(self.oned.change(&call).await?)? {
            Allocated::New(_) | Allocated::NameTaken(_) => Ok(()),
        }
    }

    async fn image_named(&self, name: &str) -> Result<Option<ImageDocument>, BackendError> {
        self.oned.find(Pool::images(self.filter()), |image: &ImageDocument| image.name == name).await
    }

    async fn delete_volume(&self, id: &VolumeId) -> Result<(), BackendError> {
        let image = match self.volume_document(id).await {
            Ok(image) => image,
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if matches!(image.state, ImageState::Used | ImageState::UsedPersistent | ImageState::LockedUsedPersistent) {
            return Err(BackendError::Conflict(format!("volume {id} is in a machine; detach it first")));
        }
        if let Some(tag) = tag_of(&image) {
            let is_copy = |image: ImageDocument| Ok(names::is_copy_of(tag, &image.name).then_some(image.id));
            for copy in self.oned.list(Pool::images(self.filter()), is_copy).await?.objects {
                self.remove_image(copy).await?;
            }
        }
        self.image_at_rest(image.id, PLUGS).await?;
        self.remove_image(image.id).await
    }

    async fn set_volume_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        let image = self.volume_document(id).await?;
        match (image.state, online) {
            (ImageState::Disabled, false) => return Ok(()),
            (ImageState::Disabled, true) | (ImageState::Ready, false) => {}
            (ImageState::Used | ImageState::UsedPersistent, false) => {
                return Err(BackendError::Conflict(format!("volume {id} is in a machine; detach it first")));
            }
            (ImageState::Ready | ImageState::Used | ImageState::UsedPersistent, true) => return Ok(()),
            _ => return Err(BackendError::Conflict(format!("volume {id} is not ready"))),
        }
        self.oned.changed(&Call::new("one.image.enable").with(image.id).with(online)).await.map(drop)
    }
}

fn attachment(vm: &VmDocument, disk: &Disk, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
    let other = || BackendError::Conflict(format!("attachment {} of machine {} is of another volume", spec.tag, vm.id));
    let volume = disk.image.ok_or_else(other)?.named()?;
    if volume != spec.volume {
        return Err(other());
    }
    let device = disk.target.as_ref().map_or_else(|| format!("disk-{}", disk.id), |target| format!("/dev/{target}"));
    Ok(Attachment { tag: spec.tag, volume, device })
}

fn unknown_tag(tag: IntentTag) -> BackendError {
    BackendError::Failed(format!("OpenNebula made the volume of {tag} and lost it"))
}

#[async_trait]
impl Volumes for OpenNebulaBackend {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.create_volume(&spec).await }).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        facts(&self.site.volume_document(id).await?)?.ok_or_else(|| unknown(id))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        self.site.volume_by_tag(tag).await?.map_or(Ok(None), |image| facts(&image))
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.site.oned.list(Pool::images(self.site.filter()), |image: ImageDocument| facts(&image)).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.site.set_volume_online(id, online).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        self.site.resize_volume(id, size_bytes).await
    }

    async fn copy(&self, id: &VolumeId, _purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        self.site.copy_volume(id, tag).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        self.site.delete_volume(id).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        let machine = Id::of("machine", machine.as_str())?;
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.attach(machine, &spec).await }).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let Ok(machine) = Id::of("machine", machine.as_str()) else { return Ok(()) };
        let site = Arc::clone(&self.site);
        self.site.to_the_end(tag, async move { site.detach(machine, tag).await }).await
    }
}
