//! Copies of files with holes, which take no more room than the original.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::{
    fs::{SeekFrom, ioctl_ficlone, seek},
    io::Errno,
};

const CHUNK: usize = 1 << 20;
const BLOCK: usize = 4 << 10;

/// Makes `to`, an empty file, equal to `from`: by shared blocks where the file system has them, else byte by byte, with
/// zeros left out. Asks `goes_on` between two chunks.
///
/// # Errors
/// What the system says; [`io::ErrorKind::Interrupted`] when `goes_on` says no.
pub(crate) fn copy(from: &File, to: &File, goes_on: impl Fn() -> bool) -> io::Result<()> {
    if ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < length {
        let data = match seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = seek(from, SeekFrom::Hole(data))?.min(length);
        at = data;
        while at < hole {
            if !goes_on() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "it is not wanted any more"));
            }
            let wanted = usize::try_from(hole - at).unwrap_or(CHUNK).min(CHUNK);
            let read = from.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                // It became shorter: the rest is a hole now.
                return Ok(());
            }
            write_blocks(to, &buffer[..read], at)?;
            at += read as u64;
        }
    }
    Ok(())
}

fn write_blocks(to: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut place = at;
    for block in bytes.chunks(BLOCK) {
        if block.iter().any(|byte| *byte != 0) {
            to.write_all_at(block, place)?;
        }
        place += block.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, io, os::unix::fs::FileExt, os::unix::fs::MetadataExt};

    use super::copy;

    #[test]
    fn holes_stay_holes_and_bytes_stay_bytes() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        let file = fs::File::options().read(true).write(true).create_new(true).open(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"in the middle", (32 << 20) + 5).unwrap();
        file.write_all_at(b"end", (64 << 20) - 3).unwrap();
        file.write_all_at(&[0; 8192], 1 << 20).unwrap();
        copy(&file, &fs::File::create_new(&to).unwrap(), || true).unwrap();
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
    }

    #[test]
    fn a_copy_that_nobody_wants_ends() {
        let root = tempfile::tempdir().unwrap();
        let file = fs::File::options().read(true).write(true).create_new(true).open(root.path().join("from")).unwrap();
        file.write_all_at(&[1; 4096], 0).unwrap();
        let to = fs::File::create_new(root.path().join("to")).unwrap();
        match copy(&file, &to, || false) {
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
            Ok(()) => assert_eq!(to.metadata().unwrap().len(), 4096, "shared blocks need no time"),
        }
    }
}
