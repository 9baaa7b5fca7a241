//! The registry of adapters: the one place that knows which there are.

use std::{sync::Arc, time::Duration};

use backend::{
    Backend,
    simulator::{Behaviour, Simulator, socket::SimulatorClient},
};
use node_adapter::{NodeAddress, NodeBackend};
use occi_adapter::{OcciBackend, OcciOptions};
use opennebula_adapter::OpenNebulaBackend;
use openstack_adapter::OpenStackBackend;

use crate::{
    config::{AdapterConfig, SimulatorOptions, SiteConfig},
    request,
};

/// A server may list only later what it has just accepted.
const OCCI_SIGHTING: Duration = Duration::from_secs(10);
/// oned allocates within one call, which may be under way still when its connection is gone.
const OPENNEBULA_SIGHTING: Duration = Duration::from_secs(10);
/// Each service may be at work on a request for a while whose connection is gone.
const OPENSTACK_SIGHTING: Duration = Duration::from_secs(30);

/// The way to a backend.
pub struct Connection {
    /// The backend, not guarded by anything.
    pub backend: Arc<dyn Backend>,
    /// For how long it may keep from us what it was asked to make and did not answer.
    pub sighting_delay: Duration,
}

/// Sets up the adapter of a site. Nobody is called yet.
///
/// # Errors
/// The options make no sense together, in words without secrets.
pub fn connect(site: &SiteConfig) -> Result<Connection, String> {
    let (backend, sighting_delay) = set_up(&site.adapter).map_err(|reason| site.hide(&reason))?;
    let sighting_delay = site.sighting_seconds().map_or(sighting_delay, Duration::from_secs);
    Ok(Connection { backend, sighting_delay })
}

fn set_up(adapter: &AdapterConfig) -> Result<(Arc<dyn Backend>, Duration), String> {
    // Node drivers and simulators answer for what they are just making.
    let at_once = Duration::ZERO;
    Ok(match adapter {
        AdapterConfig::NodeSocket { socket } => (node(NodeAddress::Unix(socket.clone()))?, at_once),
        AdapterConfig::Node { url, token } => {
            (node(NodeAddress::Tcp { url: url.clone(), token: token.clone() })?, at_once)
        }
        AdapterConfig::Simulator(options) => (Arc::new(simulator(options)), at_once),
        AdapterConfig::SimulatorSocket { socket } => (Arc::new(SimulatorClient::new(socket)), at_once),
        AdapterConfig::Occi(options) => (occi(options)?, OCCI_SIGHTING),
        AdapterConfig::OpenNebula(options) => {
            let backend = OpenNebulaBackend::new((**options).clone()).map_err(|error| error.to_string())?;
            (Arc::new(backend), OPENNEBULA_SIGHTING)
        }
        AdapterConfig::OpenStack(options) => {
            let backend = OpenStackBackend::new((**options).clone()).map_err(|error| error.to_string())?;
            (Arc::new(backend), OPENSTACK_SIGHTING)
        }
    })
}

fn occi(options: &OcciOptions) -> Result<Arc<dyn Backend>, String> {
    let backend = OcciBackend::new(options.clone()).map_err(|error| error.to_string())?;
    Ok(match request::broker() {
        Some(id) => Arc::new(backend.for_broker(id)),
        None => Arc::new(backend),
    })
}

fn node(address: NodeAddress) -> Result<Arc<dyn Backend>, String> {
    match NodeBackend::new(address) {
        Ok(backend) => Ok(Arc::new(backend)),
        Err(error) => Err(error.to_string()),
    }
}

fn simulator(options: &SimulatorOptions) -> Simulator {
    let mut behaviour = Behaviour::default();
    behaviour.delays.boot = Duration::from_millis(options.boot_milliseconds);
    let description = &mut behaviour.description;
    description.capabilities = description.capabilities.clone().without(&options.without);
    description.sizes.clone_from(&options.sizes);
    Simulator::new(behaviour)
}
