use std::net::IpAddr;

use url::{Host, Url};

/// No address is longer, in bytes.
const LONGEST: usize = 2048;

/// Which addresses a provider may send us to: `https` anywhere; `http` only if it is on this very host itself, and
/// then only there. So a provider's document cannot make us ask this host or its neighbours in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRule {
    plain_host: Option<String>,
}

impl AddressRule {
    /// The rule for an issuer, or what is wrong with the issuer.
    pub fn of_issuer(issuer: &str, allow_http: bool) -> Result<Self, &'static str> {
        let url = parsed(issuer)?;
        if url.query().is_some() {
            return Err("an issuer has no query");
        }
        if url.scheme() == "https" {
            return Ok(Self { plain_host: None });
        }
        if !is_loopback(&url) {
            return Err("an issuer starts with https://; http:// is for providers on this very host");
        }
        if !allow_http {
            return Err(
                "an issuer starts with https://; for trying things out on this very host set allow_http = true",
            );
        }
        Ok(Self { plain_host: url.host_str().map(str::to_owned) })
    }

    /// The address, if the rule lets it.
    pub fn check(&self, address: &str) -> Result<Url, &'static str> {
        let url = parsed(address)?;
        let is_plain_neighbour = || self.plain_host.as_deref() == url.host_str() && is_loopback(&url);
        if url.scheme() == "https" || is_plain_neighbour() { Ok(url) } else { Err("it must start with https://") }
    }
}

/// An address of the web without what hides in addresses.
pub(super) fn parsed(address: &str) -> Result<Url, &'static str> {
    if address.len() > LONGEST {
        return Err("it is too long for an address");
    }
    let url = Url::parse(address).map_err(|_| "it is not an address")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must start with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not carry a user name or password");
    }
    if url.fragment().is_some() {
        return Err("it must not have a fragment");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_on_this_host_when_that_is_wanted() {
        assert!(AddressRule::of_issuer("https://id.example/realm", false).is_ok());
        for issuer in ["http://127.0.0.1:8080", "http://[::1]:80/", "http://localhost:3000"] {
            assert!(AddressRule::of_issuer(issuer, true).is_ok(), "{issuer}");
            assert!(AddressRule::of_issuer(issuer, false).is_err(), "{issuer}");
        }
        for issuer in [
            "http://id.example",
            "http://10.0.0.1",
            "http://127.0.0.1.example",
            "https://a:b@id.example",
            "https://id.example?x=1",
            "https://id.example#x",
            "file:///etc/passwd",
            "id.example",
            "",
        ] {
            assert!(AddressRule::of_issuer(issuer, true).is_err(), "{issuer}");
        }
    }

    #[test]
    fn a_document_leads_nowhere_in_the_clear() {
        let abroad = AddressRule::of_issuer("https://id.example", true).unwrap();
        assert!(abroad.check("https://keys.example/jwks").is_ok());
        for address in ["http://id.example/jwks", "http://127.0.0.1/jwks", "http://169.254.169.254/", "gopher://x/"] {
            assert!(abroad.check(address).is_err(), "{address}");
        }
        let here = AddressRule::of_issuer("http://127.0.0.1:8080", true).unwrap();
        assert!(here.check("http://127.0.0.1:8080/jwks").is_ok());
        for address in ["http://127.0.0.2:8080/jwks", "http://localhost/jwks", "http://169.254.169.254/"] {
            assert!(here.check(address).is_err(), "{address}");
        }
    }
}
