//! One connection to the server: TCP, and TLS where the address says so.

use std::{path::Path, sync::Arc, time::Duration};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{self, CryptoProvider},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

use crate::{CheckError, address::Address, exchange::RequestBody, options::Options};

const CONNECT: Duration = Duration::from_secs(10);

/// Opens connections to one server.
pub(crate) struct Connector {
    address: Address,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    pub(crate) fn new(address: Address, options: &Options) -> Result<Self, CheckError> {
        let tls = if address.is_tls {
            let name = ServerName::try_from(address.host.clone())
                .map_err(|error| CheckError::Tls(format!("{:?} is no host name: {error}", address.host)))?;
            let provider = Arc::new(crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| CheckError::Tls(error.to_string()))?;
            let config = if options.insecure {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                    .with_no_client_auth()
            } else {
                builder.with_root_certificates(trusted(options.ca_file.as_deref())?).with_no_client_auth()
            };
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self { address, tls })
    }

    /// # Errors
    /// Why there is no connection, in words.
    pub(crate) async fn connect(&self, title_case: bool) -> Result<SendRequest<RequestBody>, String> {
        let connecting = async {
            let address = (self.address.host.as_str(), self.address.port);
            let stream = TcpStream::connect(address).await.map_err(|error| format!("no connection: {error}"))?;
            // Small requests and answers in turn: waiting for more to send would only delay them.
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            match &self.tls {
                None => shake_hands(TokioIo::new(stream), title_case).await,
                Some((tls, name)) => {
                    let stream = tls.connect(name.clone(), stream).await.map_err(|error| format!("no TLS: {error}"))?;
                    shake_hands(TokioIo::new(stream), title_case).await
                }
            }
        };
        let limit = format!("no connection within {} s", CONNECT.as_secs());
        tokio::time::timeout(CONNECT, connecting).await.map_err(|_| limit)?
    }
}

async fn shake_hands<Io>(io: Io, title_case: bool) -> Result<SendRequest<RequestBody>, String>
where
    Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(title_case)
        .handshake(io)
        .await
        .map_err(|error| format!("no HTTP connection: {error}"))?;
    // Ends by itself when the sender is dropped; what goes wrong is seen at the sender.
    tokio::spawn(connection);
    Ok(sender)
}

fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, CheckError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let unreadable = |problem: String| CheckError::Tls(format!("cannot use {}: {problem}", file.display()));
        let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(unreadable("it holds no certificate".to_owned()));
        }
    }
    if roots.is_empty() {
        let problem = "this host trusts no certificate authority; name one with --ca-file, or use --insecure";
        return Err(CheckError::Tls(problem.to_owned()));
    }
    Ok(roots)
}

/// For servers under test with certificates of their own making.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
