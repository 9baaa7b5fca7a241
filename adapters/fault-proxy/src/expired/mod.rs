use std::{
    io::{Error, Result, Write},
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

const AUTHORITY: &[u8] = include_bytes!("authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("certificate.pem");
const KEY: &[u8] = include_bytes!("key.pem");

/// A service whose certificate was valid in January 2020 (F28). It says nothing to whoever accepts that. It ends when
/// it is dropped.
///
/// Its key lies open in this crate, and is good for nothing else.
pub struct ExpiredService {
    port: u16,
    authority: NamedTempFile,
    listening: AbortHandle,
}

impl ExpiredService {
    /// Listens on loopback.
    ///
    /// # Errors
    /// There is no port, or no room for a file.
    pub async fn start() -> Result<Self> {
        let mut authority = NamedTempFile::new()?;
        authority.write_all(AUTHORITY)?;
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).map_err(Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(KEY).map_err(Error::other)?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
            .map_err(Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let listening = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                // One at a time is enough, and the caller is the one who ends it.
                let _ = acceptor.accept(caller).await;
            }
        });
        Ok(Self { port, authority, listening: listening.abort_handle() })
    }

    /// `https://localhost:40123`, the name that the certificate is for.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate, in PEM, of the authority that vouched for it: whoever trusts that has nothing against it but
    /// the time.
    #[must_use]
    pub fn authority(&self) -> &Path {
        self.authority.path()
    }
}

impl Drop for ExpiredService {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
