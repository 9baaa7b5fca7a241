use backend::BackendError;
use serde::Deserialize;
use url::Url;

use crate::{EndpointInterface, service::Service};

/// Where a project's services are, as its token tells.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalogue(Vec<Entry>);

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    #[serde(default)]
    interface: String,
    #[serde(default)]
    region_id: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    url: String,
}

impl Endpoint {
    fn is_in(&self, region: &str) -> bool {
        self.region_id.as_deref().or(self.region.as_deref()) == Some(region)
    }
}

impl Catalogue {
    /// The service's address.
    pub(crate) fn endpoint(
        &self,
        service: Service,
        interface: EndpointInterface,
        region: Option<&str>,
    ) -> Result<Url, BackendError> {
        let named = |kind: &&str| self.0.iter().find(|entry| entry.kind == **kind);
        let place = region.map_or_else(String::new, |region| format!(" in region {region}"));
        let missing = |what: &str| {
            BackendError::Unsupported(format!(
                "reach its {service}: the catalogue names {what}{place}; correct the site's region or interface, or \
                 give the address in `endpoints`"
            ))
        };
        let entry = service.types().iter().find_map(named).ok_or_else(|| missing("none"))?;
        let mut endpoints = entry.endpoints.iter().filter(|endpoint| endpoint.interface == interface.name());
        let endpoint = endpoints
            .find(|endpoint| region.is_none_or(|region| endpoint.is_in(region)))
            .ok_or_else(|| missing(&format!("no {} address", interface.name())))?;
        let url = endpoint.url.parse::<Url>().map_err(|_| missing("an address that is none"))?;
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(missing("an address that is not HTTP")) }
    }

    /// Whether the site has the service at all.
    pub(crate) fn has(&self, service: Service) -> bool {
        self.0.iter().any(|entry| service.types().contains(&entry.kind.as_str()))
    }

    /// All regions that have something, sorted.
    pub(crate) fn regions(&self) -> Vec<String> {
        let endpoints = self.0.iter().flat_map(|entry| &entry.endpoints);
        let mut regions: Vec<String> = endpoints.filter_map(|endpoint| endpoint.region_id.clone()).collect();
        regions.sort();
        regions.dedup();
        regions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        serde_json::from_value(serde_json::json!([
            { "type": "volumev3", "name": "cinderv3", "endpoints": [
                { "interface": "public", "region_id": "north", "url": "https://north.example/volume/v3" },
                { "interface": "internal", "region_id": "north", "url": "http://10.0.0.1:8776/v3" },
                { "interface": "public", "region": "south", "url": "https://south.example/volume/v3" } ] },
            { "type": "compute", "endpoints": [ { "interface": "public", "region_id": "north", "url": "ftp://x" } ] },
            { "surprise": true }
        ]))
        .unwrap()
    }

    #[test]
    fn an_address_is_found_by_alias_interface_and_region() {
        let find = |interface, region| catalogue().endpoint(Service::BlockStorage, interface, region).map(String::from);
        assert_eq!(find(EndpointInterface::Public, None).unwrap(), "https://north.example/volume/v3");
        assert_eq!(find(EndpointInterface::Public, Some("south")).unwrap(), "https://south.example/volume/v3");
        assert_eq!(find(EndpointInterface::Internal, Some("north")).unwrap(), "http://10.0.0.1:8776/v3");
        let missing = find(EndpointInterface::Admin, Some("south")).unwrap_err().to_string();
        assert!(missing.contains("south") && missing.contains("admin") && missing.contains("endpoints"), "{missing}");
    }

    #[test]
    fn a_service_that_is_not_there_or_speaks_no_http_is_named() {
        for service in [Service::Image, Service::Compute] {
            let missing = catalogue().endpoint(service, EndpointInterface::Public, None).unwrap_err();
            assert!(matches!(&missing, BackendError::Unsupported(why) if why.contains(&service.to_string())));
        }
    }
}
