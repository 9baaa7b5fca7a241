use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::RootCertStore;
use thiserror::Error;

use crate::trust::{system_roots, tls_trusting};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// Until the whole answer is here.
const ANSWER: Duration = Duration::from_secs(10);
/// Until a connection that nobody uses is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Headers of an answer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// What a provider answers is not longer, in bytes, unless less is said.
pub(super) const LONGEST_ANSWER: usize = 1 << 20;

/// Asks providers. It follows no redirects, uses no proxies, keeps no cookies and takes answers of limited size in
/// limited time only.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WebError {
    /// The connection, or what came over it.
    #[error("{0}")]
    Failed(String),
    /// Too slow.
    #[error("no answer within {} seconds", ANSWER.as_secs())]
    Slow,
    /// Too long.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
}

/// Why a provider gave nothing of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AskError {
    /// It is not there, or ill.
    Away {
        /// What it was to give.
        what: &'static str,
        /// What happened.
        reason: String,
    },
    /// It is there, and wrong.
    Unfit(String),
}

impl AskError {
    pub fn away(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Away { what, reason: reason.into() }
    }

    /// What became of a question for something.
    pub fn of(what: &'static str, error: WebError) -> Self {
        match error {
            WebError::TooLong(_) => Self::Unfit(format!("asked for {what}, {error}")),
            error => Self::away(what, error.to_string()),
        }
    }
}

impl Web {
    /// Trusts whom this system trusts, over TLS 1.2 and 1.3.
    pub fn new() -> Result<Self, String> {
        Self::trusting(system_roots())
    }

    fn trusting(roots: RootCertStore) -> Result<Self, String> {
        let tls = tls_trusting(roots)?;
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(CONNECT));
        plain.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(4)
            .http1_max_buf_size(LONGEST_HEAD)
            .build(connector);
        Ok(Self { client })
    }

    /// Asks, and takes no more than so many bytes for an answer.
    pub async fn ask(&self, request: HttpRequest, longest: usize) -> Result<HttpResponse, WebError> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let answer = async {
            let failed = |error: &dyn std::error::Error| WebError::Failed(chain(error));
            let (head, body) = self.client.request(request).await.map_err(|error| failed(&error))?.into_parts();
            let body = Limited::new(body, longest).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() { WebError::TooLong(longest) } else { failed(&*error) }
            })?;
            Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(WebError::Slow))
    }

    /// A document by its address.
    pub(super) async fn get(&self, what: &'static str, address: &str, longest: usize) -> Result<Vec<u8>, AskError> {
        let request = openidconnect::http::Request::get(address)
            .header("accept", "application/json")
            .body(Vec::new())
            .map_err(|error| AskError::Unfit(format!("the address for {what} is wrong: {error}")))?;
        let answer = self.ask(request, longest).await.map_err(|error| AskError::of(what, error))?;
        let status = answer.status();
        if status.is_redirection() {
            // Another place is another provider.
            return Err(AskError::Unfit(format!("asked for {what}, it redirects to another place")));
        }
        if status != 200 {
            return Err(AskError::away(what, format!("it answers {}", status.as_u16())));
        }
        Ok(answer.into_body())
    }
}

impl<'c> AsyncHttpClient<'c> for Web {
    type Error = WebError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, WebError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request, LONGEST_ANSWER))
    }
}

/// An error with all that led to it, since the outermost of hyper's only say that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    super::error::quote(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Answers each connection over TLS with the same words. Gives its port.
    async fn secure_server() -> u16 {
        let certificate = include_bytes!("hostile/keys/for-tests-only-server.pem");
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("hostile/keys/for-tests-only-server-key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // One that does not trust us hangs up here.
                let Ok(mut connection) = acceptor.accept(connection).await else { continue };
                let mut head = [0; 4096];
                let _ = connection.read(&mut head).await;
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
                let _ = connection.shutdown().await;
            }
        });
        port
    }

    #[tokio::test]
    async fn a_provider_is_asked_over_tls_if_it_is_trusted_and_called_so() {
        let port = secure_server().await;
        let authority = include_bytes!("hostile/keys/for-tests-only-authority.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
        let web = Web::trusting(roots).unwrap();
        let answer = web.get("a word", &format!("https://localhost:{port}/"), 100).await;
        assert_eq!(answer, Ok(b"hello".to_vec()));

        let other_name = web.get("a word", &format!("https://127.0.0.1:{port}/"), 100).await;
        assert!(matches!(other_name, Err(AskError::Away { .. })), "{other_name:?}");
        let stranger = Web::new().unwrap().get("a word", &format!("https://localhost:{port}/"), 100).await;
        let Err(AskError::Away { reason, .. }) = stranger else { panic!("a stranger is trusted") };
        assert!(reason.contains("certificate"), "{reason}");
    }

    #[tokio::test]
    async fn an_answer_has_a_limit() {
        let port = secure_server().await;
        let authority = include_bytes!("hostile/keys/for-tests-only-authority.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
        let web = Web::trusting(roots).unwrap();
        let address = format!("https://localhost:{port}/");
        assert!(web.get("a word", &address, 5).await.is_ok());
        assert!(matches!(web.get("a word", &address, 4).await, Err(AskError::Unfit(_))));
    }
}
