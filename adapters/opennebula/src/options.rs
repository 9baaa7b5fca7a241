use std::{collections::BTreeMap, fmt, path::PathBuf};

use backend::Limits;
use backend_http::Url;
use disk_image::ImageFormat;
use serde::Deserialize;

/// How an OpenNebula is reached and used.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenNebulaOptions {
    /// The XML-RPC endpoint of oned, mostly `https://cloud.example:2633/RPC2`. oned itself speaks plain HTTP and is
    /// told the secret in every call: put a proxy with TLS before it, or the broker on its host.
    pub endpoint: Url,
    /// The user's name.
    pub user: String,
    /// Its password, or a login token.
    pub secret: String,
    /// Whether the secret is a password that is only used to get login tokens, which then go with the calls.
    #[serde(default)]
    pub login_tokens: bool,
    /// Certificates, in PEM, of authorities that are trusted beside the system's own.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// A forward proxy.
    #[serde(default)]
    pub proxy: Option<Url>,
    /// How many calls are under way at the same time, at most 10: oned has 15 connections for everybody.
    #[serde(default = "usual_calls_at_once")]
    pub calls_at_once: usize,
    /// Whose objects are looked through for ours.
    #[serde(default)]
    pub visible: Visible,
    /// The datastore for images and volumes; the first one with room when there is none.
    #[serde(default)]
    pub image_datastore: Option<u32>,
    /// Image formats that the site's datastores take, the preferred one first.
    #[serde(default = "usual_formats")]
    pub image_formats: Vec<ImageFormat>,
    /// Whether oned runs on the broker's own host and may read the image store's files: images go by path, then.
    #[serde(default)]
    pub same_host: bool,
    /// Where the directory of oned's datastores, there `/var/lib/one/datastores`, is seen from the broker. Without it
    /// no disk can be saved: XML-RPC hands out no bytes.
    #[serde(default)]
    pub datastores: Option<PathBuf>,
    /// `SCHED_REQUIREMENTS` of every machine, such as `CLUSTER_ID="100"`.
    #[serde(default)]
    pub requirements: Option<String>,
    /// The network of machines that ask for none.
    #[serde(default)]
    pub default_network: Option<u32>,
    /// The network on which addresses are reserved.
    #[serde(default)]
    pub public_network: Option<u32>,
    /// How networks are made; there are none without it.
    #[serde(default)]
    pub networks: Option<NewNetworks>,
    /// CPU of a machine for each of its cores: how much of a real one it is promised.
    #[serde(default = "usual_cpu_per_core")]
    pub cpu_per_core: f64,
    /// `DEV_PREFIX` of disks.
    #[serde(default = "usual_disk_prefix")]
    pub disk_prefix: String,
    /// The most that one machine may have; as much as the largest host has when it is not said.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// The price of things, in the site's own currency.
    #[serde(default)]
    pub currency: Option<String>,
    /// `CPU_COST` of every machine: for one core and hour.
    #[serde(default)]
    pub cpu_cost: Option<f64>,
    /// `MEMORY_COST` of every machine: for one GiB and hour.
    #[serde(default)]
    pub memory_cost: Option<f64>,
    /// `DISK_COST` of every machine: for one GiB and hour.
    #[serde(default)]
    pub disk_cost: Option<f64>,
}

/// Whose objects are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    /// Those of our user.
    #[default]
    Mine,
    /// Those of our user and of its groups.
    Group,
    /// All that our user may see.
    All,
}

impl Visible {
    /// The filter flag of the pools' calls (XML-RPC API, `one.vmpool.info`).
    pub(crate) fn filter(self) -> i32 {
        match self {
            Self::Mine => -3,
            Self::Group => -1,
            Self::All => -2,
        }
    }
}

/// How networks are made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NewNetworks {
    /// As virtual networks of their own, for which our user needs the right to create networks.
    Created {
        /// What every network's template has: `VN_MAD`, `BRIDGE`, `PHYDEV`, `AUTOMATIC_VLAN_ID`.
        template: BTreeMap<String, String>,
        /// The cluster that they belong to.
        #[serde(default)]
        cluster: Option<u32>,
    },
    /// As reservations from a network, which every user may make that may use it.
    Reserved {
        /// That network.
        parent: u32,
        /// How many addresses each has.
        addresses: u32,
    },
}

fn usual_calls_at_once() -> usize {
    8
}

fn usual_formats() -> Vec<ImageFormat> {
    vec![ImageFormat::Qcow2, ImageFormat::Raw]
}

fn usual_cpu_per_core() -> f64 {
    1.0
}

fn usual_disk_prefix() -> String {
    "vd".to_owned()
}

impl OpenNebulaOptions {
    /// The usual options for this endpoint and user.
    #[must_use]
    pub fn new(endpoint: Url, user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            endpoint,
            user: user.into(),
            secret: secret.into(),
            login_tokens: false,
            authorities: None,
            proxy: None,
            calls_at_once: usual_calls_at_once(),
            visible: Visible::default(),
            image_datastore: None,
            image_formats: usual_formats(),
            same_host: false,
            datastores: None,
            requirements: None,
            default_network: None,
            public_network: None,
            networks: None,
            cpu_per_core: usual_cpu_per_core(),
            disk_prefix: usual_disk_prefix(),
            limits: None,
            currency: None,
            cpu_cost: None,
            memory_cost: None,
            disk_cost: None,
        }
    }

    /// What is wrong with the options, for whoever wrote them.
    pub(crate) fn fault(&self) -> Option<String> {
        let name = &self.user;
        if name.is_empty() || name.contains([':', '/', ' ', '<', '"']) {
            return Some(format!("user: {name:?} is no user's name; it must have none of : / < \" and no blank"));
        }
        if self.secret.is_empty() {
            return Some("secret: it is empty; give the user's password or a login token".into());
        }
        if !(1..=10).contains(&self.calls_at_once) {
            return Some("calls_at_once: must be 1 to 10, since oned has 15 connections for everybody".into());
        }
        if self.image_formats.is_empty() {
            return Some("image_formats: name one format at least, such as raw".into());
        }
        if !(self.cpu_per_core.is_finite() && self.cpu_per_core > 0.0) {
            return Some("cpu_per_core: must be more than 0".into());
        }
        None
    }
}

// The secret lets in whoever reads it, and so does a password in the proxy's address.
impl fmt::Debug for OpenNebulaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenNebulaOptions")
            .field("host", &self.endpoint.host_str())
            .field("user", &self.user)
            .field("login_tokens", &self.login_tokens)
            .field("visible", &self.visible)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "endpoint = 'http://one.example:2633/RPC2'\nuser = 'alice'\nsecret = 'hidden: word'\n";

    #[test]
    fn options_come_from_a_file_and_hide_their_secret() {
        let more = "proxy = 'http://me:hidden@proxy.example'\n[networks.created]\ntemplate = { VN_MAD = 'bridge' }\n";
        let options: OpenNebulaOptions = toml::from_str(&format!("{LEAST}{more}")).unwrap();
        assert_eq!(options.fault(), None);
        assert!(matches!(options.networks, Some(NewNetworks::Created { .. })));
        let shown = format!("{options:?}");
        assert!(shown.contains("one.example") && !shown.contains("hidden"), "{shown}");
        assert!(toml::from_str::<OpenNebulaOptions>(&format!("{LEAST}secrt = 'x'")).is_err());
    }

    #[test]
    fn options_that_cannot_work_say_why() {
        let good: OpenNebulaOptions = toml::from_str(LEAST).unwrap();
        let faulty = |spoil: fn(&mut OpenNebulaOptions)| {
            let mut options = good.clone();
            spoil(&mut options);
            options.fault().unwrap_or_default()
        };
        assert!(faulty(|options| options.user = "a:b".into()).starts_with("user"));
        assert!(faulty(|options| options.secret.clear()).starts_with("secret"));
        assert!(faulty(|options| options.calls_at_once = 15).starts_with("calls_at_once"));
        assert!(faulty(|options| options.image_formats.clear()).starts_with("image_formats"));
        assert!(faulty(|options| options.cpu_per_core = f64::NAN).starts_with("cpu_per_core"));
    }
}
