use async_trait::async_trait;
use backend::{
    BackendError, IntentTag, Interface, InterfaceSpec, Listing, MachineId, Network, NetworkId, NetworkSpec, Networks,
};
use node_driver::wire::{Selection, Up};
use reqwest::Method;

use crate::{
    NodeBackend,
    node_backend::{LONG, SHORT},
};

#[async_trait]
impl Networks for NodeBackend {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        self.node.ask(self.node.request(Method::POST, "/networks", SHORT).json(spec)).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        self.node.ask(self.get(&format!("/networks/{id}"))).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        let selection = Selection { tag: Some(tag) };
        self.node.find(self.get("/networks").query(&selection), |network: &Network| network.tag == tag).await
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.node.list(self.get("/networks")).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        self.change(&format!("/networks/{id}/up"), &Up { up }).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::PUT, &format!("/networks/{id}"), SHORT).json(spec)).await
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        self.node.tell(self.node.request(Method::DELETE, &format!("/networks/{id}"), SHORT)).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        self.node
            .ask(self.node.request(Method::POST, &format!("/machines/{machine}/interfaces"), SHORT).json(spec))
            .await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        let path = format!("/machines/{machine}/interfaces/{tag}");
        self.node.tell(self.node.request(Method::DELETE, &path, LONG)).await
    }
}
