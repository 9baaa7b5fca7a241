use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use disk_image::ContentDigest;

use super::{ImageCache, Temporary};
use crate::{NodeError, machine_directory::sync_directory};

const CHUNK: usize = 1 << 20;

impl ImageCache {
    pub(super) fn link_now(&self, digest: ContentDigest, size: u64, source: &Path) -> Result<(), NodeError> {
        let failed = |operation| move |error| NodeError::File { operation, path: source.to_owned(), source: error };
        let bad = |problem: String| Err(NodeError::BadImage { digest, problem });
        let file = File::open(source).map_err(failed("open"))?;
        let facts = file.metadata().map_err(failed("look at"))?;
        if !facts.is_file() {
            return bad(format!("{} is not a file", source.display()));
        }
        if facts.len() != size {
            return bad(format!("{} has {} bytes, announced were {size}", source.display(), facts.len()));
        }
        let found = hash(&file, size).map_err(failed("read"))?;
        if found != digest {
            return bad(format!("the bytes of {} have the digest {found}", source.display()));
        }
        let name = self.path_of(&digest);
        match fs::hard_link(source, &name) {
            // The path may lead to another file by now than the one that was checked.
            Ok(()) if name.metadata().is_ok_and(|m| (m.dev(), m.ino()) == (facts.dev(), facts.ino())) => {
                sync_directory(&self.directory)
            }
            Ok(()) => {
                fs::remove_file(&name).map_err(NodeError::file("remove", &name))?;
                bad(format!("{} was replaced meanwhile", source.display()))
            }
            // Another file system, or not ours to link.
            Err(_) => self.copy(digest, &file, size, source),
        }
    }

    fn copy(&self, digest: ContentDigest, file: &File, size: u64, source: &Path) -> Result<(), NodeError> {
        self.ensure_room(file.metadata().map_or(size, |facts| facts.blocks().saturating_mul(512).min(size)))?;
        let temporary = Temporary::new(&self.directory)?;
        let mut hasher = blake3::Hasher::new();
        let mut reader = file;
        io::Seek::rewind(&mut reader).map_err(NodeError::file("read", source))?;
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        while at < size {
            let most = usize::try_from(size - at).unwrap_or(CHUNK).min(CHUNK);
            let read = reader.read(&mut chunk[..most]).map_err(NodeError::file("read", source))?;
            if read == 0 {
                break;
            }
            hasher.update(&chunk[..read]);
            if chunk[..read].iter().any(|byte| *byte != 0) {
                let written = temporary.file.write_all_at(&chunk[..read], at);
                written.map_err(NodeError::file("write", &temporary.path))?;
            }
            at += read as u64;
        }
        if at != size || ContentDigest::from_bytes(*hasher.finalize().as_bytes()) != digest {
            let problem = format!("{} changed while it was copied", source.display());
            return Err(NodeError::BadImage { digest, problem });
        }
        temporary.keep(size, &self.path_of(&digest))
    }
}

fn hash(mut file: &File, size: u64) -> io::Result<ContentDigest> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut rest = size;
    while rest > 0 {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        rest = rest.saturating_sub(read as u64);
    }
    Ok(ContentDigest::from_bytes(*hasher.finalize().as_bytes()))
}
