use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::OptionsError;

/// No file of certificates is longer.
const MOST_BYTES: u64 = 4 << 20;

/// TLS 1.2 and 1.3, with whom the system trusts, and those of the file.
pub(crate) fn tls(authorities: Option<&Path>) -> Result<ClientConfig, OptionsError> {
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be odd; without any, each connection will say so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = authorities {
        add(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OptionsError(format!("no TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), OptionsError> {
    let shown = path.display();
    let unusable = |why: String| OptionsError(format!("certificates in {shown} cannot be used: {why}"));
    let length = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.len();
    if length > MOST_BYTES {
        return Err(unusable(format!("the file has more than {MOST_BYTES} bytes")));
    }
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(unusable("there is none in PEM".into())) } else { Ok(()) }
}
