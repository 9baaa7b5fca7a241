use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

use crate::ImageError;

/// The file that holds an image, and the only thing that a reader may touch.
#[derive(Debug)]
pub(crate) struct ImageFile {
    file: File,
    length: u64,
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
        Ok(Self { file, length })
    }

    /// Bytes in the file when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Fills the buffer, with zeros where it passes the end that the file had when it was opened.
    ///
    /// A file that has shrunk since is an error, never zeros.
    pub(crate) fn read_padded(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        let there = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let (stored, beyond) = buffer.split_at_mut(there);
        beyond.fill(0);
        self.file.read_exact_at(stored, offset).map_err(|source| ImageError::Read { offset, source })
    }
}
