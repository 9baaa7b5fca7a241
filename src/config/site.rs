//! Sites, and the ways to their backends.

use std::path::PathBuf;

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
}

/// The kinds of backend.
#[derive(Debug, Clone, Deserialize)]
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

fn simulated_boot() -> u64 {
    400
}
