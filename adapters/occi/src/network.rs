//! Networks.

use async_trait::async_trait;
use backend::{
    BackendError, Capability, IntentTag, Interface, InterfaceSpec, Listing, MachineId, Network, NetworkId, NetworkSpec,
    NetworkState, Networks,
};
use occi_schema::{
    Value,
    render::Attributes,
    well_known::{
        COMPUTE, DOWN, IP_NETWORK, NETWORK, NETWORK_INTERFACE, UP,
        attribute::{NETWORK_ADDRESS, NETWORK_ALLOCATION, NETWORK_GATEWAY, NETWORK_LABEL, TITLE, VLAN},
    },
};

use crate::{
    OcciBackend,
    compute::ours,
    peer::Peer,
    reading::Entity,
    server::{Server, failure, standing, tag_of},
};

fn network(peer: &Peer, entity: &Entity) -> Result<Option<Network>, String> {
    let Some((_, tag)) = tag_of(entity) else { return Ok(None) };
    let id = entity.id.parse::<NetworkId>().map_err(|error| error.to_string())?;
    let standing = standing(peer, &NETWORK, entity);
    let state = match (standing.state.as_str(), standing.is_busy) {
        ("error", _) => NetworkState::Failed,
        (_, true) => NetworkState::Building,
        ("active", false) => NetworkState::Up,
        ("inactive", false) => NetworkState::Down,
        _ => NetworkState::Building,
    };
    Ok(Some(Network { id, tag, state, detail: standing.message }))
}

/// What the specification says beside name and tag.
fn describe(spec: &NetworkSpec, attributes: &mut Attributes) {
    if let Some(vlan) = spec.vlan {
        attributes.insert(VLAN.clone(), Value::from(i64::from(vlan)));
    }
    if let Some(label) = &spec.label {
        attributes.insert(NETWORK_LABEL.clone(), Value::from(label.as_str()));
    }
    if let Some(subnet) = &spec.subnet {
        let range = format!("{}/{}", subnet.address, subnet.prefix);
        attributes.insert(NETWORK_ADDRESS.clone(), Value::from(range));
        let allocation = if subnet.dynamic { "dynamic" } else { "static" };
        attributes.insert(NETWORK_ALLOCATION.clone(), Value::from(allocation));
        if let Some(gateway) = subnet.gateway {
            attributes.insert(NETWORK_GATEWAY.clone(), Value::from(gateway.to_string()));
        }
    }
}

impl Server {
    async fn network_of(&self, id: &str) -> Result<Network, BackendError> {
        let entity = self.get(&NETWORK, id).await?;
        ours(network(&*self.peer().await?, &entity), "network", id)
    }

    async fn make_network(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        let entity = match self.find(&NETWORK, spec.tag).await? {
            Some(entity) => entity,
            None => {
                let peer = self.peer().await?;
                let mut mixins = Vec::new();
                if spec.subnet.is_some() {
                    mixins.push(IP_NETWORK.clone());
                }
                self.place(&peer, &mut mixins)?;
                let mut attributes = Self::mark(&peer, &spec.name, spec.tag);
                describe(spec, &mut attributes);
                self.make(&NETWORK, spec.tag, &mixins, &attributes, &[]).await?
            }
        };
        // A new network is down in OCCI until somebody takes it up (GFD.224 section 3.2); here it comes up by itself.
        let (_, standing) = self.settled(&NETWORK, &entity.id).await?;
        if standing.state == "inactive" && self.peer().await?.categories.offers(&NETWORK, &UP) {
            self.act(&NETWORK, &entity.id, &UP, &Attributes::new(), None).await?;
        }
        self.network_of(&entity.id).await
    }

    async fn take_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        let present = self.network_of(id.as_str()).await?.state;
        let (action, wanted) = if up { (&UP, NetworkState::Up) } else { (&DOWN, NetworkState::Down) };
        if present == wanted {
            return Ok(());
        }
        if !self.peer().await?.categories.offers(&NETWORK, action) {
            return Err(Capability::NetworkDown.missing());
        }
        self.act(&NETWORK, id.as_str(), action, &Attributes::new(), None).await
    }

    async fn change_network(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        let present = self.network_of(id.as_str()).await?;
        if !self.peer().await?.dialect.is_complete {
            return Err(Capability::NetworkReaddress.missing());
        }
        let mut attributes = Self::mark(&*self.peer().await?, &spec.name, present.tag);
        // The tag stays as it is, in a summary at least that nobody need write again.
        attributes.retain(|name, _| *name == TITLE);
        describe(spec, &mut attributes);
        self.change(&NETWORK, id.as_str(), &[], &attributes).await?;
        let (_, standing) = self.settled(&NETWORK, id.as_str()).await?;
        if standing.message.is_some() { Err(failure(&standing)) } else { Ok(()) }
    }
}

#[async_trait]
impl Networks for OcciBackend {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        self.server.make_network(spec).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        self.server.network_of(id.as_str()).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        let Some(entity) = self.server.find(&NETWORK, tag).await? else { return Ok(None) };
        ours(network(&*self.server.peer().await?, &entity), "network", &entity.id).map(Some)
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.server.list(&NETWORK, network).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        self.server.take_up(id, up).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        self.server.change_network(id, spec).await
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        // A server may take the links away with what they lead to; we may not.
        self.server.must_be_free(&NETWORK, id.as_str(), &NETWORK_INTERFACE).await?;
        self.server.remove(&NETWORK, id.as_str()).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        self.server.plug_in(machine, spec).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        self.server.part(machine, &NETWORK_INTERFACE, tag).await
    }
}

/// Whether the server has networks of which ours can be told from others'.
pub(crate) fn are_there(peer: &Peer) -> bool {
    let has = |kind| peer.categories.location(kind).is_some();
    peer.dialect.keeps_link_titles && has(&COMPUTE) && has(&NETWORK) && has(&NETWORK_INTERFACE)
}
