use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::DownloadError;

/// Until a name is looked up, or a connection stands.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Until an answer begins.
const ANSWER: Duration = Duration::from_secs(60);
/// Headers of an answer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

const AGENT: &str = concat!("tombolo/", env!("CARGO_PKG_VERSION"));

/// Asks one of these addresses, and no other, for what is at the URL.
pub async fn ask(
    url: &Url,
    addresses: &[SocketAddr],
    tls: &Arc<ClientConfig>,
    accept: &str,
) -> Result<Response<Incoming>, DownloadError> {
    let host = url.host_str().unwrap_or_default();
    let failed = |reason: String| DownloadError::Connection { host: host.to_owned(), reason };
    let connecting = async {
        let stream = connect(addresses).await?;
        if url.scheme() == "http" {
            return Ok::<_, io::Error>(Box::new(stream) as Box<dyn Stream>);
        }
        let name = match url.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
            Some(Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::from(address)),
            Some(Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::from(address)),
            None => return Err(io::Error::other("no host")),
        };
        Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?) as Box<dyn Stream>)
    };
    let connected = timeout(PATIENCE, connecting).await.map_err(|_| failed("no connection in time".into()))?;
    let stream = connected.map_err(|error| failed(error.to_string()))?;
    let asking = async {
        let handshake = http1::Builder::new().max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        // It ends with its answer, or when nobody wants that any more.
        tokio::spawn(connection);
        let request = request(url, accept).map_err(|error| error.to_string())?;
        sender.send_request(request).await.map_err(|error| error.to_string())
    };
    timeout(ANSWER, asking).await.map_err(|_| failed("no answer in time".into()))?.map_err(failed)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(PATIENCE / 3, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(late) => failure = late.into(),
        }
    }
    Err(failure)
}

fn request(url: &Url, accept: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, AGENT)
        .header(header::ACCEPT, accept)
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
}
