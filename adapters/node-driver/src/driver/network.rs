//! The networks of this node, and machines' interfaces to them.

use std::sync::Arc;

use backend::{IntentTag, Interface, InterfaceSpec, MachineId, Network, NetworkId, NetworkSpec};

use super::{
    Driver, Inner,
    card::{Ask, Wish},
    lock,
};
use crate::{
    NodeError,
    image_cache::blocking,
    networks::{self, NetworkShelf},
};

impl Driver {
    /// Makes a network between machines of this node. One that carries the tag already is returned instead.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for impossible wishes, [`NodeError::NoRoom`].
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<Network, NodeError> {
        self.among_networks(move |shelf| shelf.create(&spec)).await
    }

    /// The present facts of a network.
    ///
    /// # Errors
    /// [`NodeError::UnknownNetwork`].
    pub async fn network(&self, id: &NetworkId) -> Result<Network, NodeError> {
        let id = id.clone();
        self.among_networks(move |shelf| shelf.show(&id)).await
    }

    /// The network that carries the tag, if there is one.
    pub async fn find_network_by_tag(&self, tag: IntentTag) -> Option<Network> {
        self.network(&networks::id_for(tag).ok()?).await.ok()
    }

    /// All networks.
    ///
    /// # Errors
    /// [`NodeError::Closing`].
    pub async fn networks(&self) -> Result<Vec<Network>, NodeError> {
        self.among_networks(|shelf| Ok(shelf.show_all())).await
    }

    /// Lets a network carry traffic, or not.
    ///
    /// # Errors
    /// [`NodeError::UnknownNetwork`].
    pub async fn set_network_up(&self, id: &NetworkId, up: bool) -> Result<(), NodeError> {
        let id = id.clone();
        self.among_networks(move |shelf| shelf.set_up(&id, up)).await
    }

    /// Gives a network other properties; its tag stays as it is.
    ///
    /// # Errors
    /// [`NodeError::UnknownNetwork`], [`NodeError::Refused`].
    pub async fn change_network(&self, id: &NetworkId, spec: NetworkSpec) -> Result<(), NodeError> {
        let id = id.clone();
        self.among_networks(move |shelf| shelf.redefine(&id, &spec)).await
    }

    /// Removes a network. One that is unknown is a success.
    ///
    /// # Errors
    /// [`NodeError::NetworkConflict`] while a machine has an interface to it.
    pub async fn delete_network(&self, id: &NetworkId) -> Result<(), NodeError> {
        let id = id.clone();
        self.among_networks(move |shelf| shelf.delete(&id)).await
    }

    /// Gives a machine an interface to a network. The same tag again answers what is there.
    ///
    /// # Errors
    /// [`NodeError::UnknownMachine`], [`NodeError::UnknownNetwork`], [`NodeError::NetworkConflict`] for an address that
    /// another interface has, [`NodeError::Refused`] for one that nobody can have or when the machine has no place
    /// left, [`NodeError::Conflict`] for a hibernated machine.
    pub async fn plug(&self, machine: &MachineId, spec: InterfaceSpec) -> Result<Interface, NodeError> {
        self.0.card(machine)?.ask(|answer| Ask::Plug { spec, answer }).await
    }

    /// Takes an interface out of a machine. An unknown interface or machine is a success.
    ///
    /// # Errors
    /// [`NodeError::Conflict`] for a suspended machine.
    pub async fn unplug(&self, machine: &MachineId, tag: IntentTag) -> Result<(), NodeError> {
        match self.0.card(machine) {
            Ok(card) => card.change(Wish::Unplug(tag)).await,
            Err(_) => Ok(()),
        }
    }

    async fn among_networks<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<NetworkShelf>) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let shelf = Arc::clone(&self.0.means.networks);
        self.finish(blocking(move || work(&shelf))).await
    }
}

impl Inner {
    /// Dismisses the interfaces whose machines are gone, or never came to know of them.
    pub(super) async fn dismiss_strays(&self, plugged: Vec<(NetworkId, IntentTag)>) -> Result<(), NodeError> {
        let known: Vec<MachineId> = lock(&self.machines).keys().cloned().collect();
        let (shelf, machines) = (Arc::clone(&self.means.networks), self.means.machines.clone());
        blocking(move || {
            shelf.dismiss_unless(|network, member| {
                // One that cannot be read keeps what it has.
                let unreadable = !known.contains(&member.machine) && machines.join(member.machine.as_str()).exists();
                unreadable || plugged.iter().any(|(id, tag)| id == network && *tag == member.tag)
            })
        })
        .await
    }
}
