use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use uuid::Uuid;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Nothing that was sealed is longer, in characters.
const LONGEST_SEALED: usize = 256 << 10;
/// A key file is not longer, in bytes.
const LONGEST_FILE: u64 = 1024;

/// The secret of this installation, shared by its replicas. It is never used itself: each purpose has a key of its
/// own, derived by the purpose's name, so that what was sealed for one is nothing to another.
#[derive(Clone)]
pub struct Secret {
    key: [u8; KEY_BYTES],
}

/// Why there is no secret, or nothing could be sealed.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file could not be read or made.
    #[error("cannot {what} the key file {}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "the key file {} may be read or written by others (mode {mode:03o}): whoever has it can sign in as anybody; \
         run `chmod 600` on it, and remove it to get a new one if it may have been read",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a key.
    #[error("the key file {} must hold 32 bytes in base64; `openssl rand -base64 32` makes such a line", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
    /// More than a cipher takes.
    #[error("there is too much to be sealed")]
    TooLong,
}

impl Secret {
    /// A secret that is known already.
    pub fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        Self { key }
    }

    /// The secret in a file; made if there is no file. Several processes may do this at once: they get the same.
    ///
    /// # Errors
    /// The file cannot be read or made, may be read by others, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::load(path) {
            Err(SecretError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    fn load(path: &Path) -> Result<Self, SecretError> {
        let failed = |what| move |source| SecretError::File { what, path: path.to_owned(), source };
        let file = File::open(path).map_err(failed("open"))?;
        // Of the file that was opened, not of the path: it cannot be exchanged in between.
        let mode = file.metadata().map_err(failed("examine"))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(LONGEST_FILE).read_to_string(&mut text).map_err(failed("read"))?;
        let text = text.trim();
        let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text));
        let key = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        key.map(Self::from_bytes).ok_or_else(|| SecretError::Malformed { path: path.to_owned() })
    }

    /// The key for a purpose.
    pub fn derive(&self, label: &str) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        // Only more than 255 blocks are an error, and this is one.
        let _ = Hkdf::<Sha256>::new(Some(b"tombolo"), &self.key).expand(label.as_bytes(), &mut key);
        key
    }

    /// Who the installation is among brokers: the same for all its replicas, and nothing that tells of the secret.
    pub fn broker_id(&self) -> Uuid {
        let mut id = [0; 16];
        id.iter_mut().zip(self.derive("broker id")).for_each(|(place, byte)| *place = byte);
        uuid::Builder::from_random_bytes(id).into_uuid()
    }

    /// Encrypts and authenticates for a purpose; base64url.
    ///
    /// # Errors
    /// The system gives no random bytes, or there is too much to seal.
    pub fn seal(&self, label: &str, plain: &[u8]) -> Result<String, SecretError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let cipher = XChaCha20Poly1305::new(&self.derive(label).into());
        let sealed = cipher.encrypt(&XNonce::from(nonce), plain).map_err(|_| SecretError::TooLong)?;
        let text = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        if text.len() > LONGEST_SEALED { Err(SecretError::TooLong) } else { Ok(text) }
    }

    /// What was sealed for this purpose by this secret; `None` for anything else.
    pub fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > LONGEST_SEALED {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        XChaCha20Poly1305::new(&self.derive(label).into()).decrypt(&XNonce::from(*nonce), sealed).ok()
    }
}

// The key must not reach a log by way of {:?}.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Makes the file complete or not at all, and never in place of another.
fn create(path: &Path) -> Result<(), SecretError> {
    let failed = |what| move |source| SecretError::File { what, path: path.to_owned(), source };
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key)?;
    let mut whole = path.as_os_str().to_owned();
    whole.push(format!(".{}", uuid::Uuid::now_v7().simple()));
    let whole = PathBuf::from(whole);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&whole).and_then(|mut file| {
        file.write_all(format!("{}\n", URL_SAFE_NO_PAD.encode(key)).as_bytes())?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&whole, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&whole);
    linked.map_err(failed("make"))?;
    // The name has to outlive a power cut as well, or all sessions end with it.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("keep"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let secret = Secret::from_bytes([7; 32]);
        let sealed = secret.seal("session", b"refresh token").unwrap();
        assert_eq!(secret.open("session", &sealed).as_deref(), Some(&b"refresh token"[..]));
        assert_eq!(secret.open("login", &sealed), None);
        assert_eq!(Secret::from_bytes([8; 32]).open("session", &sealed), None);
        assert_ne!(secret.seal("session", b"refresh token").unwrap(), sealed);
        assert_ne!(secret.derive("session"), secret.derive("login"));
    }

    #[test]
    fn whatever_is_changed_does_not_open() {
        let secret = Secret::from_bytes([7; 32]);
        let bytes = URL_SAFE_NO_PAD.decode(secret.seal("login", b"state").unwrap()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(secret.open("login", &URL_SAFE_NO_PAD.encode(&changed)), None, "byte {at}");
            assert_eq!(secret.open("login", &URL_SAFE_NO_PAD.encode(&bytes[..at])), None, "cut at {at}");
        }
        for odd in ["", "!", "AAAA", &"A".repeat(1 << 20)] {
            assert_eq!(secret.open("login", odd), None);
        }
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("login.key");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let load = || Secret::load_or_create(&path).unwrap().derive("x");
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|derived| *derived == secrets[0]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_for_others_and_a_file_without_a_key_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("login.key");
        Secret::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = Secret::load_or_create(&path).unwrap_err();
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(Secret::load_or_create(&path), Err(SecretError::Malformed { .. })));
        fs::write(&path, format!("{}\n", STANDARD.encode([255; 32]))).unwrap();
        assert_eq!(Secret::load_or_create(&path).unwrap().derive("x"), Secret::from_bytes([255; 32]).derive("x"));
    }

    #[test]
    fn the_key_is_not_in_the_debug_form() {
        assert_eq!(format!("{:?}", Secret::from_bytes([65; 32])), "Secret");
    }
}
