use std::{fmt, fs::File, path::Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::{ImageError, source::ImageFile};

/// Where the other files of an image may be: those that lie beside it, by their plain names and nothing else.
///
/// An image that names files is believed only as far as whoever handed it over handed over those files too.
pub(crate) trait Neighbours: Send + Sync {
    /// The file of this name, which is a plain one ([`is_plain`]); `None` when there is none.
    fn find(&self, name: &str) -> Result<Option<ImageFile>, ImageError>;
}

/// Whether a name can only mean a file in the same directory.
pub(crate) fn is_plain(name: &str) -> bool {
    const LONGEST: usize = 255;
    !name.is_empty()
        && name.len() <= LONGEST
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}

/// An image that came alone.
#[derive(Debug)]
pub(crate) struct Alone;

impl Neighbours for Alone {
    fn find(&self, _: &str) -> Result<Option<ImageFile>, ImageError> {
        Ok(None)
    }
}

/// The files of one directory, without those of its children and without what links lead to.
pub(crate) struct Directory {
    handle: File,
}

impl Directory {
    /// The directory that a file lies in.
    pub(crate) fn of(path: &Path) -> Result<Self, ImageError> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let handle = File::open(directory).map_err(|source| ImageError::File {
            operation: "open the directory",
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self { handle })
    }
}

impl Neighbours for Directory {
    fn find(&self, name: &str) -> Result<Option<ImageFile>, ImageError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let refused = |source| ImageError::File { operation: "open the extent", path: name.into(), source };
        match openat2(&self.handle, name, flags, Mode::empty(), within) {
            Ok(file) => ImageFile::adopt(File::from(file)).map(Some).map_err(refused),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused(errno.into())),
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}
