//! The node driver of this host.

use std::path::PathBuf;

use serde::Deserialize;

/// The node driver of this host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The hypervisor's program; searched on the PATH when empty.
    pub qemu: PathBuf,
    /// `auto` probes once, `kvm` and `tcg` decide.
    pub accelerator: AcceleratorConfig,
    /// The address on which guests' SSH ports are forwarded.
    pub forward_address: std::net::IpAddr,
    /// First forwarded port.
    pub first_port: u16,
    /// Last forwarded port.
    pub last_port: u16,
    /// What clients are told instead of `forward_address`: a name or address that they can reach.
    pub advertised_host: String,
    /// Whether guests reach nothing but their own forwarded port.
    pub isolated: bool,
    /// How long a guest may take to stop when asked, in seconds.
    pub graceful_seconds: u64,
}

/// How guests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the field that holds it says what they are")]
pub enum AcceleratorConfig {
    Auto,
    Kvm,
    Tcg,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            qemu: PathBuf::new(),
            accelerator: AcceleratorConfig::Auto,
            forward_address: std::net::Ipv4Addr::LOCALHOST.into(),
            first_port: 22000,
            last_port: 22999,
            advertised_host: String::new(),
            isolated: false,
            graceful_seconds: 60,
        }
    }
}
