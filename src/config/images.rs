use serde::Deserialize;
use url::{Host, Url};

use super::http::Network;

/// How backends fetch images from here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImagesConfig {
    /// Where sites reach this server, like `https://broker.example.org`. Where it is empty, no backend is told an
    /// address: it is sent the bytes instead.
    pub url: String,
    /// For how many hours an address holds that a backend was given, 1 to 168.
    pub ticket_hours: u32,
    /// How many images one site, project or stranger's address may fetch at once.
    pub fetches_at_once: u32,
}

/// Marketplaces in the format of OpenNebula: ours for others, and those of others for us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarketplaceConfig {
    /// Whether whoever reaches this server may list and fetch the appliances that are offered to everybody.
    pub serve: bool,
    /// What stands behind each appliance's name there, since OpenNebula tells appliances of all its marketplaces apart
    /// by their names alone.
    pub name: String,
    /// Networks that are no part of the Internet, from which appliances may be imported all the same.
    pub import_from: Vec<Network>,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self { url: String::new(), ticket_hours: 24, fetches_at_once: 16 }
    }
}

impl Default for MarketplaceConfig {
    fn default() -> Self {
        Self { serve: false, name: "Tombolo".into(), import_from: Vec::new() }
    }
}

impl ImagesConfig {
    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<String> {
        if !self.url.is_empty()
            && let Err(problem) = check_address(&self.url)
        {
            return Some(format!("[images] url = {:?} {problem}", self.url));
        }
        if !(1..=168).contains(&self.ticket_hours) {
            return Some("[images] ticket_hours must be 1 to 168".into());
        }
        (!(1..=1024).contains(&self.fetches_at_once)).then(|| "[images] fetches_at_once must be 1 to 1024".into())
    }
}

impl MarketplaceConfig {
    /// What is wrong with it, if anything is.
    pub(super) fn mistake(&self) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_');
        let fits = !self.name.trim().is_empty() && self.name.len() <= 40 && self.name.chars().all(plain);
        (!fits).then(|| "[marketplace] name must be 1 to 40 letters, digits, blanks, '.', '-' and '_'".into())
    }
}

/// Whether sites may be told that we are to be reached there. What leads to an image is in the path behind it, so it
/// must not be overheard.
pub(super) fn check_address(address: &str) -> Result<(), &'static str> {
    let wanted = "must be like https://host, without a slash at the end";
    let url = Url::parse(address).map_err(|_| wanted)?;
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(wanted),
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !bare || url.fragment().is_some() || address.ends_with('/') || address.len() > 255 {
        return Err(wanted);
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback => Ok(()),
        "http" => Err("must start with https://; http:// is for sites on this very host"),
        _ => Err(wanted),
    }
}

/// The host of an address that was checked, with its port where it is not the usual one, as clients name it.
pub fn host_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?.to_ascii_lowercase();
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_sites_cannot_be_overheard() {
        for address in [
            "https://broker.example.org",
            "https://broker.example.org:8443/tombolo",
            "http://127.0.0.1:8787",
            "http://[::1]:8787",
            "http://localhost:1",
        ] {
            assert_eq!(check_address(address), Ok(()), "{address}");
        }
        for address in [
            "",
            "broker.example.org",
            "https://",
            "https://broker.example.org/",
            "https://a:b@broker.example.org",
            "https://broker.example.org?x",
            "https://broker.example.org#x",
            "http://broker.example.org",
            "http://10.0.0.1",
            "http://localhost.example.org",
            "ftp://127.0.0.1",
        ] {
            assert!(check_address(address).is_err(), "{address}");
        }
    }

    #[test]
    fn the_host_is_as_clients_name_it() {
        assert_eq!(host_of("https://Broker.example.org:443/x").as_deref(), Some("broker.example.org"));
        assert_eq!(host_of("http://[::1]:8787").as_deref(), Some("[::1]:8787"));
    }
}
