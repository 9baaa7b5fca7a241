//! The volumes of this node, in machines or not.

use std::sync::Arc;

use backend::{Attachment, AttachmentSpec, CopyPurpose, IntentTag, MachineId, Volume, VolumeId, VolumeSpec};

use super::{
    Driver, Inner, admission,
    card::{Ask, Wish},
    lock,
};
use crate::{
    NodeError,
    image_cache::blocking,
    volumes::{self, Claim, VolumeShelf},
};

impl Driver {
    /// Makes a volume of zeros. One that carries the tag already is returned instead.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for impossible wishes, [`NodeError::NoRoom`].
    pub async fn create_volume(&self, spec: VolumeSpec) -> Result<Volume, NodeError> {
        admission::check_volume_size(spec.size_bytes, &self.limits())?;
        admission::check_name("volume", &spec.name)?;
        self.on_shelf(move |shelf| shelf.create(&spec)).await
    }

    /// The present facts of a volume.
    ///
    /// # Errors
    /// [`NodeError::UnknownVolume`].
    pub async fn volume(&self, id: &VolumeId) -> Result<Volume, NodeError> {
        let id = id.clone();
        self.on_shelf(move |shelf| shelf.show(&id)).await
    }

    /// The volume that carries the tag, if there is one.
    pub async fn find_volume_by_tag(&self, tag: IntentTag) -> Option<Volume> {
        self.volume(&volumes::id_for(tag).ok()?).await.ok()
    }

    /// All volumes.
    ///
    /// # Errors
    /// None in fact.
    pub async fn volumes(&self) -> Result<Vec<Volume>, NodeError> {
        self.on_shelf(|shelf| Ok(shelf.show_all())).await
    }

    /// Puts a volume into use, or out of it.
    ///
    /// # Errors
    /// [`NodeError::UnknownVolume`], [`NodeError::VolumeConflict`] for one in a machine that is to be offline.
    pub async fn set_volume_online(&self, id: &VolumeId, online: bool) -> Result<(), NodeError> {
        let id = id.clone();
        self.on_shelf(move |shelf| shelf.set_online(&id, online)).await
    }

    /// Makes a volume larger, wherever it is.
    ///
    /// # Errors
    /// [`NodeError::UnknownVolume`], [`NodeError::Refused`] for a smaller or impossible size,
    /// [`NodeError::VolumeConflict`] while it is copied, [`NodeError::Conflict`] in a hibernated machine.
    pub async fn resize_volume(&self, id: &VolumeId, size_bytes: u64) -> Result<(), NodeError> {
        let claim = self.claim_of(id).await?;
        admission::check_volume_size(size_bytes, &self.limits())?;
        match claim {
            Some(Claim { machine, tag }) => self.0.card(&machine)?.change(Wish::GrowVolume { tag, size_bytes }).await,
            None => {
                let id = id.clone();
                self.on_shelf(move |shelf| shelf.grow(&id, size_bytes, None)).await
            }
        }
    }

    /// Copies a volume, of one in use as after a power cut; the copy is kept beside it. The same tag again is the same
    /// copy. The work goes on to its end when the caller does not wait for it.
    ///
    /// # Errors
    /// [`NodeError::UnknownVolume`], [`NodeError::VolumeConflict`], [`NodeError::NoRoom`].
    pub async fn copy_volume(&self, id: &VolumeId, purpose: CopyPurpose, copy: IntentTag) -> Result<(), NodeError> {
        match self.claim_of(id).await? {
            Some(Claim { machine, tag }) => {
                let ask = |answer| Ask::CopyVolume { tag, purpose, copy, answer };
                self.0.card(&machine)?.ask(ask).await
            }
            None => {
                let (id, closing) = (id.clone(), self.0.means.closing.clone());
                self.on_shelf(move |shelf| shelf.copy(&id, None, purpose, copy, || !closing.is_cancelled())).await
            }
        }
    }

    /// Removes a volume and its copies. One that is unknown is a success.
    ///
    /// # Errors
    /// [`NodeError::VolumeConflict`] while it is in a machine or copied, [`NodeError::File`].
    pub async fn delete_volume(&self, id: &VolumeId) -> Result<(), NodeError> {
        let id = id.clone();
        self.on_shelf(move |shelf| shelf.delete(&id)).await
    }

    /// Puts a volume into a machine. The same tag again answers what is there.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::UnknownVolume`], [`NodeError::VolumeConflict`] for a volume that is
    /// offline, copied or elsewhere, [`NodeError::Conflict`] for a hibernated machine, [`NodeError::Refused`] when the
    /// machine has no place left.
    pub async fn attach(&self, machine: &MachineId, spec: AttachmentSpec) -> Result<Attachment, NodeError> {
        self.0.card(machine)?.ask(|answer| Ask::Attach { spec, answer }).await
    }

    /// Takes a volume out of a machine. A running guest is asked, and loses it after some seconds in any case. An
    /// unknown attachment or machine is a success.
    ///
    /// # Errors
    /// [`NodeError::Conflict`] for a suspended machine, whose memory knows the volume.
    pub async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), NodeError> {
        match self.0.card(machine) {
            Ok(card) => card.change(Wish::Detach(tag)).await,
            Err(_) => Ok(()),
        }
    }

    fn limits(&self) -> backend::Limits {
        admission::limits(&self.0.means.options, &self.0.means.memory)
    }

    async fn claim_of(&self, id: &VolumeId) -> Result<Option<Claim>, NodeError> {
        let id = id.clone();
        self.on_shelf(move |shelf| shelf.claim_of(&id)).await
    }

    async fn on_shelf<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<VolumeShelf>) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let shelf = Arc::clone(&self.0.means.volumes);
        self.finish(blocking(move || work(&shelf))).await
    }
}

impl Inner {
    /// Releases the volumes whose machines are gone, or never came to know of them.
    pub(super) async fn release_strays(&self, attached: Vec<(VolumeId, IntentTag)>) -> Result<(), NodeError> {
        let known: Vec<MachineId> = lock(&self.machines).keys().cloned().collect();
        let (shelf, machines) = (Arc::clone(&self.means.volumes), self.means.machines.clone());
        blocking(move || {
            shelf.release_unless(|volume, claim| {
                // One that cannot be read keeps what it has.
                let unreadable = !known.contains(&claim.machine) && machines.join(claim.machine.as_str()).exists();
                unreadable || attached.iter().any(|(id, tag)| id == volume && *tag == claim.tag)
            })
        })
        .await
    }
}
