use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

use disk_image::{ContentDigest, ImageFormat};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ImageStore, RenderedImage, StoreError};

/// Bytes that are read together.
const PIECE: usize = 1 << 20;
/// What is remembered is not longer, in bytes.
const LONGEST: u64 = 4096;

/// Checksums of an image's file in one format, for clients that know nothing of our digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// Of which file ([`RenderedImage::validator`]).
    pub validator: String,
    /// The file's length, in bytes.
    pub length: u64,
    /// MD5 in hexadecimal digits. Good against accidents only.
    pub md5: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Checksums {
    /// Reads the whole file. `goes_on` is asked after each MiB or so; `None` when it said no.
    ///
    /// # Errors
    /// [`StoreError::Image`] when the stored image cannot be read.
    pub fn compute(rendered: &RenderedImage, goes_on: &dyn Fn() -> bool) -> Result<Option<Self>, StoreError> {
        let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < rendered.length() {
            if !goes_on() {
                return Ok(None);
            }
            let length = usize::try_from(rendered.length() - at).unwrap_or(PIECE).min(PIECE);
            let part = &mut buffer[..length];
            rendered.read_at(at, part)?;
            md5.update(&*part);
            sha256.update(&*part);
            at += length as u64;
        }
        Ok(Some(Self {
            validator: rendered.validator().to_owned(),
            length: rendered.length(),
            md5: hexadecimal(&md5.finalize()),
            sha256: hexadecimal(&sha256.finalize()),
        }))
    }
}

impl ImageStore {
    /// What is remembered of the image's file in this format. It may be of a file that is not made any more: compare
    /// the validators before anybody is told to rely on it.
    ///
    /// # Errors
    /// [`StoreError::File`] when the system cannot tell.
    pub fn checksums(&self, digest: &ContentDigest, format: ImageFormat) -> Result<Option<Checksums>, StoreError> {
        let path = self.checksums_path(digest, format);
        match read(&path) {
            // What cannot be read any more is computed again.
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &path, error)),
        }
    }

    /// Remembers them, beside the image, for all who share this store.
    ///
    /// # Errors
    /// [`StoreError::Full`], or [`StoreError::File`].
    pub fn remember(
        &self,
        digest: &ContentDigest,
        format: ImageFormat,
        checksums: &Checksums,
    ) -> Result<(), StoreError> {
        let path = self.checksums_path(digest, format);
        let failed = |error| self.failed("write", &path, error);
        let text = serde_json::to_vec(checksums).map_err(|error| failed(error.into()))?;
        let mut whole = path.as_os_str().to_owned();
        whole.push(format!(".{}", process::id()));
        let whole = PathBuf::from(whole);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&whole)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&whole, &path));
        if written.is_err() {
            let _ = fs::remove_file(&whole);
        }
        written.map_err(failed)
    }

    /// Forgets them, when the image is removed.
    pub(crate) fn forget_checksums(&self, digest: &ContentDigest) {
        for format in ImageFormat::ALL {
            // Without their image they are never looked at; a new one of this digest has the same content.
            let _ = fs::remove_file(self.checksums_path(digest, format));
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
