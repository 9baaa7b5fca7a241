use std::{
    fs::File,
    io,
    num::NonZero,
    os::unix::fs::{FileExt, FileTypeExt},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{fs::FallocateFlags, io::Errno};

use crate::ImageError;

const ZEROS: usize = 1 << 20;

/// The file that is written.
pub(super) struct TargetFile<'a> {
    file: &'a File,
    /// Where in the file the image begins: something else may stand before it.
    start: u64,
    /// Everything that has not been written reads as zero.
    is_blank: bool,
    /// The most bytes that fit; a device cannot grow.
    capacity: Option<u64>,
    /// File systems let one thread at a time write to a file: those that wait are better asleep than spinning.
    writing: Mutex<()>,
    /// Where the last byte written so far ends.
    written: AtomicU64,
}

impl<'a> TargetFile<'a> {
    /// Takes an empty regular file, or a block device whatever it holds.
    pub(super) fn new(file: &'a File) -> Result<Self, ImageError> {
        let failed = |source| ImageError::Write { offset: 0, source };
        let metadata = file.metadata().map_err(failed)?;
        if metadata.file_type().is_block_device() {
            let end = rustix::fs::seek(file, rustix::fs::SeekFrom::End(0)).map_err(|errno| failed(errno.into()))?;
            return Ok(Self {
                file,
                start: 0,
                is_blank: false,
                capacity: Some(end),
                writing: Mutex::default(),
                written: AtomicU64::new(0),
            });
        }
        if metadata.len() > 0 {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "the file is not empty")));
        }
        Ok(Self {
            file,
            start: 0,
            is_blank: true,
            capacity: None,
            writing: Mutex::default(),
            written: AtomicU64::new(0),
        })
    }

    /// The same file, for an image behind its first bytes.
    pub(super) fn behind(self, start: u64) -> Self {
        Self { start, ..self }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// Refuses what does not fit on a device.
    pub(super) fn make_room(&self, length: u64) -> Result<(), ImageError> {
        let length = self.start + length;
        match self.capacity {
            Some(capacity) if length > capacity => {
                let problem = format!("the device has {capacity} bytes, and {length} are needed");
                let source = io::Error::new(io::ErrorKind::StorageFull, problem);
                Err(ImageError::Write { offset: capacity, source })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = self.start + offset;
        self.file.write_all_at(bytes, offset).map_err(|source| ImageError::Write { offset, source })?;
        self.written.fetch_max(offset + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Lets the disk begin with what has been written from `from` on, without waiting for it, and answers where that
    /// ends. Pages that the disk has already are dropped from memory, which is the price of the one call that does it
    /// on every system: others may need the room anyhow.
    pub(super) fn begin_writeback(&self, from: u64) -> u64 {
        let to = self.written.load(Ordering::Relaxed);
        if let Some(length) = NonZero::new(to.saturating_sub(from)) {
            let _ = rustix::fs::fadvise(self.file, from, Some(length), rustix::fs::Advice::DontNeed);
        }
        to
    }

    /// Makes a range read as zeros, if it does not already.
    pub(super) fn write_zeros(&self, offset: u64, length: u64) -> Result<(), ImageError> {
        if self.is_blank || length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(self.file, flags, self.start + offset, length) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::INVAL | Errno::NOSYS) => {}
            Err(errno) => return Err(ImageError::Write { offset, source: errno.into() }),
        }
        let zeros = vec![0; ZEROS];
        let mut at = offset;
        while at < offset + length {
            let part = usize::try_from(offset + length - at).unwrap_or(ZEROS).min(ZEROS);
            self.write_at(at, &zeros[..part])?;
            at += part as u64;
        }
        Ok(())
    }

    /// Zeros all of a device that has no use for what it held; nothing for a blank file.
    pub(super) fn blank(&mut self) -> Result<(), ImageError> {
        if let Some(capacity) = self.capacity
            && !self.is_blank
        {
            self.write_zeros(0, capacity)?;
            self.is_blank = true;
        }
        Ok(())
    }

    /// Reads what was written.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), ImageError> {
        let offset = self.start + offset;
        self.file.read_exact_at(bytes, offset).map_err(|source| ImageError::Read { offset, source })
    }

    /// Gives a regular file its length.
    pub(super) fn finish(&self, length: u64) -> Result<(), ImageError> {
        self.make_room(length)?;
        if self.capacity.is_some() {
            return Ok(());
        }
        self.file.set_len(self.start + length).map_err(|source| ImageError::Write { offset: length, source })
    }
}
