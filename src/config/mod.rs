//! tombolo.toml, `TOMBOLO_*` and defaults that work with no file.

mod http;
mod images;
mod login;
mod node;
mod occi;
mod secret;
mod site;
mod sites;
mod user;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

pub use self::{
    http::{HttpConfig, Network, TlsConfig, is_host},
    images::{ImagesConfig, MarketplaceConfig, host_of},
    login::{LoginConfig, Registration},
    node::{AcceleratorConfig, NodeConfig},
    occi::OcciConfig,
    site::{AdapterConfig, RefusedSite, SimulatorOptions, SiteConfig, SiteDeclaration},
    sites::{DeclaredSites, SiteSource},
    user::{computer, has_program, has_screen, user_config_dir},
};

use crate::dispatch::{Policy, Trial};

/// No configuration is longer.
const LONGEST: u64 = 1 << 20;

/// Everything that can be configured.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything lies that this process remembers.
    pub data_dir: PathBuf,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// A `postgres://` address or a file; `tombolo.sqlite` in the data directory when empty.
    pub database: String,
    /// Where images are stored; `images` in the data directory when empty. Replicas share it.
    pub image_dir: PathBuf,
    /// Who is believed about names and addresses.
    pub http: HttpConfig,
    /// By what this server speaks TLS itself.
    pub tls: TlsConfig,
    /// How backends fetch images from here.
    pub images: ImagesConfig,
    /// Marketplaces in the format of OpenNebula.
    pub marketplace: MarketplaceConfig,
    /// The OCCI door.
    pub occi: OcciConfig,
    /// Who gets in.
    pub login: LoginConfig,
    /// What is dispatched to sites when.
    pub dispatch: DispatchConfig,
    /// The node driver of this host, as far as it runs here.
    pub node: NodeConfig,
    /// Sizes beside the standard ones.
    pub size: Vec<SizeConfig>,
    /// The sites; when there is none, here or in `sites_dir`, this host is one, named `local`.
    pub site: Vec<SiteDeclaration>,
    /// A directory with one site per file; `sites.d` beside the configuration file when empty, and named from there.
    pub sites_dir: PathBuf,
    #[serde(skip)]
    file: Option<PathBuf>,
    /// The log.
    pub log: LogConfig,
    /// Figures about this process, for Prometheus.
    pub metrics: MetricsConfig,
}

// The database's address has its password in it, which must not reach a log by way of {:?}.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .field("database_is_local", &self.database_is_local())
            .field("http", &self.http)
            .field("tls", &self.tls)
            .field("occi", &self.occi)
            .field("login", &self.login)
            .field("size", &self.size)
            .field("site", &self.site)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// The log. What is logged is the business of `TOMBOLO_LOG`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line, for programs
    Json,
}

/// Figures about this process.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// What `Authorization: Bearer` must carry on `/metrics`; whoever reaches the listener may read when empty.
    pub token: String,
}

// The token must not reach a log by way of {:?}.
impl std::fmt::Debug for MetricsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsConfig").field("token_is_set", &!self.token.is_empty()).finish()
    }
}

/// What is dispatched to sites when.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DispatchConfig {
    /// Constraint, reserve and rule. A text given here replaces the default wholly.
    pub policy: Policy,
}

/// A `resource_tpl` of our own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeConfig {
    /// The mixin's term.
    pub name: String,
    /// For people.
    pub title: String,
    /// Virtual cores.
    pub cores: u32,
    /// GiB of memory.
    pub memory: f64,
    /// GiB of root disk.
    pub disk: f64,
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A value cannot be used.
    #[error("configuration: {0}")]
    Unusable(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            database: String::new(),
            image_dir: PathBuf::new(),
            http: HttpConfig::default(),
            tls: TlsConfig::default(),
            images: ImagesConfig::default(),
            marketplace: MarketplaceConfig::default(),
            occi: OcciConfig::default(),
            login: LoginConfig::default(),
            dispatch: DispatchConfig::default(),
            node: NodeConfig::default(),
            size: Vec::new(),
            site: Vec::new(),
            sites_dir: PathBuf::new(),
            file: None,
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
        }
    }
}

/// What the command line says about the configuration; it goes before the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file; without one, defaults serve on 127.0.0.1 with SQLite and a local node
    #[arg(long, env = "TOMBOLO_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, env = "TOMBOLO_DATA_DIR", global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Database: a postgres:// address or a file
    #[arg(long, env = "TOMBOLO_DATABASE", global = true, value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// How the log is written
    #[arg(long, env = "TOMBOLO_LOG_FORMAT", global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl ConfigArgs {
    /// The configuration: defaults, then the file, then the command line and the environment.
    ///
    /// # Errors
    /// The file is unreadable or wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => {
                let file = std::path::absolute(path)
                    .map_err(|reason| ConfigError::Unreadable { path: path.clone(), reason })?;
                Config { file: Some(file), ..Config::read(path)? }
            }
            None => Config::default(),
        };
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(database) = &self.database {
            config.database.clone_from(database);
        }
        if let Some(format) = self.log_format {
            config.log.format = format;
        }
        // Sockets and links outlive a change of the working directory only if they are absolute.
        config.data_dir = std::path::absolute(&config.data_dir)
            .map_err(|error| ConfigError::Unusable(format!("data_dir {}: {error}", config.data_dir.display())))?;
        if !config.image_dir.as_os_str().is_empty() {
            config.image_dir = std::path::absolute(&config.image_dir)
                .map_err(|error| ConfigError::Unusable(format!("image_dir {}: {error}", config.image_dir.display())))?;
        }
        config.check()?;
        Ok(config)
    }
}

impl Config {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
        let malformed = |reason: String| ConfigError::Malformed { path: path.to_owned(), reason };
        if std::fs::metadata(path).map_err(unreadable)?.len() > LONGEST {
            return Err(malformed("longer than 1 MiB".into()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text).map_err(|error| malformed(sites::mistake(&text, &error)))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let unusable = |reason: String| Err(ConfigError::Unusable(reason));
        let mut own = BTreeSet::new();
        for site in &self.site {
            site::check_name(&site.name).map_err(ConfigError::Unusable)?;
            if !own.insert(&site.name) {
                return unusable(format!("two sites are named {}", site.name));
            }
        }
        let declared = self.site_source().read()?;
        let names = declared.names();
        // Without any site written down, this host is one, named `local`.
        let unknown =
            |site: &&str| !names.iter().any(|name| name.as_str() == *site) && (*site != "local" || !names.is_empty());
        let mut named = self.dispatch.policy.sites().into_iter();
        if let Some(site) = named.find(|site| declared.unreadable.is_none() && unknown(site)) {
            return unusable(format!(
                "[dispatch] policy: there is no site {site}; correct the name after @, or remove the line"
            ));
        }
        self.login.check(&names).map_err(ConfigError::Unusable)?;
        for size in &self.size {
            let sensible = |gib: f64| gib.is_finite() && gib > 0.0 && gib <= 65_536.0;
            if size.cores == 0 || !sensible(size.memory) || !sensible(size.disk) {
                return unusable(format!("size {} needs cores, memory and disk above zero", size.name));
            }
        }
        let public = &self.occi.public_url;
        let absolute = public.starts_with("https://") || public.starts_with("http://");
        if !public.is_empty()
            && (!absolute || public.ends_with('/') || public.contains(|c: char| !c.is_ascii_graphic()))
        {
            return unusable(format!(
                "[occi] public_url = {public:?} must be like https://host, without a slash at the end"
            ));
        }
        if self.node.first_port == 0 || self.node.first_port > self.node.last_port {
            return unusable("node: first_port must be at least 1 and at most last_port".into());
        }
        let token = &self.metrics.token;
        if !token.is_empty() && (token.len() < 16 || token.len() > 256 || !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            return unusable("[metrics] token must be 16 to 256 printable characters without blanks".into());
        }
        let mistake = self.http.mistake().or_else(|| self.tls.mistake());
        let mistake = mistake.or_else(|| self.images.mistake()).or_else(|| self.marketplace.mistake());
        if let Some(mistake) = mistake {
            return unusable(mistake);
        }
        self.check_listen()
    }

    /// Finds out whether what is said here can be overheard.
    ///
    /// # Errors
    /// The address that is listened on is open to the network, and nothing says that TLS is spoken.
    pub fn check_listen(&self) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() || self.tls.files().is_some() || self.http.behind_tls_proxy {
            return Ok(());
        }
        Err(ConfigError::Unusable(format!(
            "listen = {}: tokens would cross the network in the clear; give [tls] certificate and key, or listen on \
             127.0.0.1 behind a TLS proxy, or say behind_tls_proxy = true in [http] if a TLS proxy elsewhere is all \
             that can reach this address",
            self.listen
        )))
    }

    /// Where the sites are written down.
    pub fn site_source(&self) -> SiteSource {
        let beside = self.file.as_deref().and_then(Path::parent);
        let directory = match (beside, self.sites_dir.as_os_str().is_empty()) {
            (Some(beside), true) => Some(beside.join("sites.d")),
            (Some(beside), false) => Some(beside.join(&self.sites_dir)),
            (None, true) => None,
            (None, false) => Some(self.sites_dir.clone()),
        };
        let given = if self.file.is_some() { Vec::new() } else { self.site.clone() };
        SiteSource::new(self.file.clone(), directory, given)
    }

    /// How much is dispatched to sites at once.
    pub fn policy(&self) -> Policy {
        self.dispatch.policy.clone()
    }

    /// What a test does to the engine; nothing in builds for use.
    #[cfg(not(debug_assertions))]
    pub fn trial(&self) -> Trial {
        Trial::default()
    }

    /// What a test does to the engine: `TOMBOLO_DIE_AT` names a moment at which this process kills itself.
    #[cfg(debug_assertions)]
    #[expect(clippy::disallowed_methods, reason = "the environment is read in this file alone")]
    pub fn trial(&self) -> Trial {
        std::env::var("TOMBOLO_DIE_AT").map_or_else(|_| Trial::default(), Trial::dying_at)
    }

    /// The database's address.
    pub fn database_address(&self) -> String {
        if self.database.is_empty() {
            self.data_dir.join("tombolo.sqlite").to_string_lossy().into_owned()
        } else {
            self.database.clone()
        }
    }

    /// Whether the database is a file that one process owns.
    pub fn database_is_local(&self) -> bool {
        !self.database.starts_with("postgres://") && !self.database.starts_with("postgresql://")
    }

    /// The database's file, if it is one that lies outside of the data directory.
    pub fn database_file(&self) -> Option<PathBuf> {
        let is_own = !self.database.is_empty() && self.database_is_local();
        is_own.then(|| PathBuf::from(self.database.strip_prefix("sqlite://").unwrap_or(&self.database)))
    }

    /// Where images are stored.
    pub fn image_dir(&self) -> PathBuf {
        if self.image_dir.as_os_str().is_empty() { self.data_dir.join("images") } else { self.image_dir.clone() }
    }

    /// Where the node driver of this host keeps its machines.
    pub fn node_dir(&self) -> PathBuf {
        self.data_dir.join("node")
    }

    /// The socket of the node driver of this host.
    pub fn node_socket(&self) -> PathBuf {
        self.node_dir().join("door").join("node.sock")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn default_data_dir() -> PathBuf {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/tombolo");
    }
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map_or_else(|| PathBuf::from("tombolo-data"), |base| base.join("tombolo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tombolo.toml");
        std::fs::write(&path, text).unwrap();
        ConfigArgs { config: Some(path), ..ConfigArgs::default() }.load()
    }

    #[test]
    fn no_file_serves_on_loopback_with_sqlite() {
        let config = ConfigArgs::default().load().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
        assert!(config.database_is_local() && config.site.is_empty());
    }

    #[test]
    fn sites_and_sizes_are_read() {
        let config = load(
            "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot_milliseconds = 5 }\n\
             [[size]]\nname = \"tiny\"\ntitle = \"Tiny\"\ncores = 1\nmemory = 0.25\ndisk = 1\n",
        )
        .unwrap();
        let adapter = config.site[0].resolve().unwrap().adapter;
        assert!(matches!(adapter, AdapterConfig::Simulator(options) if options.boot_milliseconds == 5));
        assert_eq!(config.size[0].cores, 1);
    }

    #[test]
    fn a_dispatch_policy_replaces_the_default_wholly() {
        let config = load("[dispatch]\npolicy = \"any: active < 3\"\n").unwrap();
        assert_eq!(config.dispatch.policy.text(), "any: active < 3\n");
        assert_eq!(ConfigArgs::default().load().unwrap().dispatch.policy, Policy::default());
    }

    #[test]
    fn the_log_is_text_unless_said_otherwise_and_the_token_does_not_show() {
        let config = load("[log]\nformat = \"json\"\n[metrics]\ntoken = \"sixteen-letters-and-more\"\n").unwrap();
        assert_eq!((Config::default().log.format, config.log.format), (LogFormat::Text, LogFormat::Json));
        assert!(!format!("{config:?}").contains("sixteen-letters"));
    }

    #[test]
    fn a47_no_secret_is_in_the_debug_form() {
        let text = "database = \"postgres://me:canary-database@db.example/x\"\n\
                    [metrics]\ntoken = \"canary-metrics-token\"\n\
                    [[login.provider]]\nname = \"school\"\nissuer = \"https://id.example\"\nclient_id = \"us\"\n\
                    client_secret = \"canary-client\"\n\
                    [[site]]\nname = \"lab\"\n\
                    adapter = { kind = \"node\", url = \"http://node.example:1\", token = \"canary-node-token\" }\n";
        let config = load(text).unwrap();
        assert!(config.database.contains("canary") && config.metrics.token.contains("canary"));
        for shown in [format!("{config:?}"), format!("{config:#?}"), format!("{:?}", config.site)] {
            assert!(!shown.contains("canary"), "{shown}");
            assert!(shown.contains("node.example"));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| load(text).unwrap_err().to_string();
        assert!(message("lisen = \"127.0.0.1:1\"").contains("lisen"));
        assert!(message("listen = \"0.0.0.0:80\"").contains("TLS proxy"));
        assert!(message("[node]\nfirst_port = 5\nlast_port = 4\n").contains("first_port"));
        let twice = "[[site]]\nname = \"a\"\nadapter = { kind = \"simulator\" }\n";
        assert!(message(&twice.repeat(2)).contains("two sites"));
        let policy = |text: &str| message(&format!("{twice}[dispatch]\npolicy = \"\"\"\n{text}\n\"\"\"\n"));
        let wrong = policy("any: active < 3\nany: activ < 3");
        assert!(wrong.contains("line 2, column 6") && wrong.contains("a measure"), "{wrong}");
        assert!(policy("create @ b: active < 3").contains("no site b"));
        assert!(message("[log]\nformat = \"xml\"\n").contains("xml"));
        assert!(message("[images]\nurl = \"http://10.0.0.1\"\n").contains("[images] url"));
        assert!(message("[images]\nticket_hours = 0\n").contains("ticket_hours"));
        assert!(message("[marketplace]\nname = \"a/b\"\n").contains("[marketplace] name"));
        assert!(message("[metrics]\ntoken = \"short\"\n").contains("[metrics] token"));
        assert!(message("[[site]]\nname = \"A b\"\nadapter = { kind = \"simulator\" }\n").contains("site name"));
    }
}
