use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    str::FromStr,
};

use serde::Deserialize;

/// Who is believed about what the world calls this server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are believed; addresses or networks
    /// as `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
    /// Names under which clients may call this server, with the port where it is not the usual one. Not needed where
    /// `[occi] public_url` says it.
    pub hosts: Vec<String>,
    /// Whether a proxy in front speaks TLS with the clients, so that what is heard here in the clear crosses no network.
    pub behind_tls_proxy: bool,
}

/// By what this server speaks TLS itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificate and those that it is signed by, in PEM; none, no TLS.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
}

impl HttpConfig {
    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<String> {
        let odd = self.hosts.iter().find(|host| !is_host(host))?;
        Some(format!("[http] hosts: {odd:?} must be like broker.example.org or broker.example.org:8443"))
    }
}

impl TlsConfig {
    /// Certificate and key, where TLS is spoken.
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.certificate.as_ref().zip(self.key.as_ref())
    }

    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<String> {
        let missing = match (&self.certificate, &self.key) {
            (Some(_), None) => "key",
            (None, Some(_)) => "certificate",
            _ => return None,
        };
        Some(format!("[tls] needs certificate and key; {missing} is missing"))
    }
}

/// A host, perhaps with a port, of characters that can stand in a URL.
pub fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(plain) && !text.starts_with(':')
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    first: Ipv6Addr,
    bits: u8,
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be an address or a network, like 192.0.2.1, 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork(String);

impl Network {
    /// Whether the address is one of it. An IPv4 address is the same in IPv6's clothes.
    pub fn has(&self, address: IpAddr) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
        (mapped(address).to_bits() ^ self.first.to_bits()) & mask == 0
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let refused = || NotANetwork(text.chars().take(80).collect());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(longest), |bits| bits.parse::<u8>().map_err(|_| refused()))?;
        if bits > longest {
            return Err(refused());
        }
        Ok(Self { first: mapped(address), bits: bits + 128 - longest })
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().has(address.parse().unwrap())
    }

    #[test]
    fn networks_have_their_addresses_and_no_others() {
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("10.0.0.0/8", "10.255.1.2") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.2.3"), "a socket for both may say it so");
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "fe80::1") && !has("fd00::/8", "10.0.0.1"));
        assert!(has("::/0", "1.2.3.4") && has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "2001:db8::1"));
        for odd in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(odd.parse::<Network>().is_err(), "{odd}");
        }
    }

    #[test]
    fn hosts_are_what_can_stand_in_a_url() {
        for host in ["a", "broker.example.org:8443", "[::1]:80", "127.0.0.1"] {
            assert!(is_host(host), "{host}");
        }
        for odd in ["", ":80", "a b", "a/b", "a@b", "a\\b", "ä", "a\r\nb", "a?b", "a#b", &"x".repeat(256)] {
            assert!(!is_host(odd), "{odd:?}");
        }
    }
}
