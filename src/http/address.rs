//! From where a request comes, and under which name it has found this server. Both can be forged; only what was
//! configured, or what a configured proxy says, is believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::{
    Error, HttpRequest,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header::HeaderMap},
    middleware::Next,
    web,
};

use super::plain;
use crate::{
    broker::Broker,
    config::{Config, Network, host_of, is_host},
    request::came_from,
};

/// Names and proxies that are believed.
#[derive(Debug, Clone)]
pub struct Addresses {
    public_url: Option<String>,
    hosts: Vec<String>,
    trusted: Vec<Network>,
    /// Clients speak TLS, with us or with a proxy in front of us.
    tls: bool,
}

/// A name by which this server is not known. Whoever makes a browser use it must get nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this server is not known as {0:?}; its operator can add the name to [http] hosts, or set [occi] public_url")]
pub struct Misdirected(String);

impl Addresses {
    /// What the configuration says.
    pub fn new(config: &Config) -> Self {
        let public = &config.occi.public_url;
        // Sites that are told to fetch images there must be let in; those of single sites are known to the broker.
        let for_sites = host_of(&config.images.url);
        Self {
            public_url: (!public.is_empty()).then(|| public.clone()),
            hosts: config.http.hosts.iter().map(|host| host.to_ascii_lowercase()).chain(for_sites).collect(),
            trusted: config.http.trusted_proxies.clone(),
            tls: config.http.behind_tls_proxy || config.tls.files().is_some(),
        }
    }

    /// Where a client has found us: the start of every URL in the answer, as `https://host:port`.
    ///
    /// # Errors
    /// The client calls us by a name that is not ours.
    pub fn base(&self, request: &HttpRequest) -> Result<String, Misdirected> {
        if let Some(public_url) = &self.public_url {
            return Ok(public_url.clone());
        }
        let local = request.app_config().local_addr();
        let (host, scheme) = self.named(request.headers(), request.peer_addr());
        let tls = scheme.map_or(self.tls, |scheme| scheme == "https");
        let Some(host) = host else { return Ok(format!("{}://{local}", if tls { "https" } else { "http" })) };
        let host = host.to_ascii_lowercase();
        let is_known = || self.hosts.contains(&host) || is_local(&host, local) || is_told_to_sites(request, &host);
        if !is_host(&host) || !is_known() {
            return Err(Misdirected(host.chars().take(80).collect()));
        }
        Ok(format!("{}://{host}", if tls { "https" } else { "http" }))
    }

    /// Whether browsers reach us by TLS, as far as the configuration says.
    pub fn are_secure(&self) -> bool {
        self.public_url.as_ref().map_or(self.tls, |url| url.starts_with("https://"))
    }

    /// Whose request it is: the peer, or whom a trusted proxy speaks for.
    pub fn client(&self, request: &HttpRequest) -> IpAddr {
        self.client_of(request.headers(), request.peer_addr())
    }

    fn named<'a>(&self, headers: &'a HeaderMap, peer: Option<SocketAddr>) -> (Option<&'a str>, Option<&'a str>) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded =
            |name| self.trusts(peer).then(|| text(name)).flatten().map(last).filter(|text| !text.is_empty());
        let host = forwarded("x-forwarded-host").or_else(|| text("host"));
        (host.filter(|host| !host.is_empty()), forwarded("x-forwarded-proto"))
    }

    fn client_of(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> IpAddr {
        let peer_address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if !self.trusts(peer) {
            return peer_address;
        }
        let fields = headers.get_all("x-forwarded-for").filter_map(|field| field.to_str().ok());
        let said: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
        // Each proxy has added whom it heard; what stands before the first that is no proxy of ours is hearsay.
        let mut client = peer_address;
        for address in said.into_iter().rev() {
            let Ok(address) = address.parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !self.trusted.iter().any(|network| network.has(client)) {
                break;
            }
        }
        client
    }

    fn trusts(&self, peer: Option<SocketAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted.iter().any(|network| network.has(peer.ip())))
    }
}

/// Serves whoever calls us by a name of ours. Others are most likely sent by somebody who has made a name of theirs lead
/// here, so that a browser takes their pages for ours. Who only watches this process may use any address.
///
/// # Errors
/// What is behind it failed.
pub async fn by_name<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let watches = matches!(request.path(), "/healthz" | "/readyz" | "/metrics");
    let addresses = request.app_data::<web::Data<Addresses>>();
    if let Some(addresses) = addresses {
        came_from(addresses.client(request.request()).to_string());
    }
    if let Some(Err(misdirected)) = addresses.filter(|_| !watches).map(|addresses| addresses.base(request.request())) {
        let answer = plain(StatusCode::MISDIRECTED_REQUEST, format!("{misdirected}\n"));
        return Ok(request.into_response(answer).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// Whether a site was told to fetch images under this name.
fn is_told_to_sites(request: &HttpRequest, host: &str) -> bool {
    request.app_data::<web::Data<Broker>>().is_some_and(|broker| broker.is_told_to_sites(host))
}

/// The start of every URL in an answer to this request.
pub fn base_of(request: &HttpRequest) -> String {
    let addresses = request.app_data::<web::Data<Addresses>>();
    let base = addresses.and_then(|addresses| addresses.base(request).ok());
    base.unwrap_or_else(|| format!("http://{}", request.app_config().local_addr()))
}

/// Of a list, what the proxy itself has added.
fn last(list: &str) -> &str {
    list.rsplit_once(',').map_or(list, |(_, last)| last).trim()
}

/// Whether this is the host's own name for itself, or the very address that is listened on. A name of somebody else's
/// that leads here is neither.
fn is_local(host: &str, local: SocketAddr) -> bool {
    if host == local.to_string() {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address == local.ip(),
        Err(_) => name == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn addresses(text: &str) -> Addresses {
        Addresses::new(&toml::from_str(text).unwrap())
    }

    fn base(addresses: &Addresses, peer: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = TestRequest::get().peer_addr(peer.parse().unwrap());
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        addresses.base(&request.to_http_request()).ok()
    }

    #[test]
    fn a36_only_names_of_ours_are_taken_from_host() {
        let plain = addresses("");
        for host in ["127.0.0.1:8787", "localhost:1", "[::1]:8787", "LOCALHOST"] {
            assert!(base(&plain, "127.0.0.1:1", &[("host", host)]).is_some(), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a@localhost", "localhost/x", "[::2]"]
        {
            assert_eq!(base(&plain, "127.0.0.1:1", &[("host", host)]), None, "{host}");
        }
        let named = addresses("[http]\nhosts = ['Broker.example']\nbehind_tls_proxy = true\n");
        let found = base(&named, "127.0.0.1:1", &[("host", "broker.EXAMPLE")]);
        assert_eq!(found.as_deref(), Some("https://broker.example"));
        assert_eq!(base(&named, "127.0.0.1:1", &[("host", "broker.example:81")]), None);
        let public = addresses("[occi]\npublic_url = 'https://broker.example'\n");
        let found = base(&public, "127.0.0.1:1", &[("host", "evil.example")]);
        assert_eq!(found.as_deref(), Some("https://broker.example"), "what is configured is what is said");
    }

    #[test]
    fn a36_forwarded_fields_of_strangers_are_as_if_they_were_not_there() {
        let forged = [
            ("host", "localhost"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "10.9.8.7"),
            ("forwarded", "for=10.9.8.7;host=evil.example;proto=https"),
        ];
        let trusting = addresses("[http]\ntrusted_proxies = ['192.0.2.7']\nhosts = ['a.example']\n");
        for addresses in [&addresses(""), &trusting] {
            assert_eq!(base(addresses, "198.51.100.1:1", &forged).as_deref(), Some("http://localhost"));
            let request = TestRequest::get().peer_addr("198.51.100.1:1".parse().unwrap()).append_header(forged[3]);
            assert_eq!(addresses.client(&request.to_http_request()).to_string(), "198.51.100.1");
        }
        // The control: the same from the proxy that is named.
        let said = [("x-forwarded-host", "evil.example, a.example"), ("x-forwarded-proto", "https")];
        assert_eq!(base(&trusting, "192.0.2.7:1", &said).as_deref(), Some("https://a.example"));
        assert_eq!(base(&trusting, "192.0.2.7:1", &forged), None, "a proxy that passes on any name helps nobody");
    }

    #[test]
    fn a36_a_client_cannot_choose_its_address_before_a_proxy() {
        let trusting = addresses("[http]\ntrusted_proxies = ['192.0.2.0/24']\n");
        let client = |said: &str| {
            let request = TestRequest::get().peer_addr("192.0.2.7:1".parse().unwrap());
            trusting.client(&request.append_header(("x-forwarded-for", said)).to_http_request()).to_string()
        };
        assert_eq!(client("198.51.100.1"), "198.51.100.1");
        assert_eq!(client("127.0.0.1, 198.51.100.1"), "198.51.100.1");
        assert_eq!(client("127.0.0.1, 198.51.100.1, 192.0.2.8"), "198.51.100.1");
        assert_eq!(client("rubbish"), "192.0.2.7");
    }
}
