//! Networks of ours, with their addresses and their way out.

use std::sync::Arc;

use backend::{BackendError, Capability, IntentTag, Listing, Network, NetworkSpec, Subnet};
use backend_http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    identifier, mark,
    neutron::{NeutronNetwork, NeutronSubnet, Port},
    paging,
    service::Service,
    site::Site,
};

#[derive(Deserialize)]
struct OneNetwork {
    network: NeutronNetwork,
}

#[derive(Deserialize)]
struct Router {
    id: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct OneRouter {
    router: Router,
}

impl Site {
    pub(crate) async fn create_network(self: &Arc<Self>, spec: &NetworkSpec) -> Result<Network, BackendError> {
        if spec.vlan.is_some() {
            // Only administrators may choose one, of a physical network that only they know.
            return Err(Capability::VlanOfChoice.missing());
        }
        let _turn = self.turns.of(format!("tag {}", spec.tag)).await;
        let about = format!("new network with tag {}", spec.tag);
        let (network, is_new) = match self.network_by_tag(spec.tag).await? {
            Some(network) => (network, false),
            None => {
                let body = json!({ "network": {
                    "name": spec.name, "description": mark::description(spec.tag), "admin_state_up": true } });
                let call = self.cloud.call(Service::Network, Method::POST, &["networks"], &about).body(body);
                let OneNetwork { network } = call.json().await?;
                (network, true)
            }
        };
        // One that was found may have been left half made.
        let completed = self.complete(&network, spec).await;
        if let (Err(error), true) = (&completed, is_new)
            && !matches!(error, BackendError::Unreachable(_))
        {
            self.remove_network(&network).await?;
        }
        completed?;
        let unknown = || BackendError::Failed(format!("{about}: Neutron does not keep its description"));
        network.facts()?.ok_or_else(unknown)
    }

    async fn complete(&self, network: &NeutronNetwork, spec: &NetworkSpec) -> Result<(), BackendError> {
        let Some(wanted) = &spec.subnet else { return Ok(()) };
        let there = self.subnets(&network.id).await?;
        let subnet = match there.into_iter().next() {
            Some(subnet) => subnet,
            None => self.new_subnet(&network.id, wanted).await?,
        };
        if self.cloud.options.routers && wanted.gateway.is_some() {
            self.route(spec.tag, &subnet.id).await?;
        }
        Ok(())
    }

    async fn new_subnet(&self, network: &str, wanted: &Subnet) -> Result<NeutronSubnet, BackendError> {
        #[derive(Deserialize)]
        struct OneSubnet {
            subnet: NeutronSubnet,
        }
        let Subnet { address, prefix, gateway, dynamic } = wanted;
        let mut subnet = json!({
            "network_id": network,
            "name": mark::OURS,
            "ip_version": if address.is_ipv4() { 4 } else { 6 },
            "cidr": format!("{address}/{prefix}"),
            "gateway_ip": gateway.map(|gateway| gateway.to_string()),
            "enable_dhcp": dynamic,
        });
        if address.is_ipv6() && *dynamic {
            subnet["ipv6_ra_mode"] = "dhcpv6-stateful".into();
            subnet["ipv6_address_mode"] = "dhcpv6-stateful".into();
        }
        let about = format!("addresses of network {network}");
        let call = self.cloud.call(Service::Network, Method::POST, &["subnets"], about);
        let OneSubnet { subnet } = call.body(json!({ "subnet": subnet })).json().await?;
        Ok(subnet)
    }

    /// Leads the addresses to the external network, by a router of the network's own.
    async fn route(&self, tag: IntentTag, subnet: &str) -> Result<(), BackendError> {
        let about = format!("router of the network with tag {tag}");
        let router = match self.router_by_tag(tag).await? {
            Some(router) => router,
            None => {
                let external = self.external_network().await?;
                let body = json!({ "router": { "name": mark::OURS, "description": mark::description(tag),
                    "external_gateway_info": { "network_id": external } } });
                let call = self.cloud.call(Service::Network, Method::POST, &["routers"], &about).body(body);
                let OneRouter { router } = call.json().await?;
                router
            }
        };
        let path = ["routers", router.id.as_str(), "add_router_interface"];
        let call = self.cloud.call(Service::Network, Method::PUT, &path, &about);
        match call.body(json!({ "subnet_id": subnet })).send().await {
            // It leads there already.
            Err(BackendError::Refused(why) | BackendError::Conflict(why)) if why.contains("already has") => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    async fn router_by_tag(&self, tag: IntentTag) -> Result<Option<Router>, BackendError> {
        let call = self.cloud.get(Service::Network, &["routers"], format!("router with tag {tag}"));
        let call = call.query("description", mark::description(tag));
        let routers: Vec<Router> = paging::all(call, "routers").await?;
        Ok(routers.into_iter().find(|router| mark::described(&router.description) == Some(tag)))
    }

    /// The network as Neutron shows it, one of ours.
    pub(crate) async fn our_network(&self, id: &str) -> Result<NeutronNetwork, BackendError> {
        let about = format!("network {id}");
        let id = identifier::known("network", id)?;
        let call = self.cloud.get(Service::Network, &["networks", &id], &about);
        let OneNetwork { network } = call.json().await?;
        let is_ours = network.tag().is_some();
        if is_ours { Ok(network) } else { Err(BackendError::NotFound(format!("{about} among those of this broker"))) }
    }

    pub(crate) async fn network(&self, id: &str) -> Result<Network, BackendError> {
        self.our_network(id).await?.facts()?.ok_or_else(|| BackendError::NotFound(format!("network {id}")))
    }

    pub(crate) async fn network_by_tag(&self, tag: IntentTag) -> Result<Option<NeutronNetwork>, BackendError> {
        let call = self.cloud.get(Service::Network, &["networks"], format!("network with tag {tag}"));
        let call = call.query("description", mark::description(tag));
        let networks: Vec<NeutronNetwork> = paging::all(call, "networks").await?;
        Ok(networks.into_iter().find(|network| network.tag() == Some(tag)))
    }

    pub(crate) async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        let project = self.cloud.session.token().await?.project.clone();
        let call = self.cloud.get(Service::Network, &["networks"], "networks").query("project_id", project);
        let mut all = Listing::default();
        paging::each_page(call, "networks", |page: Listing<NeutronNetwork>| {
            page.unreadable.iter().for_each(|note| all.note_unreadable(note));
            for network in page.objects {
                match network.facts() {
                    Ok(Some(network)) => all.objects.push(network),
                    Ok(None) => {}
                    Err(error) => all.note_unreadable(error),
                }
            }
        })
        .await?;
        Ok(all)
    }

    pub(crate) async fn set_network_up(&self, id: &str, up: bool) -> Result<(), BackendError> {
        let network = self.our_network(id).await?;
        if network.admin_state_up == up {
            return Ok(());
        }
        self.put_network(&network.id, json!({ "admin_state_up": up })).await
    }

    async fn put_network(&self, id: &str, words: Value) -> Result<(), BackendError> {
        let call = self.cloud.call(Service::Network, Method::PUT, &["networks", id], format!("network {id}"));
        call.body(json!({ "network": words })).send().await.map(drop)
    }

    pub(crate) async fn change_network(self: &Arc<Self>, id: &str, spec: &NetworkSpec) -> Result<(), BackendError> {
        let network = self.our_network(id).await?;
        if spec.vlan.is_some() {
            return Err(Capability::VlanOfChoice.missing());
        }
        let _turn = self.turns.of(format!("network {id}")).await;
        let present = self.subnets(&network.id).await?.into_iter().next();
        match (present, &spec.subnet) {
            (None, None) => {}
            (None, Some(wanted)) => drop(self.new_subnet(&network.id, wanted).await?),
            (Some(present), Some(wanted)) if present.range() == Some((wanted.address, wanted.prefix)) => {
                self.change_subnet(&present, wanted).await?;
            }
            (Some(present), wanted) => {
                self.is_free(&network).await?;
                self.unroute(&network, &[&present]).await?;
                let about = format!("addresses of network {id}");
                let call = self.cloud.call(Service::Network, Method::DELETE, &["subnets", &present.id], about);
                call.send_if_there().await?;
                if let Some(wanted) = wanted {
                    drop(self.new_subnet(&network.id, wanted).await?);
                }
            }
        }
        if let Some(tag) = network.tag() {
            self.complete(&network, &NetworkSpec { tag, ..spec.clone() }).await?;
        }
        if network.name == spec.name { Ok(()) } else { self.put_network(id, json!({ "name": spec.name })).await }
    }

    async fn change_subnet(&self, present: &NeutronSubnet, wanted: &Subnet) -> Result<(), BackendError> {
        let mut words = json!({});
        if present.gateway_ip != wanted.gateway {
            words["gateway_ip"] = json!(wanted.gateway.map(|gateway| gateway.to_string()));
        }
        if present.enable_dhcp != wanted.dynamic {
            words["enable_dhcp"] = wanted.dynamic.into();
        }
        if words == json!({}) {
            return Ok(());
        }
        let about = format!("addresses {} of a network", present.id);
        let call = self.cloud.call(Service::Network, Method::PUT, &["subnets", &present.id], about);
        call.body(json!({ "subnet": words })).send().await.map(drop)
    }

    pub(crate) async fn delete_network(self: &Arc<Self>, id: &str) -> Result<(), BackendError> {
        let network = match self.our_network(id).await {
            Ok(network) => network,
            Err(BackendError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let _turn = self.turns.of(format!("network {id}")).await;
        self.is_free(&network).await?;
        self.remove_network(&network).await
    }

    /// Nobody's interface is on it.
    async fn is_free(&self, network: &NeutronNetwork) -> Result<(), BackendError> {
        let call = self.cloud.get(Service::Network, &["ports"], format!("interfaces of network {}", network.id));
        let ports: Vec<Port> = paging::all(call.query("network_id", &network.id), "ports").await?;
        let taken = ports.iter().filter(|port| !port.device_owner.starts_with("network:")).count();
        if taken == 0 {
            return Ok(());
        }
        Err(BackendError::Conflict(format!("network {} has {taken} interfaces; take them out first", network.id)))
    }

    async fn remove_network(&self, network: &NeutronNetwork) -> Result<(), BackendError> {
        let subnets = self.subnets(&network.id).await?;
        self.unroute(network, &subnets.iter().collect::<Vec<_>>()).await?;
        let about = format!("network {}", network.id);
        let call = self.cloud.call(Service::Network, Method::DELETE, &["networks", &network.id], about);
        call.send_if_there().await.map(drop)
    }

    async fn unroute(&self, network: &NeutronNetwork, subnets: &[&NeutronSubnet]) -> Result<(), BackendError> {
        let Some(tag) = network.tag() else { return Ok(()) };
        let Some(router) = self.router_by_tag(tag).await? else { return Ok(()) };
        let about = format!("router of network {}", network.id);
        for subnet in subnets {
            let path = ["routers", router.id.as_str(), "remove_router_interface"];
            let call = self.cloud.call(Service::Network, Method::PUT, &path, &about);
            call.body(json!({ "subnet_id": subnet.id })).send_if_there().await?;
        }
        let call = self.cloud.call(Service::Network, Method::DELETE, &["routers", &router.id], &about);
        call.send_if_there().await.map(drop)
    }

    pub(crate) async fn subnets(&self, network: &str) -> Result<Vec<NeutronSubnet>, BackendError> {
        let call = self.cloud.get(Service::Network, &["subnets"], format!("addresses of network {network}"));
        paging::all(call.query("network_id", network), "subnets").await
    }
}
