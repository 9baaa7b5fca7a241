//! Whom this process believes when it calls others over TLS.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Those whom this system trusts.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be odd; without any, each connection will say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// How others are called who are trusted by these, over TLS 1.2 and 1.3.
///
/// # Errors
/// In words: there is no TLS.
pub fn tls_trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
