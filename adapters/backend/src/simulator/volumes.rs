//! Volumes, their copies, and where they are attached.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Course, Operation, Simulator, State, shelf::Object, unknown};
use crate::{
    Attachment, AttachmentSpec, BackendError, Capability, CopyPurpose, IntentTag, Listing, MachineId, Volume, VolumeId,
    VolumeSpec, VolumeState, Volumes,
};

const SECTOR: u64 = 512;
/// Of a device's name, in bytes, without the directory.
const LONGEST_DEVICE: usize = 32;
/// The root disk's.
const ROOT_DEVICE: &str = "/dev/vda";

pub(super) struct SimulatedVolume {
    id: VolumeId,
    pub(super) spec: VolumeSpec,
    /// How large it was before the resize under way.
    size_before: u64,
    course: Course<VolumeState>,
    detail: Option<String>,
    pub(super) copies: BTreeMap<IntentTag, CopyPurpose>,
}

impl Object for SimulatedVolume {
    type Id = VolumeId;

    const PREFIX: &'static str = "vol";

    fn tag(&self) -> IntentTag {
        self.spec.tag
    }
}

impl SimulatedVolume {
    pub(super) fn facts(&self, now: Instant) -> Volume {
        let state = self.course.at(now);
        let size_bytes = if state == VolumeState::Busy { self.size_before } else { self.spec.size_bytes };
        Volume { id: self.id.clone(), tag: self.spec.tag, state, size_bytes, detail: self.detail.clone() }
    }

    pub(super) fn arrival(&self) -> Option<Instant> {
        self.course.arrival.map(|(at, _)| at)
    }

    pub(super) fn fail(&mut self, detail: &str) {
        self.course = Course::at_rest(VolumeState::Failed);
        self.detail = Some(detail.to_owned());
    }

    /// The state in which the volume rests; there is none on the way.
    fn rest(&self, asked: &str, now: Instant) -> Result<VolumeState, BackendError> {
        match self.course.at(now) {
            state @ (VolumeState::Online | VolumeState::Offline) => Ok(state),
            other => Err(BackendError::Conflict(format!("volume {} is {other:?} and cannot be {asked} now", self.id))),
        }
    }

    fn resize(&mut self, size_bytes: u64, now: Instant, done: Instant) -> Result<(), BackendError> {
        if size_bytes == self.spec.size_bytes {
            return Ok(());
        }
        if size_bytes < self.spec.size_bytes {
            return Err(BackendError::Refused(format!(
                "volume {} has {} bytes and cannot shrink to {size_bytes}",
                self.id, self.spec.size_bytes
            )));
        }
        let rest = self.rest("resized", now)?;
        self.size_before = self.spec.size_bytes;
        self.spec.size_bytes = size_bytes;
        self.course = Course::through(VolumeState::Busy, done, rest);
        Ok(())
    }

    fn copy(&mut self, purpose: CopyPurpose, tag: IntentTag, now: Instant, done: Instant) -> Result<(), BackendError> {
        if self.copies.contains_key(&tag) {
            return Ok(());
        }
        let rest = self.rest("copied", now)?;
        self.size_before = self.spec.size_bytes;
        self.copies.insert(tag, purpose);
        self.course = Course::through(VolumeState::Busy, done, rest);
        Ok(())
    }
}

impl State {
    fn volume(&self, id: &VolumeId) -> Result<&SimulatedVolume, BackendError> {
        self.volumes.get(id).ok_or_else(|| unknown("a volume", id))
    }

    fn volume_mut(&mut self, id: &VolumeId) -> Result<&mut SimulatedVolume, BackendError> {
        self.volumes.get_mut(id).ok_or_else(|| unknown("a volume", id))
    }

    fn must_be_free(&self, id: &VolumeId) -> Result<(), BackendError> {
        self.joins.machine_with_volume(id).map_or(Ok(()), |machine| {
            Err(BackendError::Conflict(format!("volume {id} is attached to machine {machine}: detach it first")))
        })
    }

    fn admit_volume(&self, size_bytes: u64) -> Result<(), BackendError> {
        let most = self.behaviour.description.limits.volume_bytes;
        if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR) {
            return Err(BackendError::Refused(format!("{size_bytes} bytes are no multiple of {SECTOR}")));
        }
        if size_bytes > most {
            return Err(BackendError::Refused(format!("{size_bytes} bytes are more than the {most} of one volume")));
        }
        Ok(())
    }

    fn create_volume(&mut self, spec: &VolumeSpec, now: Instant) -> Result<Volume, BackendError> {
        if self.behaviour.idempotent_create
            && let Some(existing) = self.volumes.oldest(spec.tag)?
        {
            return Ok(existing.facts(now));
        }
        self.admit_volume(spec.size_bytes)?;
        let id = self.volumes.fresh_name(spec.tag)?;
        let ready_at = now + self.behaviour.delays.volume;
        let volume = SimulatedVolume {
            id: id.clone(),
            spec: spec.clone(),
            size_before: spec.size_bytes,
            course: Course::through(VolumeState::Building, ready_at, VolumeState::Online),
            detail: None,
            copies: BTreeMap::new(),
        };
        let facts = volume.facts(now);
        self.volumes.insert(id.clone(), volume, now);
        self.tell_of_volume(&id);
        Ok(facts)
    }

    fn set_online(&mut self, id: &VolumeId, online: bool, now: Instant) -> Result<(), BackendError> {
        let wanted = if online { VolumeState::Online } else { VolumeState::Offline };
        if !online {
            self.behaviour.must(Capability::VolumeOffline)?;
        }
        let rest = self.volume(id)?.rest("put into use or out of it", now)?;
        if rest == wanted {
            return Ok(());
        }
        if !online {
            self.must_be_free(id)?;
        }
        self.volume_mut(id)?.course = Course::at_rest(wanted);
        self.tell_of_volume(id);
        Ok(())
    }

    pub(super) fn attach(
        &mut self,
        machine: &MachineId,
        spec: &AttachmentSpec,
        now: Instant,
    ) -> Result<Attachment, BackendError> {
        let attachments = &self.machine(machine)?.attachments;
        if let Some(existing) = attachments.iter().find(|attachment| attachment.tag == spec.tag) {
            return Ok(existing.clone());
        }
        let device = device(spec.device.as_deref(), attachments);
        if self.volume(&spec.volume)?.rest("attached", now)? == VolumeState::Offline {
            return Err(BackendError::Conflict(format!("volume {} is offline: put it online first", spec.volume)));
        }
        self.must_be_free(&spec.volume)?;
        let attachment = Attachment { tag: spec.tag, volume: spec.volume.clone(), device };
        self.join_volume(machine, attachment.clone())?;
        Ok(attachment)
    }
}

/// The device that was wished for if a guest could have it, otherwise the first free one after the root disk.
fn device(wanted: Option<&str>, attachments: &[Attachment]) -> String {
    let free = |device: &str| device != ROOT_DEVICE && attachments.iter().all(|taken| taken.device != device);
    if let Some(wanted) = wanted.filter(|wanted| is_device(wanted) && free(wanted)) {
        return wanted.to_owned();
    }
    // One more than there are taken ones, so one of them is free.
    (1..).map(|index| format!("/dev/vd{}", letters(index))).find(|device| free(device)).unwrap_or_default()
}

fn is_device(text: &str) -> bool {
    text.strip_prefix("/dev/").is_some_and(|rest| {
        (1..=LONGEST_DEVICE).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// a, b, … z, aa, ab, … as Linux counts its disks.
fn letters(index: u32) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => letter.to_string(),
        more => format!("{}{letter}", letters(more - 1)),
    }
}

#[async_trait]
impl Volumes for Simulator {
    async fn create(&self, spec: &VolumeSpec) -> Result<Volume, BackendError> {
        self.perform(Operation::CreateVolume, |state, now| state.create_volume(spec, now)).await
    }

    async fn volume(&self, id: &VolumeId) -> Result<Volume, BackendError> {
        self.perform(Operation::Volume, |state, now| Ok(state.volume(id)?.facts(now))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Volume>, BackendError> {
        let find = |state: &mut State, now| {
            let found = state.volumes.find(tag, now, state.behaviour.listing_lag)?;
            Ok(found.map(|found| found.facts(now)))
        };
        self.perform(Operation::FindVolumeByTag, find).await
    }

    async fn volumes(&self) -> Result<Listing<Volume>, BackendError> {
        self.perform(Operation::Volumes, |state, now| Ok(state.list_volumes(now))).await
    }

    async fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), BackendError> {
        self.perform(Operation::SetVolumeOnline, |state, now| state.set_online(id, online, now)).await
    }

    async fn resize(&self, id: &VolumeId, size_bytes: u64) -> Result<(), BackendError> {
        let resize = |state: &mut State, now| {
            state.behaviour.must(Capability::VolumeResize)?;
            state.volume(id)?;
            state.admit_volume(size_bytes)?;
            let done = now + state.behaviour.delays.volume;
            state.volume_mut(id)?.resize(size_bytes, now, done)?;
            state.tell_of_volume(id);
            Ok(())
        };
        self.perform(Operation::ResizeVolume, resize).await
    }

    async fn copy(&self, id: &VolumeId, purpose: CopyPurpose, tag: IntentTag) -> Result<(), BackendError> {
        let copy = |state: &mut State, now| {
            state.behaviour.must(match purpose {
                CopyPurpose::Backup => Capability::VolumeBackup,
                CopyPurpose::Snapshot => Capability::VolumeSnapshot,
            })?;
            let done = now + state.behaviour.delays.volume;
            state.volume_mut(id)?.copy(purpose, tag, now, done)?;
            state.tell_of_volume(id);
            Ok(())
        };
        self.perform(Operation::CopyVolume, copy).await
    }

    async fn delete(&self, id: &VolumeId) -> Result<(), BackendError> {
        let delete = |state: &mut State, _| {
            state.must_be_free(id)?;
            state.remove_volume(id);
            Ok(())
        };
        self.perform(Operation::DeleteVolume, delete).await
    }

    async fn attach(&self, machine: &MachineId, spec: &AttachmentSpec) -> Result<Attachment, BackendError> {
        self.perform(Operation::Attach, |state, now| state.attach(machine, spec, now)).await
    }

    async fn detach(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let detach = |state: &mut State, _| {
            state.part_volumes(machine, |attachment| attachment.tag == tag);
            Ok(())
        };
        self.perform(Operation::Detach, detach).await
    }
}
