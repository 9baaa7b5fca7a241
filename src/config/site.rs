//! Sites, and the ways to their backends.

use std::{fmt, path::PathBuf};

use serde::Deserialize;

/// A site and how it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Its name.
    pub name: String,
    /// The way to its backend.
    pub adapter: AdapterConfig,
    /// For how many seconds the backend may keep from us what it was asked to make and did not answer; the adapter
    /// knows when this is not given.
    #[serde(default)]
    pub sighting_seconds: Option<u64>,
    /// Where the site reaches this server to fetch images, if not at `[images] url`.
    #[serde(default)]
    pub image_url: Option<String>,
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
    Simulator {
        /// How long a machine takes until it runs. Real ones take a while, and clients are made for those.
        #[serde(default = "simulated_boot")]
        boot_milliseconds: u64,
    },
    /// A simulator in another process, which outlives this one: for tests of several brokers.
    SimulatorSocket {
        /// Its Unix socket.
        socket: PathBuf,
    },
}

// The token must not reach a log by way of {:?}.
impl fmt::Debug for AdapterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeSocket { socket } => f.debug_struct("NodeSocket").field("socket", socket).finish(),
            Self::Node { url, .. } => f.debug_struct("Node").field("url", url).finish_non_exhaustive(),
            Self::Simulator { boot_milliseconds } => {
                f.debug_struct("Simulator").field("boot_milliseconds", boot_milliseconds).finish()
            }
            Self::SimulatorSocket { socket } => f.debug_struct("SimulatorSocket").field("socket", socket).finish(),
        }
    }
}

fn simulated_boot() -> u64 {
    400
}
