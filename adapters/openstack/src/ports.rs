//! Ports of ours. A port is made before its machine has it, and outlives the machine in Neutron: its name says whose it
//! is, so that it is found when the machine is gone.

use backend::{BackendError, IntentTag, InterfaceSpec, InterfaceTarget, MachineSpec, NetworkId};
use backend_http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::{identifier, mark, neutron::Port, paging, service::Service, site::Site};

#[derive(Deserialize)]
struct OnePort {
    port: Port,
}

/// The name of the ports of a machine that is about to be made.
fn of_intent(machine: IntentTag) -> String {
    format!("{}-of-{machine}", mark::OURS)
}

/// The name of the ports of a machine that is there.
pub(crate) fn of_machine(server: &str) -> String {
    format!("{}-at-{server}", mark::OURS)
}

impl Site {
    /// Makes the interfaces that the machine starts with, or finds those of an earlier try.
    pub(crate) async fn join_ports(&self, spec: &MachineSpec) -> Result<Vec<Port>, BackendError> {
        let groups: Vec<String> = spec.joins.security_groups.iter().map(|group| group.as_str().to_owned()).collect();
        let name = of_intent(spec.tag);
        let mut ports = Vec::new();
        for interface in &spec.joins.interfaces {
            if let InterfaceTarget::Network(network) = &interface.target {
                ports.push(self.port_for(interface, network, &name, &groups).await?);
            }
        }
        let reserved = |interface: &&InterfaceSpec| matches!(interface.target, InterfaceTarget::Address(_));
        let mut addresses = spec.joins.interfaces.iter().filter(reserved).peekable();
        if addresses.peek().is_some() && ports.is_empty() {
            // A reserved address leads to an interface, and there is none yet.
            let network = self.usual_network().await?.ok_or_else(|| {
                BackendError::Refused("a reserved address needs an interface; join the machine with a network".into())
            })?;
            let target: NetworkId = network.try_into().map_err(|error| BackendError::Refused(format!("{error}")))?;
            let under = InterfaceSpec {
                tag: spec.tag,
                target: InterfaceTarget::Network(target.clone()),
                mac: None,
                address: None,
            };
            ports.push(self.port_for(&under, &target, &name, &groups).await?);
        }
        for interface in addresses {
            if let InterfaceTarget::Address(address) = &interface.target {
                self.associate(address.as_str(), interface.tag, &ports).await?;
            }
        }
        Ok(ports)
    }

    /// The port of this interface, if need be a new one.
    pub(crate) async fn port_for(
        &self,
        interface: &InterfaceSpec,
        network: &NetworkId,
        name: &str,
        groups: &[String],
    ) -> Result<Port, BackendError> {
        if let Some(port) = self.port_by_tag(interface.tag).await? {
            return Ok(port);
        }
        let network = identifier::known("network", network.as_str())?;
        let mut port = json!({
            "network_id": network, "name": name, "description": mark::description(interface.tag),
        });
        if let Some(mac) = interface.mac {
            port["mac_address"] = mac.to_string().into();
        }
        if let Some(address) = interface.address {
            port["fixed_ips"] = json!([{ "ip_address": address }]);
        }
        if !groups.is_empty() {
            port["security_groups"] = json!(groups);
        }
        let about = format!("new interface with tag {} on network {network}", interface.tag);
        let call = self.cloud.call(Service::Network, Method::POST, &["ports"], about);
        let OnePort { port } = call.body(json!({ "port": port })).json().await?;
        Ok(port)
    }

    pub(crate) async fn port_by_tag(&self, tag: IntentTag) -> Result<Option<Port>, BackendError> {
        let call = self.cloud.get(Service::Network, &["ports"], format!("interface with tag {tag}"));
        let ports: Vec<Port> = paging::all(call.query("description", mark::description(tag)), "ports").await?;
        Ok(ports.into_iter().find(|port| port.tag() == Some(tag)))
    }

    pub(crate) async fn port(&self, id: &str) -> Result<Port, BackendError> {
        let call = self.cloud.get(Service::Network, &["ports", id], format!("interface {id} of Neutron"));
        let OnePort { port } = call.json().await?;
        Ok(port)
    }

    /// The ports of a machine, in the order in which they were made.
    pub(crate) async fn ports_of(&self, server: &str) -> Result<Vec<Port>, BackendError> {
        let call = self.cloud.get(Service::Network, &["ports"], format!("interfaces of machine {server}"));
        let mut ports: Vec<Port> = paging::all(call.query("device_id", server), "ports").await?;
        ports.retain(|port| port.device_id == server);
        ports.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(ports)
    }

    pub(crate) async fn drop_port(&self, id: &str) -> Result<(), BackendError> {
        let about = format!("interface {id} of Neutron");
        self.cloud.call(Service::Network, Method::DELETE, &["ports", id], about).send_if_there().await.map(drop)
    }

    /// Notes on the ports which machine they became part of.
    pub(crate) async fn name_ports(&self, machine: IntentTag, server: &str) -> Result<(), BackendError> {
        for port in self.ports_named(&of_intent(machine)).await? {
            let about = format!("interface {} of machine {server}", port.id);
            let call = self.cloud.call(Service::Network, Method::PUT, &["ports", &port.id], about);
            call.body(json!({ "port": { "name": of_machine(server) } })).send().await?;
        }
        Ok(())
    }

    /// Removes the ports of a machine that was not made, or is gone.
    pub(crate) async fn drop_ports_of_intent(&self, machine: IntentTag) {
        if let Ok(ports) = self.ports_named(&of_intent(machine)).await {
            for port in ports {
                // The next create or delete of the same machine tries again.
                let _ = self.drop_port(&port.id).await;
            }
        }
    }

    /// Removes the ports of a machine that is gone.
    pub(crate) async fn drop_ports_of_machine(&self, server: &str) -> Result<(), BackendError> {
        for port in self.ports_named(&of_machine(server)).await? {
            self.drop_port(&port.id).await?;
        }
        Ok(())
    }

    async fn ports_named(&self, name: &str) -> Result<Vec<Port>, BackendError> {
        let call = self.cloud.get(Service::Network, &["ports"], format!("interfaces named {name}"));
        let ports: Vec<Port> = paging::all(call.query("name", name), "ports").await?;
        Ok(ports.into_iter().filter(|port| port.tag().is_some()).collect())
    }
}
