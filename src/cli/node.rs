use std::{io::Write, net::SocketAddr};

use anyhow::Context;
use node_driver::{
    AcceleratorChoice, Driver, GuestNetwork, Options,
    door::{self, Door},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{data_dir, serve::cancel_on_signal};
use crate::config::{AcceleratorConfig, Config};

/// What `tombolo node` takes.
#[derive(clap::Args)]
#[command(after_help = "\
By default the broker on this host reaches the node through a Unix socket in the data directory. For a broker \
elsewhere, listen on a private address and give both sides the same token:
  TOMBOLO_NODE_TOKEN=… tombolo node --listen 192.0.2.7:8788
and in the broker's tombolo.toml:
  [[site]]
  name = \"lab\"
  adapter = { kind = \"node\", url = \"http://192.0.2.7:8788\", token = \"…\" }
The connection is not encrypted: use a network that you trust, or a tunnel.")]
pub struct NodeArgs {
    /// Listen on this address instead of the Unix socket
    #[arg(long, value_name = "ADDRESS:PORT", requires = "token")]
    listen: Option<SocketAddr>,
    /// What the broker must present, at least 16 characters
    #[arg(long, env = "TOMBOLO_NODE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub async fn run(config: &Config, args: &NodeArgs) -> anyhow::Result<()> {
    data_dir::prepare(&config.data_dir)?;
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone())?);
    let driver = Driver::open(options(config)).await.context("cannot open the node driver")?;
    let listen = match (&args.listen, &args.token) {
        (Some(address), Some(token)) => {
            anyhow::ensure!(token.len() >= 16, "the node's token must have at least 16 characters");
            door::Listen::Tcp { address: *address, token: token.clone() }
        }
        _ => door::Listen::Unix(config.node_socket()),
    };
    let door = Door::bind(driver.clone(), listen)?;
    match door.address() {
        Some(address) => println!("node reachable at http://{address}"),
        None => println!("node reachable at {}", config.node_socket().display()),
    }
    std::io::stdout().flush()?;
    let served = door.serve(shutdown).await;
    driver.close().await;
    Ok(served?)
}

/// Opens the node driver of this host on its Unix socket and serves it until the token is cancelled.
pub async fn start_embedded(
    config: &Config,
    shutdown: &CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let driver = Driver::open(options(config)).await.context("cannot open the node driver of this host")?;
    let door = Door::bind(driver.clone(), door::Listen::Unix(config.node_socket()))?;
    let shutdown = shutdown.clone();
    Ok(tokio::spawn(async move {
        let served = door.serve(shutdown).await;
        driver.close().await;
        Ok(served?)
    }))
}

/// The driver's options out of the configuration.
pub fn options(config: &Config) -> Options {
    let node = &config.node;
    let mut options = Options::new(config.node_dir());
    if !node.qemu.as_os_str().is_empty() {
        options.qemu = Some(node.qemu.clone());
    }
    options.accelerator = match node.accelerator {
        AcceleratorConfig::Auto => AcceleratorChoice::Auto,
        AcceleratorConfig::Kvm => AcceleratorChoice::Kvm,
        AcceleratorConfig::Tcg => AcceleratorChoice::Tcg,
    };
    options.forward_host = node.forward_address;
    if !node.advertised_host.is_empty() {
        options.advertised_host = Some(node.advertised_host.clone());
    }
    if node.isolated {
        options.guest_network = GuestNetwork::Isolated;
    }
    options.ssh_ports = node.first_port..=node.last_port;
    options.graceful_deadline = std::time::Duration::from_secs(node.graceful_seconds);
    options
}
