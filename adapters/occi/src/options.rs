use std::{collections::BTreeMap, fmt, path::PathBuf};

use backend_http::Url;
use occi_schema::MediaType;
use serde::{Deserialize, Deserializer, de::Error};

use crate::{dialect::DialectName, secret::Secret};

/// How an OCCI server is reached, and what is known of it that it does not tell.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OcciOptions {
    /// Its address: where `-/` is, without that: `https://cloud.example:11443/`.
    #[serde(deserialize_with = "url")]
    pub endpoint: Url,
    /// By what we are let in.
    #[serde(default)]
    pub auth: Authorization,
    /// A forward proxy.
    #[serde(default, deserialize_with = "optional_url")]
    pub proxy: Option<Url>,
    /// Certificates, in PEM, of authorities that are trusted beside the system's own.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The `os_tpl` terms of our images, by the digests of their contents, for servers that do not tell them.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// The rendering to be spoken; negotiated when there is none.
    #[serde(default)]
    pub rendering: Option<RenderingName>,
    /// Whose habits the server has; by its `Server` field when not given.
    #[serde(default)]
    pub dialect: Option<DialectName>,
    /// The term of the `availability_zone` in which everything is made; the server chooses when there is none.
    #[serde(default)]
    pub zone: Option<String>,
    /// The most that one machine may have, where the server does not tell: cores.
    #[serde(default = "most_cores")]
    pub most_cores: u32,
    /// The same for memory, in MiB.
    #[serde(default = "most_memory")]
    pub most_memory_mib: u64,
    /// How long the server may take for what it does after its answer: making a volume, joining an interface. In
    /// seconds; the broker itself gives up after two minutes.
    #[serde(default = "patience")]
    pub patience_seconds: u64,
}

impl OcciOptions {
    /// What suits most servers.
    #[must_use]
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            auth: Authorization::None,
            proxy: None,
            authorities: None,
            images: BTreeMap::new(),
            rendering: None,
            dialect: None,
            zone: None,
            most_cores: most_cores(),
            most_memory_mib: most_memory(),
            patience_seconds: patience(),
        }
    }

    /// The address with a slash at its end, so that paths can be joined to it.
    pub(crate) fn base(&self) -> Result<Url, Misconfigured> {
        let mut base = self.endpoint.clone();
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Misconfigured::new("endpoint: must be http://… or https://…"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Misconfigured::new("endpoint: no credentials here, they belong into auth"));
        }
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base)
    }
}

// What is no URL is not repeated: a proxy's may hold a password.
fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("must be a URL: {error}")))
}

fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}

/// Most machines have less; the server refuses what it has not got.
fn most_cores() -> u32 {
    256
}

fn most_memory() -> u64 {
    4 << 20
}

fn patience() -> u64 {
    100
}

// A proxy's address may hold a password.
impl fmt::Debug for OcciOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcciOptions")
            .field("endpoint", &self.endpoint.host_str())
            .field("auth", &self.auth)
            .field("has_proxy", &self.proxy.is_some())
            .field("rendering", &self.rendering)
            .field("dialect", &self.dialect)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// By what an OCCI server lets us in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Authorization {
    /// By nothing.
    #[default]
    None,
    /// HTTP Basic.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// `X-Auth-Token`, with a token that was got elsewhere.
    AuthToken {
        /// The token.
        token: Secret,
    },
    /// A token of the Keystone that the server points to, renewed when it is refused (rOCCI, ooi).
    Keystone {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
        /// The project (tenant), by name.
        project: Option<String>,
        /// The domain of user and project, by name, for Keystone v3.
        #[serde(default = "default_domain")]
        domain: String,
        /// Keystone's address with its version (`https://cloud.example:5000/v3`). When it is not given, the one that
        /// the server names is taken if it is on the server's own host: credentials go nowhere else.
        #[serde(default, deserialize_with = "optional_url")]
        uri: Option<Url>,
    },
}

fn default_domain() -> String {
    "Default".to_owned()
}

/// A rendering, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenderingName {
    /// `application/occi+json`.
    Json,
    /// The same as rOCCI 4 writes it.
    LegacyJson,
    /// `text/plain`.
    TextPlain,
    /// `text/occi`.
    TextOcci,
}

impl From<RenderingName> for MediaType {
    fn from(name: RenderingName) -> Self {
        match name {
            RenderingName::Json => Self::Json,
            RenderingName::LegacyJson => Self::LegacyJson,
            RenderingName::TextPlain => Self::TextPlain,
            RenderingName::TextOcci => Self::TextOcci,
        }
    }
}

/// Why the server cannot be called that way, in words for whoever wrote the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misconfigured(String);

impl Misconfigured {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misconfigured {}

impl From<backend_http::OptionsError> for Misconfigured {
    fn from(error: backend_http::OptionsError) -> Self {
        Self(error.to_string())
    }
}
