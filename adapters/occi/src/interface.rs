//! Interfaces of machines: links to networks and to reserved addresses.

use std::net::IpAddr;

use backend::{BackendError, IntentTag, Interface, InterfaceSpec, InterfaceTarget, MacAddress, MachineId};
use occi_schema::{
    CategoryId, Value,
    render::Attributes,
    well_known::{
        COMPUTE, IP_NETWORK_INTERFACE, IP_RESERVATION, NETWORK, NETWORK_INTERFACE,
        attribute::{INTERFACE_ADDRESS, INTERFACE_DEVICE, INTERFACE_GATEWAY, INTERFACE_MAC},
    },
};

use crate::{
    peer::Peer,
    reading::Entity,
    server::{Server, failure},
    tag,
};

/// The kind and name of what an interface leads to.
pub(crate) fn end(target: &InterfaceTarget) -> (&'static CategoryId, &str) {
    match target {
        InterfaceTarget::Network(id) => (&NETWORK, id.as_str()),
        InterfaceTarget::Address(id) => (&IP_RESERVATION, id.as_str()),
    }
}

/// What is wished for about an interface. Its addresses show only where it is one of addresses.
pub(crate) fn wishes(peer: &Peer, mac: Option<MacAddress>, address: Option<IpAddr>) -> (Vec<CategoryId>, Attributes) {
    let (mut mixins, mut attributes) = (Vec::new(), Attributes::new());
    if address.is_some() || (peer.dialect.is_complete && peer.categories.has(&IP_NETWORK_INTERFACE)) {
        mixins.push(IP_NETWORK_INTERFACE.clone());
    }
    if let Some(mac) = mac {
        attributes.insert(INTERFACE_MAC.clone(), Value::from(mac.to_string()));
    }
    if let Some(address) = address {
        attributes.insert(INTERFACE_ADDRESS.clone(), Value::from(address.to_string()));
    }
    (mixins, attributes)
}

fn interface(link: &Entity, tag: IntentTag) -> Result<Interface, BackendError> {
    const LONGEST_DEVICE: usize = 64;
    let mac = link.text(&INTERFACE_MAC).and_then(|mac| mac.parse().ok());
    let mac = mac.ok_or_else(|| BackendError::Failed(format!("interface {} has no Ethernet address", link.id)))?;
    let device = link.text(&INTERFACE_DEVICE).unwrap_or_default();
    let device: String = device.chars().filter(|letter| !letter.is_control()).take(LONGEST_DEVICE).collect();
    // Some servers write the prefix behind an address.
    let address = |text: String| text.split('/').next().and_then(|host| host.trim().parse().ok());
    Ok(Interface {
        tag,
        device: if device.is_empty() { "unknown".into() } else { device },
        mac,
        address: link.text(&INTERFACE_ADDRESS).and_then(address),
        gateway: link.text(&INTERFACE_GATEWAY).and_then(address),
    })
}

impl Server {
    /// The machine's link with this tag, by the server's own name for the link.
    pub(crate) async fn own_link(
        &self,
        machine: &MachineId,
        kind: &CategoryId,
        tag: IntentTag,
    ) -> Result<Option<String>, BackendError> {
        let compute = self.get(&COMPUTE, machine.as_str()).await?;
        let title = tag::alone(tag);
        let found = compute.links().find(|link| link.is(kind) && link.title().as_deref() == Some(title.as_str()));
        Ok(found.and_then(|link| link.id()))
    }

    /// The link as soon as it holds; what does not come to hold is taken away again.
    pub(crate) async fn joined(&self, kind: &CategoryId, id: &str) -> Result<Entity, BackendError> {
        let (link, standing) = self.settled(kind, id).await?;
        if standing.state != "error" {
            return Ok(link);
        }
        self.remove(kind, id).await?;
        Err(failure(&standing))
    }

    pub(crate) async fn plug_in(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        if let Some(id) = self.own_link(machine, &NETWORK_INTERFACE, spec.tag).await? {
            return interface(&self.joined(&NETWORK_INTERFACE, &id).await?, spec.tag);
        }
        let (kind, target) = end(&spec.target);
        // OCCI calls a target that is not there a malformed question.
        self.get(kind, target).await?;
        let ends = (self.path(&COMPUTE, machine.as_str()).await?, self.path(kind, target).await?);
        let (mixins, attributes) = wishes(&*self.peer().await?, spec.mac, spec.address);
        let link = self.join(&NETWORK_INTERFACE, spec.tag, (&ends.0, &ends.1), &mixins, attributes).await?;
        interface(&self.joined(&NETWORK_INTERFACE, &link.id).await?, spec.tag)
    }

    /// Takes the machine's link away; an unknown link or machine is a success.
    pub(crate) async fn part(
        &self,
        machine: &MachineId,
        kind: &CategoryId,
        tag: IntentTag,
    ) -> Result<(), BackendError> {
        match self.own_link(machine, kind, tag).await {
            Ok(Some(id)) => self.remove(kind, &id).await,
            Ok(None) | Err(BackendError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether links of these kinds lead to the entity.
    ///
    /// # Errors
    /// [`BackendError::Conflict`] where one does.
    pub(crate) async fn must_be_free(
        &self,
        kind: &CategoryId,
        id: &str,
        links: &CategoryId,
    ) -> Result<(), BackendError> {
        let target = self.path(kind, id).await?;
        match self.links_to(links, &target).await?.first() {
            None => Ok(()),
            Some(link) => {
                let (noun, by) = (kind.term(), links.term());
                Err(BackendError::Conflict(format!("{noun} {id} is in use by {by} {}", link.id)))
            }
        }
    }
}
