//! The address of the server under test.

use hyper::http::uri::{Scheme, Uri};

use crate::CheckError;

/// Scheme, host, port and the path that OCCI's paths are below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) is_tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As it stands in `Host` and in absolute locations.
    pub(crate) authority: String,
    /// Empty, or `/…` without a slash at its end.
    prefix: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, CheckError> {
        let wrong = |problem: &str| CheckError::Address { url: shown(url), problem: problem.to_owned() };
        let uri: Uri = url.trim().parse().map_err(|_| wrong("it is not a URL"))?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong("it must start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials do not belong into it, but into --auth"));
        }
        if uri.query().is_some() {
            return Err(wrong("it must have no query"));
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { is_tls, host, port, authority: authority.as_str().to_owned(), prefix })
    }

    /// The URL of a path as `absolute` has them.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }

    /// The path on the server that a check's path or a location of the server means; `None` for another server's.
    pub(crate) fn path(&self, target: &str) -> Option<String> {
        let path = if target.contains("://") {
            let uri: Uri = target.parse().ok()?;
            let is_ours = uri.authority().is_some_and(|found| self.is_same_authority(found.as_str(), &uri));
            if !is_ours {
                return None;
            }
            uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned())
        } else {
            target.to_owned()
        };
        let below = self.prefix.is_empty() || path.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('/'));
        Some(if below { path } else { format!("{}{path}", self.prefix) })
    }

    fn is_same_authority(&self, found: &str, uri: &Uri) -> bool {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let host = uri.host().map(|host| host.trim_matches(['[', ']']));
        !found.contains('@') && host.is_some_and(|host| host.eq_ignore_ascii_case(&self.host)) && port == self.port
    }
}

/// Without what might be a password.
fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_address() {
        let plain = Address::parse("http://Example.com:8080/").unwrap();
        assert_eq!(plain.path("/-/").as_deref(), Some("/-/"));
        assert_eq!(plain.path("http://example.com:8080/compute/1?x=y").as_deref(), Some("/compute/1?x=y"));
        assert_eq!(plain.path("http://evil.example/compute/1"), None);
        assert_eq!(plain.path("http://example.com:8080@evil.example/"), None);
        let below = Address::parse("https://example.com/occi1.2").unwrap();
        assert_eq!(below.path("/-/").as_deref(), Some("/occi1.2/-/"));
        assert_eq!(below.path("/occi1.2/compute/1").as_deref(), Some("/occi1.2/compute/1"));
        assert_eq!(below.path("/occi1.22/").as_deref(), Some("/occi1.2/occi1.22/"));
        assert_eq!(below.path("https://example.com:443/occi1.2/x").as_deref(), Some("/occi1.2/x"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_secrets() {
        for wrong in ["", "example.com", "ftp://example.com", "http://ann:secret@example.com", "http://x/?y"] {
            let problem = Address::parse(wrong).unwrap_err().to_string();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
