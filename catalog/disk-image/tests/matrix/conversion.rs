//! One disk into one file, and what of a file is to be compared.

use std::{fs::File, num::NonZero, os::unix::fs::FileExt, path::Path, sync::atomic::AtomicBool};

use disk_image::{
    DiskView, ImageError,
    convert::{Converted, Work},
    layout::Identity,
};
use rustix::{fs::SeekFrom, io::Errno};

use crate::target::Form;

/// Writes a disk into a new file, by as many threads as there are cores.
pub fn write(
    form: &Form,
    view: &dyn DiskView,
    path: &Path,
    identity: Option<Identity>,
) -> Result<Converted, ImageError> {
    write_by(None, form, view, path, identity)
}

/// Writes a disk into a new file.
pub fn write_by(
    threads: Option<NonZero<usize>>,
    form: &Form,
    view: &dyn DiskView,
    path: &Path,
    identity: Option<Identity>,
) -> Result<Converted, ImageError> {
    // Some formats are read again to be finished.
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    let durable = false;
    let work = Work { threads, durable, identity, progress: &|_| (), cancelled: &AtomicBool::new(false) };
    let converted = (form.make)().write(view, &file, &work)?;
    assert_eq!(file.metadata().unwrap().len(), converted.file_length, "{}", form.name);
    Ok(converted)
}

/// Names a file's bytes. Holes are zeros, and cost nothing.
pub fn digest(path: &Path) -> blake3::Hash {
    const BLOCK: u64 = 64 << 10;
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes());
    let mut block = vec![0; BLOCK as usize];
    let mut at = 0;
    while at < length {
        at = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data - data % BLOCK,
            Err(Errno::NXIO) => break,
            Err(errno) => panic!("{}: {errno}", path.display()),
        };
        let part = &mut block[..BLOCK.min(length - at) as usize];
        file.read_exact_at(part, at).unwrap();
        // Zeros that are stored are the same bytes as a hole.
        if part.iter().any(|byte| *byte != 0) {
            hasher.update(&at.to_le_bytes());
            hasher.update(part);
        }
        at += BLOCK;
    }
    hasher.finalize()
}
