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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        net::TcpListener,
        os::unix::fs::PermissionsExt,
    };

    use actix_web::{App, HttpResponse, HttpServer, web};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream, pki_types::ServerName};

    use super::*;

    /// Made for these tests, and for nothing else.
    const CERTIFICATE: &str = include_str!("test-certificate.pem");
    const KEY: &str = include_str!("test-key.pem");

    fn files(certificate: &str, key: &str, mode: u32) -> (tempfile::TempDir, TlsConfig) {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["certificate.pem", "key.pem"].map(|name| directory.path().join(name));
        for (path, text) in paths.iter().zip([certificate, key]) {
            fs::write(path, text).unwrap();
        }
        fs::set_permissions(&paths[1], fs::Permissions::from_mode(mode)).unwrap();
        let [certificate, key] = paths;
        (directory, TlsConfig { certificate: Some(certificate), key: Some(key) })
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_named() {
        let refused = |certificate: &str, key: &str, mode| {
            let (_directory, tls) = files(certificate, key, mode);
            config(&tls).unwrap_err().to_string()
        };
        assert!(refused("", KEY, 0o600).contains("certificate.pem"));
        assert!(refused(CERTIFICATE, "", 0o600).contains("key.pem"));
        assert!(refused(CERTIFICATE, KEY, 0o644).contains("chmod"));
        let missing = TlsConfig { certificate: Some("/nowhere/c".into()), key: Some("/nowhere/k".into()) };
        assert!(config(&missing).unwrap_err().to_string().contains("/nowhere/c"));
        assert!(config(&TlsConfig::default()).unwrap().is_none());
        let (_directory, tls) = files(CERTIFICATE, KEY, 0o640);
        assert!(config(&tls).unwrap().is_some(), "the control");
    }

    #[actix_web::test]
    async fn http_1_1_is_spoken_over_tls() {
        let (_directory, tls) = files(CERTIFICATE, KEY, 0o600);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = || App::new().default_service(web::route().to(async || HttpResponse::Ok().body("here")));
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.listen_rustls_0_23(listener, config(&tls).unwrap().unwrap()).unwrap().run();
        let handle = server.handle();
        let running = tokio::spawn(server);
        let asked = tokio::task::spawn_blocking(move || {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
            let mut client = client.with_root_certificates(roots).with_no_client_auth();
            client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            let name = ServerName::try_from("localhost").unwrap();
            let mut connection = ClientConnection::new(Arc::new(client), name).unwrap();
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let mut stream = Stream::new(&mut connection, &mut socket);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            // A server that closes without a farewell is no failure here.
            let _ = stream.read_to_end(&mut answer);
            (connection.alpn_protocol().map(<[u8]>::to_vec), String::from_utf8(answer).unwrap())
        });
        let (protocol, answer) = asked.await.unwrap();
        assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("here"), "{answer}");
        handle.stop(false).await;
        running.await.unwrap().unwrap();
    }
}
