//! Networks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend::{
    BackendError, Capability, IntentTag, Interface, InterfaceSpec, Listing, MachineId, Network, NetworkId, NetworkSpec,
    Networks,
};

use crate::{
    NewNetworks, OpenNebulaBackend,
    document::{NetworkDocument, NetworkStanding},
    names::{self, Id, Kind},
    oned::{Allocated, allocated, unless_unknown},
    pool::Pool,
    rpc::Call,
    site::Site,
    subnet::Ranges,
    waiting::Looks,
    xml::Template,
};

/// Until a network is gone.
const GOES: Duration = Duration::from_secs(60);
/// Until a reservation can be changed.
const COMES: Duration = Duration::from_secs(60);
/// Addresses of a network that has no IP addresses of its own: how many interfaces it may have.
const INTERFACES: u32 = 1000;
/// The cluster of a network of which nothing else is said: the usual one.
const USUAL_CLUSTER: i32 = -1;

fn tag_of(network: &NetworkDocument) -> Option<IntentTag> {
    let is_address = Kind::Address.tag_in(&network.name).is_some();
    Kind::Network.tag_in(&network.name).or(network.tag.filter(|_| !is_address))
}

/// Whether it is there still.
pub(crate) fn is_there(network: &NetworkDocument) -> bool {
    !matches!(network.state, NetworkStanding::Leaving | NetworkStanding::Done)
}

fn facts(network: &NetworkDocument) -> Result<Option<Network>, BackendError> {
    let Some(tag) = tag_of(network).filter(|_| is_there(network)) else { return Ok(None) };
    let (state, detail) = (network.state.state(), network.error.clone());
    Ok(Some(Network { id: network.id.named()?, tag, state, detail }))
}

fn unknown(id: &NetworkId) -> BackendError {
    BackendError::NotFound(format!("network {id}"))
}

impl Site {
    /// A network of ours.
    pub(crate) async fn network_document(&self, id: &NetworkId) -> Result<NetworkDocument, BackendError> {
        let network: NetworkDocument = self.oned.object("one.vn.info", Id::of("network", id.as_str())?).await?;
        if facts(&network)?.is_some() { Ok(network) } else { Err(unknown(id)) }
    }

    async fn network_by_tag(&self, tag: IntentTag) -> Result<Option<NetworkDocument>, BackendError> {
        let is_it = |network: &NetworkDocument| tag_of(network) == Some(tag) && is_there(network);
        self.oned.find(Pool::networks(self.filter()), is_it).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        self.version().await?;
        let lost = || BackendError::Failed(format!("OpenNebula made the network of {} and lost it", spec.tag));
        if let Some(known) = self.network_by_tag(spec.tag).await? {
            return facts(&known)?.ok_or_else(lost);
        }
        let call = self.new_network(spec)?;
        let network: NetworkDocument = match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => self.shown("one.vn.info", id).await?,
            Allocated::NameTaken(refusal) => self.network_by_tag(spec.tag).await?.ok_or(refusal)?,
        };
        facts(&network)?.ok_or_else(lost)
    }

    fn new_network(&self, spec: &NetworkSpec) -> Result<Call, BackendError> {
        let name = Kind::Network.name(&spec.name, spec.tag);
        match &self.options.networks {
            None => Err(BackendError::Unsupported("make networks; the site's options do not say how".into())),
            Some(NewNetworks::Reserved { parent, addresses }) => {
                if spec.vlan.is_some() {
                    return Err(Capability::VlanOfChoice.missing());
                }
                // Its addresses are the parent's, whatever was wished for.
                if spec.subnet.is_some() {
                    return Err(BackendError::Unsupported(
                        "give a network addresses of its own: here it is a reservation from another".into(),
                    ));
                }
                let template = Template::write(|template| {
                    template.set("NAME", name).set("SIZE", addresses);
                })?;
                Ok(Call::new("one.vn.reserve").with(Id::of("network", &parent.to_string())?).with(template))
            }
            Some(NewNetworks::Created { template: usual, cluster }) => {
                let ranges = spec.subnet.as_ref().map(Ranges::of).transpose()?;
                let template = Template::write(|template| {
                    template.set("NAME", name).set(names::TAG, spec.tag);
                    let chosen = |name: &str| spec.vlan.is_some() && matches!(name, "VLAN_ID" | "AUTOMATIC_VLAN_ID");
                    for (name, value) in usual.iter().filter(|(name, _)| !chosen(name)) {
                        template.set(name, value);
                    }
                    template.set_some("VLAN_ID", spec.vlan);
                    template.set_some("TOMBOLO_LABEL", spec.label.as_ref());
                    match &ranges {
                        Some(ranges) => ranges.write(template),
                        None => {
                            template.vector("AR", |ar| {
                                ar.set("TYPE", "ETHER").set("SIZE", INTERFACES);
                            });
                        }
                    }
                })?;
                let cluster = cluster.and_then(|cluster| i32::try_from(cluster).ok()).unwrap_or(USUAL_CLUSTER);
                Ok(Call::new("one.vn.allocate").with(template).with(cluster))
            }
        }
    }

    /// Removes a network, and returns when it is gone; one that is not there is a success.
    pub(crate) async fn remove_network(&self, id: Id) -> Result<(), BackendError> {
        let mut looks = Looks::within(GOES);
        let mut asked = false;
        loop {
            let Some(network) = self.oned.object_if_known::<NetworkDocument>("one.vn.info", id).await? else {
                return Ok(());
            };
            if !is_there(&network) && network.state == NetworkStanding::Done {
                return Ok(());
            }
            if !asked && is_there(&network) && network.state != NetworkStanding::Arriving {
                if network.used_leases > 0 {
                    return Err(BackendError::Conflict(format!("network {id} has interfaces; unplug them first")));
                }
                if unless_unknown(self.oned.change(&Call::new("one.vn.delete").with(id)).await?)?.is_none() {
                    return Ok(());
                }
                asked = true;
            } else if asked && network.state == NetworkStanding::Failed {
                let why = network.error.unwrap_or_else(|| "it does not say why".into());
                return Err(BackendError::Failed(format!("OpenNebula could not delete network {id}: {why}")));
            }
            if !looks.next().await {
                return Err(BackendError::Unreachable(format!(
                    "network {id} is still not gone at OpenNebula; ask again"
                )));
            }
        }
    }

    /// The network as soon as it is made, or as it is when that takes too long.
    pub(crate) async fn network_at_rest(&self, id: Id) -> Result<NetworkDocument, BackendError> {
        let mut looks = Looks::within(COMES);
        loop {
            let network: NetworkDocument = self.oned.object("one.vn.info", id).await?;
            if network.state != NetworkStanding::Arriving || !looks.next().await {
                return Ok(network);
            }
        }
    }
}

#[async_trait]
impl Networks for OpenNebulaBackend {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.create_network(&spec).await }).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        facts(&self.site.network_document(id).await?)?.ok_or_else(|| unknown(id))
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        self.site.network_by_tag(tag).await?.map_or(Ok(None), |network| facts(&network))
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.site.oned.list(Pool::networks(self.site.filter()), |network: NetworkDocument| facts(&network)).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        self.site.network_document(id).await?;
        if up { Ok(()) } else { Err(Capability::NetworkDown.missing()) }
    }

    async fn change(&self, id: &NetworkId, _spec: &NetworkSpec) -> Result<(), BackendError> {
        self.site.network_document(id).await?;
        Err(Capability::NetworkReaddress.missing())
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        match self.site.network_document(id).await {
            Ok(network) => self.site.remove_network(network.id).await,
            Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        let machine = Id::of("machine", machine.as_str())?;
        let (site, spec) = (Arc::clone(&self.site), spec.clone());
        self.site.to_the_end(spec.tag, async move { site.plug(machine, &spec).await }).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let Ok(machine) = Id::of("machine", machine.as_str()) else { return Ok(()) };
        let site = Arc::clone(&self.site);
        self.site.to_the_end(tag, async move { site.unplug(machine, tag).await }).await
    }
}
