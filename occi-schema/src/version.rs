//! OCCI versions and the version token of `User-Agent` (GFD.223 section 5).

use serde::Deserialize;
use thiserror::Error;

/// A version of the standard that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum OcciVersion {
    /// OCCI 1.1 (2011).
    #[serde(rename = "1.1")]
    V1_1,
    /// OCCI 1.2 (2016).
    #[serde(rename = "1.2")]
    V1_2,
}

/// Which versions' categories a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Versions {
    /// What OCCI 1.1 had and 1.2 dropped is still there, for the clients that ask for it.
    #[default]
    Both,
    /// OCCI 1.2 alone: no `occi.compute.speed`, no `backup`, `snapshot` and `resize` of storage.
    Only1_2,
}

/// A client asked for a version above ours: answer 501.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("this server speaks OCCI/1.2 and OCCI/1.1, the client asks for OCCI/{major}.{minor}: use an older client")]
pub struct UnsupportedVersion {
    /// The major number the client named.
    pub major: u32,
    /// The minor number the client named.
    pub minor: u32,
}

impl OcciVersion {
    /// The tokens for the `Server` header.
    pub const SERVER_TOKENS: &'static str = "OCCI/1.2 OCCI/1.1";

    /// The version a client speaks by its `User-Agent`; `None` where it names none.
    ///
    /// # Errors
    /// The highest version it names is above ours.
    pub fn of_client(user_agent: Option<&str>) -> Result<Option<Self>, UnsupportedVersion> {
        let named = user_agent.unwrap_or_default().split_ascii_whitespace().filter_map(named_version).max();
        match named {
            None => Ok(None),
            Some((1, 2)) => Ok(Some(Self::V1_2)),
            Some(version) if version < (1, 2) => Ok(Some(Self::V1_1)),
            Some((major, minor)) => Err(UnsupportedVersion { major, minor }),
        }
    }
}

fn named_version(token: &str) -> Option<(u32, u32)> {
    let (major, minor) = token.trim_matches(['(', ')', ',', ';']).strip_prefix("OCCI/")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_048_to_050_versions_of_clients() {
        assert_eq!(OcciVersion::of_client(None), Ok(None));
        assert_eq!(OcciVersion::of_client(Some("curl/8.0")), Ok(None));
        assert_eq!(OcciVersion::of_client(Some("x OCCI/1.1")), Ok(Some(OcciVersion::V1_1)));
        assert_eq!(OcciVersion::of_client(Some("jocci/0.2 (OCCI/1.2)")), Ok(Some(OcciVersion::V1_2)));
        assert_eq!(OcciVersion::of_client(Some("x OCCI/9.9")), Err(UnsupportedVersion { major: 9, minor: 9 }));
        assert_eq!(OcciVersion::of_client(Some("x OCCI/99999999999.1")), Ok(None));
    }
}
