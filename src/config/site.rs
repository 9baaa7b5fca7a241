//! Sites, and the ways to their backends.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use backend::{Capability, SizeOffer};
use occi_adapter::OcciOptions;
use opennebula_adapter::OpenNebulaOptions;
use openstack_adapter::OpenStackOptions;
use serde::Deserialize;
use toml::Table;

use super::{
    ConfigError, images,
    secret::{self, Secrets},
};

/// A site as it is written down: with the places of its secrets, not with what is there.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteDeclaration {
    /// Its name.
    pub name: String,
    /// The way to its backend.
    adapter: Table,
    /// For how many seconds the backend may keep from us what it was asked to make and did not answer; the adapter
    /// knows when this is not given.
    #[serde(default)]
    sighting_seconds: Option<u64>,
    /// Where the site reaches this server to fetch images, if not at `[images] url`.
    #[serde(default)]
    image_url: Option<String>,
    /// The file that it stands in; the broker's own declarations stand nowhere.
    #[serde(skip)]
    origin: Option<PathBuf>,
}

// Secrets must not reach a log by way of {:?}.
impl fmt::Debug for SiteDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteDeclaration")
            .field("name", &self.name)
            .field("adapter", &self.shown_adapter())
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl SiteDeclaration {
    /// This host as a site, reached by its node driver's socket.
    pub fn local_node(name: &str, socket: &Path) -> Self {
        let socket = socket.to_string_lossy().into_owned();
        let adapter = Table::from_iter([
            ("kind".to_owned(), toml::Value::from("node-socket")),
            ("socket".to_owned(), toml::Value::from(socket)),
        ]);
        Self { name: name.to_owned(), adapter, sighting_seconds: None, image_url: None, origin: None }
    }

    /// The same, as it stands in this file.
    pub(super) fn written_in(self, origin: &Path) -> Self {
        Self { origin: Some(origin.to_owned()), ..self }
    }

    /// Where the site reaches this server to fetch images, if not at `[images] url`.
    pub fn image_url(&self) -> Option<&str> {
        self.image_url.as_deref()
    }

    /// The file that it stands in.
    pub fn origin(&self) -> Option<&Path> {
        self.origin.as_deref()
    }

    /// Which adapter it wants.
    pub fn kind(&self) -> &str {
        self.adapter.get("kind").and_then(toml::Value::as_str).unwrap_or_default()
    }

    /// The way to its backend as it may be shown: without secrets.
    pub fn shown_adapter(&self) -> Table {
        secret::hidden(&self.adapter)
    }

    /// The site with its secrets, as they are at this moment.
    ///
    /// # Errors
    /// A secret cannot be had, or the adapter's options are wrong.
    pub fn resolve(&self) -> Result<SiteConfig, RefusedSite> {
        check_name(&self.name).map_err(|reason| self.refused(reason))?;
        if let Some(Err(problem)) = self.image_url.as_deref().map(images::check_address) {
            return Err(self.refused(format!("image_url {problem}")));
        }
        let beside = self.origin.as_deref().and_then(Path::parent);
        let (resolved, secrets) = secret::resolve(&self.adapter, beside).map_err(|reason| self.refused(reason))?;
        let adapter = AdapterConfig::deserialize(resolved.clone())
            .map_err(|error| self.refused(format!("adapter: {}", secrets.hide(error.message()))))?;
        Ok(SiteConfig { declaration: self.clone(), adapter, resolved, secrets })
    }

    fn refused(&self, reason: String) -> RefusedSite {
        RefusedSite { name: self.name.clone(), origin: self.origin.clone(), reason }
    }
}

/// A site that cannot be used as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("site {name}: {reason}{}", place(origin.as_deref()))]
pub struct RefusedSite {
    /// Its name.
    pub name: String,
    /// The file that it stands in.
    pub origin: Option<PathBuf>,
    /// What is wrong, without any secret.
    pub reason: String,
}

fn place(origin: Option<&Path>) -> String {
    origin.map(|origin| format!(" (in {})", origin.display())).unwrap_or_default()
}

impl From<RefusedSite> for ConfigError {
    fn from(refused: RefusedSite) -> Self {
        Self::Unusable(refused.to_string())
    }
}

/// Whether a site may have the name.
///
/// # Errors
/// What names are made of.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(format!("site name {name:?} must be 1 to 63 of a-z 0-9 -"));
    }
    Ok(())
}

/// A site and how it is reached, its secrets included.
#[derive(Clone)]
pub struct SiteConfig {
    declaration: SiteDeclaration,
    /// The way to its backend.
    pub adapter: AdapterConfig,
    resolved: Table,
    secrets: Secrets,
}

impl fmt::Debug for SiteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.declaration.fmt(f)
    }
}

impl SiteConfig {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.declaration.name
    }

    /// As it is written down.
    pub fn declaration(&self) -> &SiteDeclaration {
        &self.declaration
    }

    /// For how many seconds its backend may keep from us what it was asked to make, if that is said.
    pub fn sighting_seconds(&self) -> Option<u64> {
        self.declaration.sighting_seconds
    }

    /// Whether the way to the backend is the same, secrets included; wherever each is written down.
    pub fn leads_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.declaration, &other.declaration);
        let same_delay = ours.sighting_seconds == theirs.sighting_seconds;
        self.resolved == other.resolved && same_delay && ours.image_url == theirs.image_url
    }

    /// The text without the site's secrets.
    pub fn hide(&self, text: &str) -> String {
        self.secrets.hide(text)
    }
}

/// The kinds of backend.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum AdapterConfig {
    /// Our own node driver on this host.
    NodeSocket {
        /// Its Unix socket.
        socket: PathBuf,
    },
    /// Our own node driver elsewhere.
    Node {
        /// `http://host:port`.
        url: String,
        /// What `tombolo node` was given as its token.
        token: String,
    },
    /// Machines in memory, for tests and benchmarks of the broker itself.
    Simulator(SimulatorOptions),
    /// A simulator in another process, which outlives this one: for tests of several brokers.
    SimulatorSocket {
        /// Its Unix socket.
        socket: PathBuf,
    },
    /// Any OCCI server, another Tombolo included.
    Occi(Box<OcciOptions>),
    /// OpenNebula, over XML-RPC.
    #[serde(rename = "opennebula")]
    OpenNebula(Box<OpenNebulaOptions>),
    /// OpenStack.
    #[serde(rename = "openstack")]
    OpenStack(Box<OpenStackOptions>),
}

/// How a simulator differs from one that can do everything at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorOptions {
    /// How long a machine takes until it runs. Real ones take a while, and clients are made for those.
    pub boot_milliseconds: u64,
    /// What it cannot do.
    pub without: Vec<Capability>,
    /// The sizes that it offers; any when there is none.
    pub sizes: Vec<SizeOffer>,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self { boot_milliseconds: 400, without: Vec::new(), sizes: Vec::new() }
    }
}

// The token must not reach a log by way of {:?}.
impl fmt::Debug for AdapterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeSocket { socket } => f.debug_struct("NodeSocket").field("socket", socket).finish(),
            Self::Node { url, .. } => f.debug_struct("Node").field("url", url).finish_non_exhaustive(),
            Self::Simulator(options) => options.fmt(f),
            Self::SimulatorSocket { socket } => f.debug_struct("SimulatorSocket").field("socket", socket).finish(),
            Self::Occi(options) => options.fmt(f),
            Self::OpenNebula(options) => options.fmt(f),
            Self::OpenStack(options) => options.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(text: &str) -> SiteDeclaration {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_site_is_the_same_wherever_its_secret_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let keep = |secret: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&file, secret).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        keep("canary-token\n");
        let node = |token: &str| {
            let text =
                format!("name = 'a'\nadapter = {{ kind = 'node', url = 'http://n.example:1', token = {token} }}");
            declared(&text).written_in(&directory.path().join("a.toml"))
        };
        let (written, kept) = (node("'canary-token'"), node("{ file = 'secret' }"));
        let before = kept.resolve().unwrap();
        assert!(written.resolve().unwrap().leads_as(&before));
        keep("canary-another");
        assert!(!kept.resolve().unwrap().leads_as(&before), "a changed secret is a changed site");
        for shown in [format!("{before:?}"), format!("{:?}", before.adapter), format!("{written:?}")] {
            assert!(!shown.contains("canary") && shown.contains("n.example"), "{shown}");
        }
    }

    #[test]
    fn where_a_site_reaches_us_is_a_part_of_the_way() {
        let reached =
            |url: &str| declared(&format!("name = 'a'\nimage_url = '{url}'\nadapter = {{ kind = 'simulator' }}"));
        let here = reached("http://127.0.0.1:8787").resolve().unwrap();
        assert!(reached("http://127.0.0.1:8787").resolve().unwrap().leads_as(&here));
        assert!(!reached("https://broker.example").resolve().unwrap().leads_as(&here));
        assert!(reached("http://10.0.0.1").resolve().unwrap_err().to_string().contains("image_url"));
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for (text, words) in [
            ("{ kind = 'nod', token = 'canary' }", "unknown variant `nod`"),
            ("{ kind = 'node', url = 'http://n.example', token = 'canary', tokn = 'x' }", "tokn"),
            ("{ kind = 'node-socket', socket = 5, token = 'canary' }", "adapter"),
            ("{ kind = 'simulator', without = ['suspendd'] }", "suspendd"),
            ("{ token = 'canary' }", "kind"),
        ] {
            let refused = declared(&format!("name = 'lab'\nadapter = {text}")).resolve().unwrap_err().to_string();
            assert!(refused.contains(words) && refused.starts_with("site lab: "), "{refused}");
            assert!(!refused.contains("canary"), "{refused}");
        }
        // A secret in the place of something else is a secret still.
        let text = "name = 'lab'\nadapter = { kind = 'simulator', boot_milliseconds = 'canary', token = 'canary' }";
        assert!(!declared(text).resolve().unwrap_err().to_string().contains("canary"));
    }
}
