use std::fmt;

use serde::Deserialize;
use url::Url;

use crate::microversion::{Microversion, Wanted};

/// One of OpenStack's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Nova.
    Compute,
    /// Glance.
    Image,
    /// Neutron.
    Network,
    /// Cinder.
    BlockStorage,
    /// Placement.
    Placement,
}

impl Service {
    /// All that are called.
    pub(crate) const ALL: [Self; 5] = [Self::Compute, Self::Image, Self::Network, Self::BlockStorage, Self::Placement];

    /// What catalogues call it, the present name first (OpenStack's service types authority).
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Compute => &["compute"],
            Self::Image => &["image"],
            Self::Network => &["network"],
            Self::BlockStorage => &["block-storage", "volumev3", "block-store", "volume"],
            Self::Placement => &["placement"],
        }
    }

    /// The name in the header of its microversion; Glance and Neutron have none.
    pub(crate) fn versioned_as(self) -> Option<&'static str> {
        match self {
            Self::Compute => Some("compute"),
            Self::BlockStorage => Some("volume"),
            Self::Placement => Some("placement"),
            Self::Image | Self::Network => None,
        }
    }

    /// Which of its microversions we speak.
    pub(crate) fn wanted(self) -> Option<Wanted> {
        match self {
            // 2.53: server tags at the create (2.52) and the flavor within the server (2.47) are there.
            Self::Compute => {
                Some(Wanted { preferred: Microversion::new(2, 96), least: Microversion::new(2, 53), release: "Pike" })
            }
            Self::BlockStorage => {
                Some(Wanted { preferred: Microversion::new(3, 70), least: Microversion::new(3, 0), release: "Mitaka" })
            }
            Self::Placement => {
                Some(Wanted { preferred: Microversion::new(1, 36), least: Microversion::new(1, 0), release: "Newton" })
            }
            Self::Image | Self::Network => None,
        }
    }

    /// Where its calls begin, below the address in the catalogue. Sites write that address with and without version.
    pub(crate) fn base(self, endpoint: &Url, project: &str) -> Url {
        let (version, tail): (Option<&str>, Option<&str>) = match self {
            Self::Compute => (Some("v2.1"), None),
            Self::Image => (Some("v2"), None),
            Self::Network => (Some("v2.0"), None),
            // Cinder before Yoga wants the project in the path, and later ones still take it.
            Self::BlockStorage => (Some("v3"), Some(project)),
            Self::Placement => (None, None),
        };
        let segments: Vec<String> = endpoint.path_segments().into_iter().flatten().map(str::to_owned).collect();
        let before = segments.iter().take_while(|segment| !is_version(segment)).filter(|segment| !segment.is_empty());
        let mut base = endpoint.clone();
        base.set_query(None);
        base.set_fragment(None);
        if let Ok(mut path) = base.path_segments_mut() {
            path.clear().extend(before).extend(version).extend(tail);
        }
        base
    }

    /// Where it tells which versions it has.
    pub(crate) fn version_document(self, endpoint: &Url) -> Url {
        let mut document = self.base(endpoint, "");
        if let Ok(mut path) = document.path_segments_mut() {
            match self {
                Self::BlockStorage => path.pop().push(""),
                Self::Image => path.pop().push("versions"),
                Self::Network => path.push("extensions"),
                Self::Compute | Self::Placement => path.pop_if_empty().push(""),
            };
        }
        document
    }
}

/// `v2`, `v2.1`, `v3`.
fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compute => "compute service (Nova)",
            Self::Image => "image service (Glance)",
            Self::Network => "network service (Neutron)",
            Self::BlockStorage => "block storage service (Cinder)",
            Self::Placement => "placement service",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_the_same_however_the_catalogue_writes_it() {
        for (service, given, base) in [
            (Service::Compute, "http://x:8774/v2.1", "http://x:8774/v2.1"),
            (Service::Compute, "http://x/compute/v2.1/0bb01d", "http://x/compute/v2.1"),
            (Service::Compute, "http://x/compute", "http://x/compute/v2.1"),
            (Service::Image, "http://x:9292", "http://x:9292/v2"),
            (Service::Image, "https://x/image/v2/", "https://x/image/v2"),
            (Service::Network, "http://x:9696/", "http://x:9696/v2.0"),
            (Service::Network, "http://x:9696/networking/v2.0", "http://x:9696/networking/v2.0"),
            (Service::BlockStorage, "http://x:8776/v3", "http://x:8776/v3/p"),
            (Service::BlockStorage, "http://x:8776/v3/abc", "http://x:8776/v3/p"),
            (Service::Placement, "http://x/placement", "http://x/placement"),
        ] {
            assert_eq!(service.base(&given.parse().unwrap(), "p").as_str(), base, "{given}");
        }
    }

    #[test]
    fn version_documents_stand_beside_the_versions() {
        for (service, given, document) in [
            (Service::Compute, "http://x:8774/v2.1/abc", "http://x:8774/v2.1/"),
            (Service::Image, "http://x:9292", "http://x:9292/versions"),
            (Service::BlockStorage, "http://x:8776/v3/abc", "http://x:8776/v3/"),
            (Service::Placement, "http://x/placement", "http://x/placement/"),
            (Service::Network, "http://x:9696", "http://x:9696/v2.0/extensions"),
        ] {
            assert_eq!(service.version_document(&given.parse().unwrap()).as_str(), document, "{given}");
        }
    }
}
