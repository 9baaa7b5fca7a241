use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use tempfile::{Builder, TempPath};

use crate::ImageError;

/// What is not seen under its name before it is complete: a new file, or a device that is there already.
///
/// Dropped before [`Output::keep`], a new file leaves nothing behind, not even when the process is killed, where the
/// file system has files without names.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    /// May stand in the place of an older file.
    overwrite: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Has no name yet.
    Unnamed,
    /// Has a name of its own until it gets the right one.
    Named(TempPath),
    Device,
}

impl Output {
    /// Makes ready to write what will be `path`. With `overwrite`, it may replace a file, or be a block device.
    ///
    /// # Errors
    /// [`ImageError::File`] when it exists and must not be replaced, is a directory or the like, or cannot be made.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, ImageError> {
        let refused = |source| ImageError::File { operation: "create", path: path.to_owned(), source };
        let path = match fs::metadata(path) {
            Ok(there) => {
                Self::may_replace(&there, overwrite).map_err(refused)?;
                // Through a symbolic link, the file behind it is meant.
                let path = fs::canonicalize(path).map_err(refused)?;
                if there.file_type().is_block_device() {
                    let exclusive = OFlags::EXCL.bits().cast_signed();
                    let device = OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(&path);
                    return Ok(Self { file: device.map_err(refused)?, path, overwrite, kind: Kind::Device });
                }
                path
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(refused(error)),
        };
        let directory = directory_of(&path);
        let (file, kind) = match unnamed_file(directory) {
            Some(file) => (file, Kind::Unnamed),
            None => {
                let named = Builder::new().prefix(".").suffix(".part").permissions(readable()).tempfile_in(directory);
                let (file, path) = named.map_err(refused)?.into_parts();
                (file, Kind::Named(path))
            }
        };
        Ok(Self { file, path, overwrite, kind })
    }

    fn may_replace(there: &fs::Metadata, overwrite: bool) -> io::Result<()> {
        let kind = there.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a block device"));
        }
        if overwrite {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists already"))
    }

    /// Where to write.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether this is the very device that `source` is; a new file never is.
    ///
    /// # Errors
    /// What the system says of either.
    pub fn is_source(&self, source: &Path) -> io::Result<bool> {
        if !matches!(self.kind, Kind::Device) {
            return Ok(false);
        }
        let (source, target) = (fs::metadata(source)?, self.file.metadata()?);
        Ok(source.file_type().is_block_device() && source.rdev() == target.rdev())
    }

    /// Gives the file its name. With `durable`, bytes and name are on the disk when this returns.
    ///
    /// # Errors
    /// [`ImageError::File`] when the name was taken in the meantime, or the disk does not take the bytes.
    pub fn keep(self, durable: bool) -> Result<(), ImageError> {
        let refused = |operation| {
            let path = self.path.clone();
            move |source| ImageError::File { operation, path, source }
        };
        if durable {
            self.file.sync_all().map_err(refused("write"))?;
        }
        let named = match self.kind {
            Kind::Device => return Ok(()),
            Kind::Named(ref temporary) if self.overwrite => fs::rename(temporary, &self.path),
            Kind::Named(ref temporary) => fs::hard_link(temporary, &self.path),
            Kind::Unnamed if self.overwrite => replace(&self.file, &self.path),
            Kind::Unnamed => name(&self.file, &self.path),
        };
        named.map_err(refused("name"))?;
        if durable {
            File::open(directory_of(&self.path)).and_then(|directory| directory.sync_all()).map_err(refused("name"))?;
        }
        Ok(())
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn readable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// A file without a name; `None` where the file system or a missing `/proc` does not let one be named later.
fn unnamed_file(directory: &Path) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::open(directory, flags, Mode::from_raw_mode(0o644)).ok().map(File::from)?;
    fs::metadata(descriptor(&file)).is_ok().then_some(file)
}

fn descriptor(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Fails when the name is taken.
fn name(file: &File, path: &Path) -> io::Result<()> {
    Ok(linkat(CWD, descriptor(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Through a name of its own, since only renaming replaces in one step.
fn replace(file: &File, path: &Path) -> io::Result<()> {
    let temporary = Builder::new().prefix(".").suffix(".part").make_in(directory_of(path), |own| name(file, own))?;
    temporary.into_temp_path().persist(path).map_err(|error| error.error)
}
