//! Fetching what others have published, from wherever they say: only from the Internet unless told otherwise, and of
//! limited size.
//!
//! A name is looked up once, all its addresses are judged, and the connection goes to one of those: a name that means
//! something else a moment later gains nothing. A redirect is a new address, and judged as one.

mod address;
mod connection;
mod error;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

pub use address::Reach;
pub use error::DownloadError;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::{Response, body::Body, body::Incoming, header};
use rustls::ClientConfig;
use tokio::time::timeout;
use url::{Host, Url};

use crate::trust::{system_roots, tls_trusting};

/// Most redirects from the first address to the last.
const MOST_REDIRECTS: usize = 5;
/// Until the next bytes come.
const STALLED: Duration = Duration::from_secs(60);
const LONGEST_URL: usize = 2048;
/// Most addresses of a name that are looked at.
const MOST_ADDRESSES: usize = 64;

/// Looks names up.
type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Fetches files over HTTP. It follows redirects within limits, uses no proxy, and sends nothing about us but our name.
#[derive(Clone)]
pub struct Downloader {
    reach: Reach,
    tls: Arc<ClientConfig>,
    lookup: Lookup,
}

impl Downloader {
    /// Trusts whom this system trusts.
    ///
    /// # Errors
    /// No TLS, in words.
    pub fn new(reach: Reach) -> Result<Self, String> {
        let tls = tls_trusting(system_roots())?;
        let lookup: Lookup = Arc::new(|host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.take(MOST_ADDRESSES).collect()) })
        });
        Ok(Self { reach, tls: Arc::new(tls), lookup })
    }

    /// Fetches what is at the address, and hands its bytes over as they come; answers how many there were.
    ///
    /// # Errors
    /// [`DownloadError`]; what has been handed over before is of no use then.
    pub async fn fetch(
        &self,
        url: &Url,
        accept: &str,
        longest: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, DownloadError> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&url, accept).await?;
            match answer.status().as_u16() {
                200 => return receive(&url, answer, longest, &mut take).await,
                301 | 302 | 303 | 307 | 308 => url = next(&url, &answer)?,
                status => return Err(DownloadError::Status { url: shown(&url), status }),
            }
        }
        Err(DownloadError::Redirects)
    }

    async fn ask(&self, url: &Url, accept: &str) -> Result<Response<Incoming>, DownloadError> {
        check(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let failed = |error: io::Error| DownloadError::Connection { host: host.clone(), reason: error.to_string() };
        let port = url.port_or_known_default().unwrap_or(443);
        let lookup = async {
            match url.host() {
                Some(Host::Ipv4(address)) => Ok(vec![SocketAddr::from((address, port))]),
                Some(Host::Ipv6(address)) => Ok(vec![SocketAddr::from((address, port))]),
                _ => (self.lookup)(host.clone(), port).await,
            }
        };
        let found = timeout(connection::PATIENCE, lookup).await.map_err(|error| failed(error.into()))?;
        let addresses = found.map_err(failed)?;
        // One that is out of reach among others that are not is a trap, or will be one.
        for address in &addresses {
            let address = address.ip();
            let refused = |reason| DownloadError::OutOfReach { host: host.clone(), address, reason };
            self.reach.check(address).map_err(refused)?;
        }
        connection::ask(url, &addresses, &self.tls, accept).await
    }
}

/// Whether this is an address that is fetched.
fn check(url: &Url) -> Result<(), DownloadError> {
    let unfit = |problem: &str| Err(DownloadError::Unfit { url: shown(url), problem: problem.to_owned() });
    if !matches!(url.scheme(), "http" | "https") {
        return unfit("only http:// and https:// are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return unfit("it has a user name or password in it");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return unfit("it names no host");
    }
    if url.as_str().len() > LONGEST_URL {
        return unfit("it is longer than 2048 bytes");
    }
    Ok(())
}

/// Where an answer leads.
fn next(from: &Url, answer: &Response<Incoming>) -> Result<Url, DownloadError> {
    let unfit = |problem: String| DownloadError::Unfit { url: shown(from), problem };
    let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| unfit("it redirects to nowhere".into()))?;
    let next = from.join(location).map_err(|error| unfit(format!("it redirects to no address: {error}")))?;
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(unfit("it redirects from https:// to http://".into()));
    }
    Ok(next)
}

async fn receive(
    url: &Url,
    answer: Response<Incoming>,
    longest: u64,
    take: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, DownloadError> {
    let too_long = || DownloadError::TooLong { url: shown(url), longest };
    let is_plain = |encoding: &header::HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if answer.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| !is_plain(encoding)) {
        let problem = "it is sent compressed, which was not asked for".to_owned();
        return Err(DownloadError::Unfit { url: shown(url), problem });
    }
    let mut body = answer.into_body();
    // What is announced counts before anything has come; what comes counts anyhow.
    if body.size_hint().lower() > longest {
        return Err(too_long());
    }
    let mut received: u64 = 0;
    loop {
        let frame = timeout(STALLED, body.frame()).await;
        let frame = frame.map_err(|_| DownloadError::Stalled { url: shown(url) })?;
        let Some(frame) = frame else { return Ok(received) };
        let frame = frame.map_err(|error| {
            let host = url.host_str().unwrap_or_default().to_owned();
            DownloadError::Connection { host, reason: format!("after {received} bytes: {error}") }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        received = received.saturating_add(data.len() as u64);
        if received > longest {
            return Err(too_long());
        }
        take(&data).map_err(DownloadError::Kept)?;
    }
}

/// An address as it is told: without what may be a credential.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().chars().take(200).collect()
}
