//! TLS of our own, where no proxy speaks it.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use thiserror::Error;

use crate::config::TlsConfig;

/// Why TLS cannot be spoken.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("[tls] {what} {}: {reason}", path.display())]
    File {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Both can be read and do not go together.
    #[error("[tls] certificate and key cannot be used: {0}; are they of one another?")]
    Unusable(#[from] rustls::Error),
}

/// What to speak TLS with; none if it is not configured. Versions 1.2 and 1.3, and above them HTTP/1.1 alone.
///
/// # Errors
/// The files cannot be read, or do not go together.
pub fn config(tls: &TlsConfig) -> Result<Option<ServerConfig>, TlsError> {
    let Some((certificate, key)) = tls.files() else { return Ok(None) };
    let wrong = |what, path: &Path, reason: String| TlsError::File { what, path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong("certificate", certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("certificate", certificate, "there is no certificate in PEM in it".into()));
    }
    let mode =
        File::open(key).and_then(|file| file.metadata()).map_err(|error| wrong("key", key, error.to_string()))?;
    if mode.mode() & 0o007 != 0 {
        return Err(wrong("key", key, "everybody may read it or write to it; run `chmod o-rwx` on it".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("key", key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Some(config.with_no_client_auth().with_single_cert(chain, secret)?))
}
