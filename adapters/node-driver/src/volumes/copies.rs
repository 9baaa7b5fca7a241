use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use backend::{CopyPurpose, IntentTag, MachineId, VolumeId};
use disk_image::ImageFormat;

use super::{VolumeShelf, conflict};
use crate::{NodeError, machine_directory::sync_directory, sparse_copy};

/// Copies that are kept beside one volume.
const MOST_COPIES: usize = 16;
const UNFINISHED: &str = ".unfinished";

/// A copy in the making. The volume can be copied again when this is dropped, and what is unfinished goes.
pub(crate) struct Copying {
    shelf: Arc<VolumeShelf>,
    id: VolumeId,
    /// Without its ending.
    finished: PathBuf,
    unfinished: PathBuf,
}

impl Drop for Copying {
    fn drop(&mut self) {
        // Otherwise it goes at the next start.
        let _ = fs::remove_file(&self.unfinished);
        if let Some(entry) = self.shelf.lock().get_mut(&self.id) {
            entry.copying = None;
        }
    }
}

impl Copying {
    /// Where the bytes go.
    pub(crate) fn path(&self) -> &Path {
        &self.unfinished
    }

    /// The copy is complete, in this format.
    pub(crate) fn finish(self, format: ImageFormat) -> Result<(), NodeError> {
        let finished = self.finished.with_added_extension(format.name());
        let kept = File::open(&self.unfinished).and_then(|file| {
            file.sync_all()?;
            fs::rename(&self.unfinished, &finished)
        });
        kept.map_err(NodeError::file("write", &self.unfinished))?;
        finished.parent().map_or(Ok(()), sync_directory)
    }
}

impl VolumeShelf {
    /// Begins a copy of a volume that is in no machine, or in `holder`. Nothing when the same tag has its copy already,
    /// or is getting it.
    ///
    /// # Errors
    /// [`NodeError::VolumeConflict`] while another copy is made or another machine has it, [`NodeError::NoRoom`] when
    /// there are too many copies or the disk is full.
    pub(crate) fn begin_copy(
        self: &Arc<Self>,
        id: &VolumeId,
        holder: Option<&MachineId>,
        purpose: CopyPurpose,
        tag: IntentTag,
    ) -> Result<Option<Copying>, NodeError> {
        let directory = self.directory_of(id);
        let word = match purpose {
            CopyPurpose::Backup => "backup",
            CopyPurpose::Snapshot => "snapshot",
        };
        let source = self.file_of(id);
        let mut entries = self.lock();
        let entry = entries.get_mut(id).ok_or_else(|| NodeError::UnknownVolume(id.clone()))?;
        let copies = copies(&directory)?;
        if entry.copying == Some(tag) || copies.iter().any(|name| name.starts_with(&format!("{tag}.{word}."))) {
            return Ok(None);
        }
        if let Some(claim) = entry.card.claim.as_ref().filter(|claim| Some(&claim.machine) != holder) {
            return Err(conflict("copy", id, &claim.in_words()));
        }
        if entry.copying.is_some() {
            return Err(conflict("copy", id, "being copied: try again later"));
        }
        if copies.len() >= MOST_COPIES {
            return Err(NodeError::NoRoom(format!("volume {id} has {MOST_COPIES} copies, which is the most")));
        }
        let stored = fs::metadata(&source).map_err(NodeError::file("look at", &source))?.blocks().saturating_mul(512);
        self.ensure_room(stored)?;
        entry.copying = Some(tag);
        Ok(Some(Copying {
            shelf: Arc::clone(self),
            id: id.clone(),
            finished: directory.join(format!("{tag}.{word}")),
            unfinished: directory.join(format!("{tag}{UNFINISHED}")),
        }))
    }

    /// Copies a volume that no QEMU has open. The same tag again is the same copy.
    ///
    /// # Errors
    /// As [`VolumeShelf::begin_copy`], and [`NodeError::File`].
    pub(crate) fn copy(
        self: &Arc<Self>,
        id: &VolumeId,
        holder: Option<&MachineId>,
        purpose: CopyPurpose,
        tag: IntentTag,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), NodeError> {
        let Some(copying) = self.begin_copy(id, holder, purpose, tag)? else { return Ok(()) };
        let source = self.file_of(id);
        let from = File::open(&source).map_err(NodeError::file("open", &source))?;
        write(&from, copying.path(), goes_on).map_err(NodeError::file("write", copying.path()))?;
        copying.finish(ImageFormat::Raw)
    }
}

fn write(from: &File, path: &Path, goes_on: impl Fn() -> bool) -> std::io::Result<()> {
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    sparse_copy::copy(from, &to, goes_on)
}

/// The names of a volume's finished copies.
fn copies(directory: &Path) -> Result<Vec<String>, NodeError> {
    let failed = |source| NodeError::File { operation: "list", path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.contains(".backup.") || name.contains(".snapshot.")).collect())
}

/// Removes copies that a driver began and did not finish.
pub(super) fn clear_unfinished(directory: &Path) -> Result<(), NodeError> {
    let failed = |source| NodeError::File { operation: "list", path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(&path).map_err(NodeError::file("remove", &path))?;
        }
    }
    Ok(())
}
