//! Volumes in and out of the machine, while it runs or not.
//!
//! The record names a volume before QEMU gets it, and until QEMU has let go of it: the next driver puts in what is
//! missing, and takes out what was leaving.

use std::path::PathBuf;

use backend::{Attachment, AttachmentSpec, IntentTag, VolumeId};
use serde_json::{Value, json};

use super::{Keeper, persist};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::hotplug::{VOLUME_SLOTS, Volume},
    machine_directory::Inserted,
    volumes::serial,
};

impl Inserted {
    /// What is told of it. Before it come the root disk and the seed.
    fn show(&self) -> Attachment {
        let letter = char::from(b'c'.saturating_add(self.slot));
        Attachment { tag: self.tag, volume: self.volume.clone(), device: format!("/dev/vd{letter}") }
    }
}

impl Keeper {
    pub(super) async fn attach(&mut self, spec: &AttachmentSpec) -> Result<Attachment, NodeError> {
        self.ensure_awake("attach a volume to")?;
        if let Some(known) = self.record.volumes.iter().find(|known| known.tag == spec.tag).cloned() {
            if known.volume != spec.volume || known.leaving {
                return Err(self.busy("attach a volume to", "given another volume by the same intent"));
            }
            self.plug(&known).await?;
            return Ok(known.show());
        }
        let slot = self.free_slot().await?;
        let inserted = Inserted { tag: spec.tag, volume: spec.volume.clone(), slot, leaving: false };
        self.claim(&inserted).await?;
        self.record.volumes.push(inserted.clone());
        let put_in = match persist(&self.directory, &self.record).await {
            Ok(()) => self.plug(&inserted).await,
            Err(error) => Err(error),
        };
        if let Err(error) = put_in {
            self.forget(spec.tag).await?;
            return Err(error);
        }
        Ok(inserted.show())
    }

    pub(super) async fn detach(&mut self, tag: IntentTag) -> Result<(), NodeError> {
        if !self.record.volumes.iter().any(|known| known.tag == tag) {
            return Ok(());
        }
        self.ensure_listening("detach a volume from")?;
        self.ensure_not_copied(tag)?;
        let Some(known) = self.record.volumes.iter_mut().find(|known| known.tag == tag) else { return Ok(()) };
        known.leaving = true;
        let known = known.clone();
        persist(&self.directory, &self.record).await?;
        self.unplug(&known).await?;
        self.forget(tag).await
    }

    /// Makes a volume of this machine larger; a running guest sees it at once.
    pub(super) async fn grow_volume(&mut self, tag: IntentTag, size_bytes: u64) -> Result<(), NodeError> {
        let inserted = self.inserted(tag)?;
        self.ensure_awake("resize a volume of")?;
        self.ensure_not_copied(tag)?;
        let (volumes, id) = (self.means.volumes.clone(), inserted.volume.clone());
        if self.run.is_none() {
            let machine = self.record.id.clone();
            return blocking(move || volumes.grow(&id, size_bytes, Some(&machine))).await;
        }
        let (checked, name) = (volumes.clone(), id.clone());
        blocking(move || checked.may_grow(&name, size_bytes)).await?;
        self.order("block_resize", json!({ "node-name": Volume::name(inserted.slot), "size": size_bytes })).await?;
        blocking(move || volumes.note_size(&id, size_bytes)).await
    }

    pub(super) fn inserted(&self, tag: IntentTag) -> Result<Inserted, NodeError> {
        let found = self.record.volumes.iter().find(|known| known.tag == tag).cloned();
        found.ok_or_else(|| self.busy("use a volume of", "without it by now: try again"))
    }

    /// Puts in what is missing and takes out what was leaving, after another driver's end.
    pub(super) async fn finish_volumes(&mut self) {
        for inserted in self.record.volumes.clone() {
            let done = if inserted.leaving {
                match self.unplug(&inserted).await {
                    Ok(()) => self.forget(inserted.tag).await,
                    Err(error) => Err(error),
                }
            } else if self.run.is_some() && self.ensure_awake("attach a volume to").is_ok() {
                self.plug(&inserted).await
            } else {
                Ok(())
            };
            if let Err(error) = done {
                tracing::warn!(machine = %self.record.id, volume = %inserted.volume, %error, "not as it should be");
            }
        }
    }

    /// The machine is gone; its volumes stay.
    pub(super) async fn release_volumes(&mut self) {
        for inserted in std::mem::take(&mut self.record.volumes) {
            if let Err(error) = self.release(inserted.volume.clone(), inserted.tag).await {
                tracing::warn!(volume = %inserted.volume, %error, "a volume is released at the next start");
            }
        }
    }

    async fn claim(&self, inserted: &Inserted) -> Result<(), NodeError> {
        let (volumes, machine) = (self.means.volumes.clone(), self.record.id.clone());
        let Inserted { volume, tag, .. } = inserted.clone();
        blocking(move || volumes.claim(&volume, &machine, tag)).await
    }

    async fn release(&self, volume: VolumeId, tag: IntentTag) -> Result<(), NodeError> {
        let volumes = self.means.volumes.clone();
        blocking(move || volumes.release(&volume, tag)).await
    }

    /// Out of the record, then free for others.
    async fn forget(&mut self, tag: IntentTag) -> Result<(), NodeError> {
        let Some(place) = self.record.volumes.iter().position(|known| known.tag == tag) else { return Ok(()) };
        let gone = self.record.volumes.remove(place);
        persist(&self.directory, &self.record).await?;
        self.release(gone.volume, tag).await
    }

    /// The lowest free place, so that a guest's names for volumes follow the places.
    async fn free_slot(&mut self) -> Result<u8, NodeError> {
        // A volume that was taken from a deaf guest still takes its place.
        let devices = if self.run.is_some() { self.devices().await? } else { Vec::new() };
        let taken = |slot: &u8| {
            self.record.volumes.iter().any(|known| known.slot == *slot) || devices.contains(&Volume::name(*slot))
        };
        (0..VOLUME_SLOTS).find(|slot| !taken(slot)).ok_or_else(|| {
            NodeError::Refused(format!("machine {} has {VOLUME_SLOTS} volumes, which is the most", self.record.id))
        })
    }

    /// Lets a running QEMU have the volume, unless it has it.
    async fn plug(&mut self, inserted: &Inserted) -> Result<(), NodeError> {
        if self.run.is_none() || self.devices().await?.contains(&Volume::name(inserted.slot)) {
            return Ok(());
        }
        let file: PathBuf = self.means.volumes.file_of(&inserted.volume);
        let serial = serial(&inserted.volume);
        let volume = Volume { slot: inserted.slot, file: &file, serial: &serial };
        let (node, device) = (volume.node(), volume.device());
        self.drop_nodes(inserted.slot).await;
        self.order("blockdev-add", node).await?;
        let added = self.order("device_add", device).await;
        if added.is_err() {
            self.drop_nodes(inserted.slot).await;
        }
        added.map(drop)
    }

    /// Takes the volume out of a running QEMU: the guest is asked, and if it does not answer, the volume is taken from
    /// its device, as if the disk had broken.
    async fn unplug(&mut self, inserted: &Inserted) -> Result<(), NodeError> {
        if self.run.is_none() {
            return Ok(());
        }
        let name = Volume::name(inserted.slot);
        if self.devices().await?.contains(&name) && !self.ask_guest_to_let_go(&name).await? {
            tracing::warn!(machine = %self.record.id, volume = %inserted.volume, "the guest does not let go of it");
            let broken = json!({
                "driver": "blkdebug", "node-name": nothing(inserted.slot),
                "inject-error": [{ "event": "none", "errno": 5, "once": false }],
                "image": { "driver": "null-co", "size": 512, "read-zeroes": true },
            });
            self.order("blockdev-add", broken).await?;
            let path = format!("/machine/peripheral/{name}");
            let drive = json!({ "path": path, "property": "drive", "value": nothing(inserted.slot) });
            self.order("qom-set", drive).await?;
        }
        self.drop_nodes(inserted.slot).await;
        Ok(())
    }

    /// What QEMU has open for this place and no device uses.
    async fn drop_nodes(&mut self, slot: u8) {
        for node in [Volume::name(slot), nothing(slot)] {
            if let Some(run) = &mut self.run {
                let _: Result<Value, _> = run.order("blockdev-del", json!({ "node-name": node })).await;
            }
        }
    }
}

/// The name of the node that a taken volume leaves behind.
fn nothing(slot: u8) -> String {
    format!("nothing{slot}")
}
