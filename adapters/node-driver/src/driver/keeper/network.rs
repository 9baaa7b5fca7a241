//! Interfaces to this node's networks, in and out of the machine, while it runs or not. The rules are those of volumes.

use std::collections::btree_map::Entry;

use backend::{IntentTag, Interface, InterfaceSpec, InterfaceTarget, NetworkId};
use serde_json::json;

use super::{Keeper, persist};
use crate::{
    NodeError,
    image_cache::blocking,
    kvm::hotplug::{NIC_SLOTS, Nic},
    machine_directory::Plugged,
    networks::Member,
};

/// What is told of an interface. Before it comes the machine's own.
fn show(plugged: &Plugged, member: &Member) -> Interface {
    let device = format!("eth{}", plugged.slot.saturating_add(1));
    Interface { tag: plugged.tag, device, mac: plugged.mac, address: member.address, gateway: None }
}

impl Keeper {
    pub(super) async fn plug_in(&mut self, wish: &InterfaceSpec) -> Result<Interface, NodeError> {
        self.ensure_awake("plug an interface into")?;
        let InterfaceTarget::Network(network) = &wish.target else {
            return Err(NodeError::Refused("this node has no addresses that can be reserved".into()));
        };
        let known = self.record.interfaces.iter().find(|known| known.tag == wish.tag).cloned();
        if known.as_ref().is_some_and(|known| known.network != *network || known.leaving) {
            return Err(self.busy("plug an interface into", "given another interface by the same intent"));
        }
        let slot = match &known {
            Some(known) => known.slot,
            None => self.free_place().await?,
        };
        let (networks, machine, enrolled, wanted) =
            (self.means.networks.clone(), self.record.id.clone(), network.clone(), wish.clone());
        let member = blocking(move || networks.enrol(&enrolled, &machine, &wanted)).await?;
        let new = known.is_none();
        let plugged =
            known.unwrap_or(Plugged { tag: wish.tag, network: network.clone(), mac: member.mac, slot, leaving: false });
        let written = if new {
            self.record.interfaces.push(plugged.clone());
            persist(&self.directory, &self.record).await
        } else {
            Ok(())
        };
        let put_in = match written {
            Ok(()) => self.connect(&plugged).await,
            Err(error) => Err(error),
        };
        if let Err(error) = put_in {
            if new {
                self.forget_interface(wish.tag).await?;
            }
            return Err(error);
        }
        Ok(show(&plugged, &member))
    }

    pub(super) async fn unplug_interface(&mut self, tag: IntentTag) -> Result<(), NodeError> {
        if !self.record.interfaces.iter().any(|known| known.tag == tag) {
            return Ok(());
        }
        self.ensure_listening("unplug an interface from")?;
        let Some(known) = self.record.interfaces.iter_mut().find(|known| known.tag == tag) else { return Ok(()) };
        known.leaving = true;
        let known = known.clone();
        persist(&self.directory, &self.record).await?;
        self.disconnect(&known).await?;
        self.forget_interface(tag).await
    }

    /// Connects all interfaces that the machine should have, and takes out what was leaving.
    pub(super) async fn finish_interfaces(&mut self) {
        for plugged in self.record.interfaces.clone() {
            let done = if plugged.leaving {
                match self.disconnect(&plugged).await {
                    Ok(()) => self.forget_interface(plugged.tag).await,
                    Err(error) => Err(error),
                }
            } else {
                self.connect(&plugged).await
            };
            if let Err(error) = done {
                tracing::warn!(machine = %self.record.id, network = %plugged.network, %error, "not as it should be");
            }
        }
    }

    /// The machine is gone; its networks stay.
    pub(super) async fn release_interfaces(&mut self) {
        for plugged in std::mem::take(&mut self.record.interfaces) {
            if let Err(error) = self.dismiss(plugged.network.clone(), plugged.tag).await {
                tracing::warn!(network = %plugged.network, %error, "an interface is dismissed at the next start");
            }
        }
    }

    async fn dismiss(&self, network: NetworkId, tag: IntentTag) -> Result<(), NodeError> {
        let networks = self.means.networks.clone();
        blocking(move || networks.dismiss(&network, tag)).await
    }

    async fn forget_interface(&mut self, tag: IntentTag) -> Result<(), NodeError> {
        let Some(place) = self.record.interfaces.iter().position(|known| known.tag == tag) else { return Ok(()) };
        let gone = self.record.interfaces.remove(place);
        persist(&self.directory, &self.record).await?;
        self.dismiss(gone.network, tag).await
    }

    async fn free_place(&mut self) -> Result<u8, NodeError> {
        let devices = if self.run.is_some() { self.devices().await? } else { Vec::new() };
        let taken = |slot: &u8| {
            self.record.interfaces.iter().any(|known| known.slot == *slot) || devices.contains(&Nic::name(*slot))
        };
        (0..NIC_SLOTS).find(|slot| !taken(slot)).ok_or_else(|| {
            NodeError::Refused(format!(
                "machine {} has {NIC_SLOTS} interfaces beside its own, which is the most",
                self.record.id
            ))
        })
    }

    /// Lets a running machine have the interface, with a way to its switch.
    async fn connect(&mut self, plugged: &Plugged) -> Result<(), NodeError> {
        let Plugged { network, mac, slot, .. } = plugged.clone();
        let Some(run) = &mut self.run else { return Ok(()) };
        if let Entry::Vacant(place) = run.connections.entry(slot) {
            let connected = self.means.networks.switch(&network)?.connect(mac, &self.directory, slot);
            place.insert(connected.map_err(NodeError::file("connect to the switch from", self.directory.path()))?);
        }
        if self.ensure_awake("plug an interface into").is_err() || self.devices().await?.contains(&Nic::name(slot)) {
            return Ok(());
        }
        let nic = Nic { slot, mac };
        self.drop_line(slot).await;
        self.order("netdev_add", nic.netdev()).await?;
        let added = self.order("device_add", nic.device()).await;
        if added.is_err() {
            self.drop_line(slot).await;
        }
        added.map(drop)
    }

    /// Takes the interface out of a running machine. A guest that does not let go of it keeps a dead one until it is
    /// off.
    async fn disconnect(&mut self, plugged: &Plugged) -> Result<(), NodeError> {
        let slot = plugged.slot;
        let Some(run) = &mut self.run else { return Ok(()) };
        run.connections.remove(&slot);
        let name = Nic::name(slot);
        if self.devices().await?.contains(&name) && !self.ask_guest_to_let_go(&name).await? {
            tracing::warn!(machine = %self.record.id, network = %plugged.network, "the guest keeps a dead interface");
        }
        self.drop_line(slot).await;
        Ok(())
    }

    /// What QEMU has for this place and no device uses, or only a dead one.
    async fn drop_line(&mut self, slot: u8) {
        if let Some(run) = &mut self.run {
            let _ = run.order("netdev_del", json!({ "id": Nic::line(slot) })).await;
        }
    }
}
