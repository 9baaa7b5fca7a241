//! Volumes: `<data_dir>/volumes/<volume-id>/`, with a card (`volume.json`), the raw bytes (`disk.raw`, which takes the
//! room that guests have written to), and copies (`<tag>.backup.…`, `<tag>.snapshot.…`): raw, or qcow2 where QEMU made
//! them of a volume in use.
//!
//! A directory without a card is half made or half removed, and goes at the next start. A volume is claimed on its card
//! before it goes into a machine, and released when it is out: a claim that no machine knows of is released at the next
//! start.

mod card;
mod copies;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backend::{IntentTag, MachineId, Volume, VolumeId, VolumeSpec};
use card::{CARD, VolumeCard};

pub(crate) use card::Claim;
pub(crate) use copies::Copying;

use crate::{
    NodeError, host,
    machine_directory::{make_private, sync_directory},
};

const DISK: &str = "disk.raw";
/// Cards are held in memory.
const MOST_VOLUMES: usize = 10_000;

/// The volumes of this node. Its calls wait for the disk: not for threads that serve.
pub(crate) struct VolumeShelf {
    directory: PathBuf,
    disk_reserve_bytes: u64,
    /// Held while a card is written, so that cards on disk follow the order of what happened.
    entries: Mutex<BTreeMap<VolumeId, Entry>>,
}

struct Entry {
    card: VolumeCard,
    /// The copy that is being made.
    copying: Option<IntentTag>,
}

/// A volume is named by the intent that made it, so one intent cannot make two.
pub(crate) fn id_for(tag: IntentTag) -> Result<VolumeId, NodeError> {
    tag.to_string().try_into().map_err(|error| NodeError::Internal(format!("{error}")))
}

/// What guests see as a volume's serial number: the last 20 digits of its name, which differ.
pub(crate) fn serial(id: &VolumeId) -> String {
    let digits: Vec<char> = id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    digits[digits.len().saturating_sub(20)..].iter().collect()
}

impl VolumeShelf {
    /// Opens the directory, made if need be, and clears it of what was left unfinished.
    ///
    /// # Errors
    /// [`NodeError::File`] when the directory cannot be used.
    pub(crate) fn open(directory: PathBuf, disk_reserve_bytes: u64) -> Result<Arc<Self>, NodeError> {
        make_private(&directory)?;
        let failed = |source| NodeError::File { operation: "list", path: directory.clone(), source };
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(card) = find_again(&path)? {
                entries.insert(card.id.clone(), Entry { card, copying: None });
            }
        }
        Ok(Arc::new(Self { directory, disk_reserve_bytes, entries: Mutex::new(entries) }))
    }

    /// A new volume of zeros, or the one that carries the tag already.
    pub(crate) fn create(&self, spec: &VolumeSpec) -> Result<Volume, NodeError> {
        let id = id_for(spec.tag)?;
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&id) {
            return Ok(entry.show());
        }
        if entries.len() >= MOST_VOLUMES {
            return Err(NodeError::NoRoom(format!("there are {MOST_VOLUMES} volumes: delete some")));
        }
        self.ensure_room(0)?;
        let directory = self.directory_of(&id);
        if directory.exists() {
            return Err(NodeError::Refused(format!(
                "{} holds a volume that this driver cannot read: move it away first",
                directory.display()
            )));
        }
        let card = VolumeCard::new(id.clone(), spec.tag, spec.name.clone(), spec.size_bytes);
        if let Err(error) = make(&directory, &card) {
            // What stays has no card, and goes at the next start.
            let _ = fs::remove_dir_all(&directory);
            return Err(error);
        }
        let entry = entries.entry(id).or_insert(Entry { card, copying: None });
        Ok(entry.show())
    }

    pub(crate) fn show(&self, id: &VolumeId) -> Result<Volume, NodeError> {
        self.lock().get(id).map(Entry::show).ok_or_else(|| NodeError::UnknownVolume(id.clone()))
    }

    pub(crate) fn show_all(&self) -> Vec<Volume> {
        self.lock().values().map(Entry::show).collect()
    }

    /// Puts the volume into use, or out of it.
    pub(crate) fn set_online(&self, id: &VolumeId, online: bool) -> Result<(), NodeError> {
        self.change(id, |card, _| {
            if let (false, Some(claim)) = (online, &card.claim) {
                return Err(conflict("take out of use", id, &claim.in_words()));
            }
            card.online = online;
            Ok(())
        })
    }

    /// Who has the volume.
    pub(crate) fn claim_of(&self, id: &VolumeId) -> Result<Option<Claim>, NodeError> {
        let entries = self.lock();
        let entry = entries.get(id).ok_or_else(|| NodeError::UnknownVolume(id.clone()))?;
        Ok(entry.card.claim.clone())
    }

    /// Gives the volume to a machine. Done already is a success.
    pub(crate) fn claim(&self, id: &VolumeId, machine: &MachineId, tag: IntentTag) -> Result<(), NodeError> {
        let wanted = Claim { machine: machine.clone(), tag };
        self.change(id, |card, busy| match &card.claim {
            Some(claim) if *claim == wanted => Ok(()),
            Some(claim) => Err(conflict("attach", id, &claim.in_words())),
            None if busy => Err(conflict("attach", id, "being copied: try again later")),
            None if !card.online => Err(conflict("attach", id, "offline: put it online first")),
            None => {
                card.claim = Some(wanted);
                Ok(())
            }
        })
    }

    /// Takes the volume back from the machine that has it by this intent.
    pub(crate) fn release(&self, id: &VolumeId, tag: IntentTag) -> Result<(), NodeError> {
        let released = self.change(id, |card, _| {
            card.claim.take_if(|claim| claim.tag == tag);
            Ok(())
        });
        match released {
            Err(NodeError::UnknownVolume(_)) => Ok(()),
            released => released,
        }
    }

    /// Releases all claims that are not `known`.
    pub(crate) fn release_unless(&self, known: impl Fn(&VolumeId, &Claim) -> bool) -> Result<(), NodeError> {
        let claims: Vec<(VolumeId, Claim)> = {
            let entries = self.lock();
            entries.iter().filter_map(|(id, entry)| Some((id.clone(), entry.card.claim.clone()?))).collect()
        };
        for (id, claim) in claims {
            if !known(&id, &claim) {
                tracing::info!(volume = %id, machine = %claim.machine, "in no machine after all, released");
                self.release(&id, claim.tag)?;
            }
        }
        Ok(())
    }

    /// Makes the file larger, for a volume that no QEMU has open: in no machine, or in `holder`, which is off.
    pub(crate) fn grow(&self, id: &VolumeId, size_bytes: u64, holder: Option<&MachineId>) -> Result<(), NodeError> {
        let path = self.file_of(id);
        self.change(id, |card, busy| {
            match &card.claim {
                Some(claim) if Some(&claim.machine) != holder => return Err(conflict("resize", id, &claim.in_words())),
                _ if busy => return Err(conflict("resize", id, "being copied: try again later")),
                _ => {}
            }
            refuse_shrinking(card, size_bytes)?;
            let grown = OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.set_len(size_bytes)?;
                file.sync_all()
            });
            grown.map_err(NodeError::file("grow", &path))?;
            card.size_bytes = size_bytes;
            Ok(())
        })
    }

    /// Whether the volume may become this large.
    pub(crate) fn may_grow(&self, id: &VolumeId, size_bytes: u64) -> Result<(), NodeError> {
        let entries = self.lock();
        let entry = entries.get(id).ok_or_else(|| NodeError::UnknownVolume(id.clone()))?;
        refuse_shrinking(&entry.card, size_bytes)
    }

    /// Notes that QEMU has made the file larger.
    pub(crate) fn note_size(&self, id: &VolumeId, size_bytes: u64) -> Result<(), NodeError> {
        self.change(id, |card, _| {
            card.size_bytes = card.size_bytes.max(size_bytes);
            Ok(())
        })
    }

    /// Removes the volume and its copies. An unknown one is a success.
    pub(crate) fn delete(&self, id: &VolumeId) -> Result<(), NodeError> {
        let directory = self.directory_of(id);
        {
            let mut entries = self.lock();
            let Some(entry) = entries.get(id) else { return Ok(()) };
            if let Some(claim) = &entry.card.claim {
                return Err(conflict("delete", id, &claim.in_words()));
            }
            if entry.copying.is_some() {
                return Err(conflict("delete", id, "being copied: try again later"));
            }
            // Without its card it is none any more, whatever interrupts the rest.
            fs::remove_file(directory.join(CARD)).map_err(NodeError::file("remove", &directory))?;
            entries.remove(id);
        }
        fs::remove_dir_all(&directory).map_err(NodeError::file("remove", &directory))?;
        sync_directory(&self.directory)
    }

    /// The raw file behind a volume.
    pub(crate) fn file_of(&self, id: &VolumeId) -> PathBuf {
        self.directory_of(id).join(DISK)
    }

    fn directory_of(&self, id: &VolumeId) -> PathBuf {
        self.directory.join(id.as_str())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<VolumeId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a card, in memory only when it is on disk.
    fn change(
        &self,
        id: &VolumeId,
        change: impl FnOnce(&mut VolumeCard, bool) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).ok_or_else(|| NodeError::UnknownVolume(id.clone()))?;
        let mut card = entry.card.clone();
        change(&mut card, entry.copying.is_some())?;
        if card != entry.card {
            card.write(&self.directory_of(id))?;
            entry.card = card;
        }
        Ok(())
    }

    fn ensure_room(&self, wanted: u64) -> Result<(), NodeError> {
        host::ensure_room(&self.directory, wanted, self.disk_reserve_bytes)
    }
}

impl Entry {
    fn show(&self) -> Volume {
        self.card.show(self.copying.is_some())
    }
}

impl Claim {
    fn in_words(&self) -> String {
        format!("in machine {}: detach it first", self.machine)
    }
}

fn conflict(asked: &'static str, id: &VolumeId, state: &str) -> NodeError {
    NodeError::VolumeConflict { asked, id: id.clone(), state: state.to_owned() }
}

fn refuse_shrinking(card: &VolumeCard, size_bytes: u64) -> Result<(), NodeError> {
    if size_bytes < card.size_bytes {
        return Err(NodeError::Refused(format!(
            "volume {} has {} bytes and cannot shrink to {size_bytes}",
            card.id, card.size_bytes
        )));
    }
    Ok(())
}

fn make(directory: &Path, card: &VolumeCard) -> Result<(), NodeError> {
    make_private(directory)?;
    let path = directory.join(DISK);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|file| {
        file.set_len(card.size_bytes)?;
        file.sync_all()
    });
    made.map_err(NodeError::file("make", &path))?;
    card.write(directory)?;
    directory.parent().map_or(Ok(()), sync_directory)
}

/// The volume in a directory of an earlier driver's; nothing when there is none, or none that can be read.
fn find_again(directory: &Path) -> Result<Option<VolumeCard>, NodeError> {
    if !directory.join(CARD).exists() {
        tracing::info!(directory = %directory.display(), "half made, removed");
        return match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotADirectory => Err(NodeError::file("remove", directory)(error)),
            _ => Ok(None),
        };
    }
    copies::clear_unfinished(directory)?;
    match VolumeCard::read(directory) {
        Ok(mut card) => {
            // Grown by a driver that was killed before it could note it.
            let length = fs::metadata(directory.join(DISK)).map_or(0, |facts| facts.len());
            card.size_bytes = card.size_bytes.max(length);
            Ok(Some(card))
        }
        Err(error) => {
            // Not ours to judge: somebody's data may be in there.
            tracing::error!(directory = %directory.display(), %error, "left alone");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::serial;

    #[test]
    fn a_serial_number_is_what_differs_of_a_name() {
        let name = "0193b7a4-8f00-7c3a-9d54-5f1e2a6b7c8d".parse().unwrap();
        assert_eq!(serial(&name), "7c3a9d545f1e2a6b7c8d");
        assert_eq!(serial(&"v-1".parse().unwrap()), "v1");
    }
}
