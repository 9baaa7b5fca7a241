//! Reserved addresses: floating ones. Which interface a machine has by one is a tag of the address.

use std::sync::Arc;

use backend::{AddressSpec, BackendError, Capability, IntentTag, ReservedAddress};
use backend_http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    identifier, mark,
    neutron::{FloatingAddress, Port},
    paging,
    service::Service,
    site::Site,
};

#[derive(Deserialize)]
struct OneAddress {
    floatingip: FloatingAddress,
}

/// The tag of an address that this interface leads to a machine.
fn joined_by(interface: IntentTag) -> String {
    format!("{}-join-{interface}", mark::OURS)
}

impl Site {
    pub(crate) async fn reserve(self: &Arc<Self>, spec: &AddressSpec) -> Result<ReservedAddress, BackendError> {
        if spec.wanted.is_some() && !self.cloud.options.reservation_of_choice {
            return Err(Capability::ReservationOfChoice.missing());
        }
        let _turn = self.turns.of(format!("tag {}", spec.tag)).await;
        let about = format!("reservation with tag {}", spec.tag);
        let nonsense = || BackendError::Failed(format!("{about}: Neutron does not keep its description"));
        if let Some(address) = self.address_by_tag(spec.tag).await? {
            return address.facts()?.ok_or_else(nonsense);
        }
        let mut wanted = json!({
            "floating_network_id": self.external_network().await?, "description": mark::description(spec.tag),
        });
        if let Some(wish) = spec.wanted {
            let call = self.cloud.get(Service::Network, &["floatingips"], &about);
            let call = call.query("floating_ip_address", wish.to_string());
            let taken: Vec<FloatingAddress> = paging::all(call, "floatingips").await?;
            if taken.iter().any(|other| other.floating_ip_address == wish) {
                return Err(BackendError::Conflict(format!("address {wish} is reserved already")));
            }
            wanted["floating_ip_address"] = wish.to_string().into();
        }
        let call = self.cloud.call(Service::Network, Method::POST, &["floatingips"], &about);
        match call.body(json!({ "floatingip": wanted })).json().await {
            Ok(OneAddress { floatingip }) => floatingip.facts()?.ok_or_else(nonsense),
            // Most sites let only administrators choose.
            Err(BackendError::Refused(_)) if spec.wanted.is_some() => Err(Capability::ReservationOfChoice.missing()),
            Err(error) => Err(error),
        }
    }

    /// The address as Neutron shows it, one of ours.
    async fn our_address(&self, id: &str) -> Result<FloatingAddress, BackendError> {
        let about = format!("reserved address {id}");
        let id = identifier::known("reserved address", id)?;
        let call = self.cloud.get(Service::Network, &["floatingips", &id], &about);
        let OneAddress { floatingip } = call.json().await?;
        let is_ours = floatingip.tag().is_some();
        if is_ours {
            Ok(floatingip)
        } else {
            Err(BackendError::NotFound(format!("{about} among those of this broker")))
        }
    }

    pub(crate) async fn reserved(&self, id: &str) -> Result<ReservedAddress, BackendError> {
        let unknown = || BackendError::NotFound(format!("reserved address {id}"));
        self.our_address(id).await?.facts()?.ok_or_else(unknown)
    }

    pub(crate) async fn address_by_tag(&self, tag: IntentTag) -> Result<Option<FloatingAddress>, BackendError> {
        let call = self.cloud.get(Service::Network, &["floatingips"], format!("reserved address with tag {tag}"));
        let call = call.query("description", mark::description(tag));
        let found: Vec<FloatingAddress> = paging::all(call, "floatingips").await?;
        Ok(found.into_iter().find(|address| address.tag() == Some(tag)))
    }

    pub(crate) async fn release(&self, id: &str) -> Result<(), BackendError> {
        let address = match self.our_address(id).await {
            Ok(address) => address,
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        if address.port_id.is_some() {
            return Err(BackendError::Conflict(format!("reserved address {id} is used by a machine; unplug it first")));
        }
        let about = format!("reserved address {id}");
        let call = self.cloud.call(Service::Network, Method::DELETE, &["floatingips", &address.id], about);
        call.send_if_there().await.map(drop)
    }

    /// Leads the address to the first of the ports that a router joins with the external network.
    pub(crate) async fn associate(
        &self,
        id: &str,
        interface: IntentTag,
        ports: &[Port],
    ) -> Result<FloatingAddress, BackendError> {
        let address = self.our_address(id).await?;
        let joined = joined_by(interface);
        if let Some(used) = &address.port_id {
            let is_it = address.tags.contains(&joined) && ports.iter().any(|port| port.id == *used);
            let taken = || BackendError::Conflict(format!("reserved address {id} is used by another interface"));
            return if is_it { Ok(address) } else { Err(taken()) };
        }
        self.tag_address(&address.id, &[&joined]).await?;
        for port in ports.iter().filter(|port| port.address().is_some()) {
            let about = format!("reserved address {id} for interface {}", port.id);
            let call = self.cloud.call(Service::Network, Method::PUT, &["floatingips", &address.id], about);
            match call.body(json!({ "floatingip": { "port_id": port.id } })).json().await {
                Ok(OneAddress { floatingip }) => return Ok(floatingip),
                // No router leads there, or it has such an address already: perhaps the next one.
                Err(BackendError::NotFound(_) | BackendError::Conflict(_) | BackendError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(BackendError::Conflict(format!(
            "no interface of the machine is on a network that a router joins with the network of reserved address {id}; \
             plug one in first"
        )))
    }

    /// Takes the address that this interface leads to the machine off it.
    pub(crate) async fn dissociate(&self, machine: &str, interface: IntentTag) -> Result<(), BackendError> {
        let about = format!("reserved address of machine {machine}");
        let call = self.cloud.get(Service::Network, &["floatingips"], &about).query("tags", joined_by(interface));
        let found: Vec<FloatingAddress> = paging::all(call, "floatingips").await?;
        for address in found.iter().filter(|address| address.tags.contains(&joined_by(interface))) {
            let Some(port) = &address.port_id else { continue };
            let is_here = match self.port(port).await {
                Ok(port) => port.device_id == machine,
                Err(BackendError::NotFound(_)) => false,
                Err(error) => return Err(error),
            };
            if is_here {
                let call = self.cloud.call(Service::Network, Method::PUT, &["floatingips", &address.id], &about);
                call.body(json!({ "floatingip": { "port_id": Value::Null } })).send_if_there().await?;
                self.tag_address(&address.id, &[]).await?;
            }
        }
        Ok(())
    }

    async fn tag_address(&self, id: &str, tags: &[&str]) -> Result<(), BackendError> {
        let about = format!("reserved address {id}");
        let call = self.cloud.call(Service::Network, Method::PUT, &["floatingips", id, "tags"], about);
        call.body(json!({ "tags": tags })).send().await.map(drop)
    }
}
