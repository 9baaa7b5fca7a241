use async_trait::async_trait;
use backend::{
    BackendError, IntentTag, Interface, InterfaceSpec, Listing, MachineId, Network, NetworkId, NetworkSpec, Networks,
};

use super::{Guarded, call::Call, gone};

impl Guarded {
    fn its_networks(&self) -> Result<&dyn Networks, BackendError> {
        self.backend.networks().ok_or_else(|| gone("networks"))
    }
}

#[async_trait]
impl Networks for Guarded {
    async fn create(&self, spec: &NetworkSpec) -> Result<Network, BackendError> {
        self.call(Call::CreateNetwork, self.its_networks()?.create(spec)).await
    }

    async fn network(&self, id: &NetworkId) -> Result<Network, BackendError> {
        self.call(Call::Network, self.its_networks()?.network(id)).await
    }

    async fn find_by_tag(&self, tag: IntentTag) -> Result<Option<Network>, BackendError> {
        self.call(Call::FindNetworkByTag, self.its_networks()?.find_by_tag(tag)).await
    }

    async fn networks(&self) -> Result<Listing<Network>, BackendError> {
        self.call(Call::Networks, self.its_networks()?.networks()).await
    }

    async fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), BackendError> {
        self.call(Call::SetNetworkUp, self.its_networks()?.set_up(id, up)).await
    }

    async fn change(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), BackendError> {
        self.call(Call::ChangeNetwork, self.its_networks()?.change(id, spec)).await
    }

    async fn delete(&self, id: &NetworkId) -> Result<(), BackendError> {
        self.call(Call::DeleteNetwork, self.its_networks()?.delete(id)).await
    }

    async fn plug(&self, machine: &MachineId, spec: &InterfaceSpec) -> Result<Interface, BackendError> {
        self.call(Call::Plug, self.its_networks()?.plug(machine, spec)).await
    }

    async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), BackendError> {
        self.call(Call::Unplug, self.its_networks()?.unplug(machine, tag)).await
    }
}
