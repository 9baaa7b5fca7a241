//! Interfaces of machines: ports, and reserved addresses that lead to them.

use std::sync::Arc;

use backend::{BackendError, IntentTag, Interface, InterfaceSpec, InterfaceTarget};
use backend_http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::{
    identifier,
    neutron::{NeutronSubnet, Port},
    ports,
    service::Service,
    site::Site,
};

impl Site {
    pub(crate) async fn plug(self: &Arc<Self>, machine: &str, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        let server = self.server(machine).await?.id;
        let _turn = self.turns.of(format!("interfaces of {server}")).await;
        let there = self.ports_of(&server).await?;
        match &spec.target {
            InterfaceTarget::Address(address) => {
                let address = self.associate(address.as_str(), spec.tag, &there).await?;
                let port = there.iter().find(|port| Some(&port.id) == address.port_id.as_ref()).ok_or_else(|| {
                    BackendError::Failed(format!("reserved address {} leads to another machine", address.id))
                })?;
                let device = device(&there, port);
                let address = Some(address.floating_ip_address);
                Ok(Interface { tag: spec.tag, device, mac: port.mac_address, address, gateway: None })
            }
            InterfaceTarget::Network(network) => {
                // A new interface lets through what the others do.
                let mut groups: Vec<String> = there.iter().flat_map(|port| port.security_groups.clone()).collect();
                groups.sort();
                groups.dedup();
                let port = self.port_for(spec, network, &ports::of_machine(&server), &groups).await?;
                if port.device_id != server {
                    self.connect(&server, &port).await?;
                }
                self.interface(&server, spec.tag, &port.id).await
            }
        }
    }

    async fn connect(&self, server: &str, port: &Port) -> Result<(), BackendError> {
        if !port.device_id.is_empty() {
            return Err(BackendError::Conflict(format!("interface {} is in another machine", port.id)));
        }
        let about = format!("interface {} of machine {server}", port.id);
        let call = self.cloud.call(Service::Compute, Method::POST, &["servers", server, "os-interface"], about);
        let body = json!({ "interfaceAttachment": { "port_id": port.id } });
        match call.body(body).send().await {
            Ok(_) => Ok(()),
            Err(error @ BackendError::Unreachable(_)) => {
                // Perhaps it was done all the same.
                if self.port(&port.id).await?.device_id == server { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                self.drop_port(&port.id).await?;
                Err(error)
            }
        }
    }

    async fn interface(&self, server: &str, tag: IntentTag, port: &str) -> Result<Interface, BackendError> {
        let there = self.ports_of(server).await?;
        let port = there
            .iter()
            .find(|other| other.id == port)
            .ok_or_else(|| BackendError::Failed(format!("interface {port} did not become one of machine {server}")))?;
        let address = port.address();
        let gateway = match address {
            Some(fixed) => self.subnet(&fixed.subnet_id).await?.and_then(|subnet| subnet.gateway_ip),
            None => None,
        };
        let address = address.map(|fixed| fixed.ip_address);
        Ok(Interface { tag, device: device(&there, port), mac: port.mac_address, address, gateway })
    }

    async fn subnet(&self, id: &str) -> Result<Option<NeutronSubnet>, BackendError> {
        #[derive(Deserialize)]
        struct OneSubnet {
            subnet: NeutronSubnet,
        }
        let call = self.cloud.get(Service::Network, &["subnets", id], format!("addresses {id} of Neutron"));
        match call.json().await {
            Ok(OneSubnet { subnet }) => Ok(Some(subnet)),
            // Those of shared networks need not be visible.
            Err(BackendError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn unplug(self: &Arc<Self>, machine: &str, tag: IntentTag) -> Result<(), BackendError> {
        let Ok(machine) = identifier::known("machine", machine) else { return Ok(()) };
        let _turn = self.turns.of(format!("interfaces of {machine}")).await;
        let Some(port) = self.port_by_tag(tag).await? else { return self.dissociate(&machine, tag).await };
        if port.device_id == machine {
            self.disconnect(&machine, &port).await?;
        } else if !port.device_id.is_empty() {
            // It belongs to another machine.
            return Ok(());
        }
        self.drop_port(&port.id).await
    }

    async fn disconnect(&self, server: &str, port: &Port) -> Result<(), BackendError> {
        let about = format!("interface {} of machine {server}", port.id);
        let path = ["servers", server, "os-interface", &port.id];
        let call = self.cloud.call(Service::Compute, Method::DELETE, &path, &about);
        if !call.send_if_there().await? {
            return Ok(());
        }
        // Nova asks the guest to let go of it.
        self.await_effect(&format!("unplug of {about}"), || async {
            match self.port(&port.id).await {
                Ok(port) => Ok((port.device_id != server).then_some(())),
                Err(BackendError::NotFound(_)) => Ok(Some(())),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// The name of the device inside the machine, as far as it follows from the order in which interfaces were made.
fn device(there: &[Port], port: &Port) -> String {
    let place = there.iter().position(|other| other.id == port.id).unwrap_or_default();
    format!("eth{place}")
}
