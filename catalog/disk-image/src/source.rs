use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use rustix::{fs::OFlags, io::Errno};

use crate::ImageError;

/// The file that holds an image, or a part of a file, such as a member of an archive: the only thing that a reader
/// may touch.
///
/// Offsets count from the beginning of the part.
#[derive(Debug, Clone)]
pub(crate) struct ImageFile {
    file: Arc<File>,
    start: u64,
    length: u64,
}

/// What the file system knows of a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// Bytes up to here may be anything.
    DataUntil(u64),
    /// Bytes up to here are zeros that take no room.
    HoleUntil(u64),
}

impl ImageFile {
    /// Opens a regular file or block device for reading.
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        let refused = |source| ImageError::File { operation: "open", path: path.to_owned(), source };
        // Without NONBLOCK, a named pipe without a writer would hold us forever.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(refused)?;
        Self::adopt(file).map_err(refused)
    }

    /// Takes an open file.
    pub(crate) fn adopt(mut file: File) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a regular file nor a block device"));
        }
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file: Arc::new(file), start: 0, length })
    }

    /// A part of this; `None` when the part leaves it.
    pub(crate) fn part(&self, range: Range<u64>) -> Option<Self> {
        if range.start > range.end || range.end > self.length {
            return None;
        }
        Some(Self { file: Arc::clone(&self.file), start: self.start + range.start, length: range.end - range.start })
    }

    /// Which bytes of which file these are, by the file's device and number: the same for all of a file's names.
    pub(crate) fn place(&self) -> Result<((u64, u64), Range<u64>), ImageError> {
        let metadata = self.file.metadata().map_err(|source| ImageError::Read { offset: 0, source })?;
        Ok(((metadata.dev(), metadata.ino()), self.start..self.start + self.length))
    }

    /// Bytes in it when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Fills the buffer, with zeros where it passes the end that the file had when it was opened.
    ///
    /// A file that has shrunk since is an error, never zeros.
    pub(crate) fn read_padded(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        let there = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let (stored, beyond) = buffer.split_at_mut(there);
        beyond.fill(0);
        if stored.is_empty() {
            return Ok(());
        }
        self.file.read_exact_at(stored, self.start + offset).map_err(|source| ImageError::Read { offset, source })
    }

    /// Reads a fixed number of bytes, with zeros behind the end.
    pub(crate) fn read_array<const N: usize>(&self, offset: u64) -> Result<[u8; N], ImageError> {
        let mut bytes = [0; N];
        self.read_padded(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// What the file system knows about the bytes from `from` on, which lies before the end.
    pub(crate) fn allocation(&self, from: u64) -> Result<Allocation, ImageError> {
        let failed = |errno: Errno| ImageError::Read { offset: from, source: errno.into() };
        let end_of_part = |end: u64| (end - self.start).min(self.length);
        // Moves the file's position, which nothing else here depends on.
        let seek = |to| rustix::fs::seek(&*self.file, to);
        let place = self.start + from;
        match seek(rustix::fs::SeekFrom::Data(place)) {
            Ok(data) if data > place => Ok(Allocation::HoleUntil(end_of_part(data))),
            Ok(_) => match seek(rustix::fs::SeekFrom::Hole(place)) {
                Ok(hole) => Ok(Allocation::DataUntil(end_of_part(hole))),
                Err(errno) => Err(failed(errno)),
            },
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => Ok(Allocation::HoleUntil(self.length)),
            // Block devices and some file systems cannot tell.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Allocation::DataUntil(self.length)),
            Err(errno) => Err(failed(errno)),
        }
    }
}
