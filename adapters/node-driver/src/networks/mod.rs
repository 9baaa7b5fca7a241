//! Networks between the machines of this node: `<data_dir>/networks/<network-id>.json`, and a switch each.
//!
//! An interface is on its network's card before it is in a machine, and until it is out: one that no machine knows of
//! goes at the next start.

mod card;
mod choice;
mod switch;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backend::{IntentTag, InterfaceSpec, MachineId, Network, NetworkId, NetworkSpec};
use card::NetworkCard;
use switch::Switch;

pub(crate) use card::Member;
pub(crate) use switch::{Connection, sockets};

use crate::{
    NodeError,
    machine_directory::{make_private, sync_directory},
};

/// Cards are held in memory.
const MOST_NETWORKS: usize = 1000;
const MOST_MEMBERS: usize = 4000;

/// The networks of this node. Its calls wait for the disk: not for threads that serve.
pub(crate) struct NetworkShelf {
    directory: PathBuf,
    /// Held while a card is written, so that cards on disk follow the order of what happened.
    entries: Mutex<BTreeMap<NetworkId, Entry>>,
}

struct Entry {
    card: NetworkCard,
    switch: Arc<Switch>,
}

/// A network is named by the intent that made it, so one intent cannot make two.
pub(crate) fn id_for(tag: IntentTag) -> Result<NetworkId, NodeError> {
    tag.to_string().try_into().map_err(|error| NodeError::Internal(format!("{error}")))
}

impl NetworkShelf {
    /// Opens the directory, made if need be.
    ///
    /// # Errors
    /// [`NodeError::File`] when the directory cannot be used.
    pub(crate) fn open(directory: PathBuf) -> Result<Arc<Self>, NodeError> {
        make_private(&directory)?;
        let failed = |source| NodeError::File { operation: "list", path: directory.clone(), source };
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                // Cut short while it was written.
                fs::remove_file(&path).map_err(NodeError::file("remove", &path))?;
                continue;
            }
            match NetworkCard::read(&path) {
                Ok(card) => drop(entries.insert(card.id.clone(), Entry::of(card))),
                Err(error) => tracing::error!(path = %path.display(), %error, "left alone"),
            }
        }
        Ok(Arc::new(Self { directory, entries: Mutex::new(entries) }))
    }

    /// A new network, or the one that carries the tag already.
    pub(crate) fn create(&self, spec: &NetworkSpec) -> Result<Network, NodeError> {
        choice::check(spec)?;
        let id = id_for(spec.tag)?;
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&id) {
            return Ok(entry.card.show());
        }
        if entries.len() >= MOST_NETWORKS {
            return Err(NodeError::NoRoom(format!("there are {MOST_NETWORKS} networks: delete some")));
        }
        let card = NetworkCard::new(id.clone(), spec.clone());
        card.write(&self.directory)?;
        Ok(entries.entry(id).or_insert(Entry::of(card)).card.show())
    }

    pub(crate) fn show(&self, id: &NetworkId) -> Result<Network, NodeError> {
        let entries = self.lock();
        entries.get(id).map(|entry| entry.card.show()).ok_or_else(|| NodeError::UnknownNetwork(id.clone()))
    }

    pub(crate) fn show_all(&self) -> Vec<Network> {
        self.lock().values().map(|entry| entry.card.show()).collect()
    }

    /// Lets the network carry traffic, or not.
    pub(crate) fn set_up(&self, id: &NetworkId, up: bool) -> Result<(), NodeError> {
        let switch = self.change(id, |card| {
            card.up = up;
            Ok(())
        })?;
        switch.set_up(up);
        Ok(())
    }

    /// Gives the network other properties; the tag stays as it is.
    pub(crate) fn redefine(&self, id: &NetworkId, spec: &NetworkSpec) -> Result<(), NodeError> {
        choice::check(spec)?;
        self.change(id, |card| {
            card.spec = NetworkSpec { tag: card.spec.tag, ..spec.clone() };
            Ok(())
        })
        .map(drop)
    }

    /// Removes the network. An unknown one is a success.
    pub(crate) fn delete(&self, id: &NetworkId) -> Result<(), NodeError> {
        let mut entries = self.lock();
        let Some(entry) = entries.get(id) else { return Ok(()) };
        if let Some(member) = entry.card.members.first() {
            let state = format!("used by machine {}: unplug it first", member.machine);
            return Err(NodeError::NetworkConflict { asked: "delete", id: id.clone(), state });
        }
        let path = self.directory.join(NetworkCard::file_name(id));
        fs::remove_file(&path).map_err(NodeError::file("remove", &path))?;
        entries.remove(id);
        sync_directory(&self.directory)
    }

    /// Writes down an interface of a machine. The same tag again is the same interface.
    pub(crate) fn enrol(&self, id: &NetworkId, machine: &MachineId, wish: &InterfaceSpec) -> Result<Member, NodeError> {
        let mut entries = self.lock();
        let others: Vec<_> = entries.values().flat_map(|entry| &entry.card.members).cloned().collect();
        let entry = entries.get_mut(id).ok_or_else(|| NodeError::UnknownNetwork(id.clone()))?;
        let mut card = entry.card.clone();
        if let Some(known) = card.members.iter().find(|known| known.tag == wish.tag) {
            if known.machine != *machine {
                let state = format!("known to that intent from machine {}", known.machine);
                return Err(NodeError::NetworkConflict { asked: "plug into", id: id.clone(), state });
            }
            return Ok(known.clone());
        }
        if card.members.len() >= MOST_MEMBERS {
            return Err(NodeError::NoRoom(format!("network {id} has {MOST_MEMBERS} interfaces, which is the most")));
        }
        let member = choice::grant(&card, &others, machine, wish)?;
        card.members.push(member.clone());
        card.write(&self.directory)?;
        entry.card = card;
        Ok(member)
    }

    /// Forgets an interface.
    pub(crate) fn dismiss(&self, id: &NetworkId, tag: IntentTag) -> Result<(), NodeError> {
        let dismissed = self.change(id, |card| {
            card.members.retain(|member| member.tag != tag);
            Ok(())
        });
        match dismissed {
            Err(NodeError::UnknownNetwork(_)) => Ok(()),
            dismissed => dismissed.map(drop),
        }
    }

    /// Forgets all interfaces that are not `known`.
    pub(crate) fn dismiss_unless(&self, known: impl Fn(&NetworkId, &Member) -> bool) -> Result<(), NodeError> {
        let members: Vec<(NetworkId, Member)> = {
            let entries = self.lock();
            let of = |(id, entry): (&NetworkId, &Entry)| -> Vec<(NetworkId, Member)> {
                entry.card.members.iter().map(|member| (id.clone(), member.clone())).collect()
            };
            entries.iter().flat_map(of).collect()
        };
        for (id, member) in members {
            if !known(&id, &member) {
                tracing::info!(network = %id, machine = %member.machine, "an interface of no machine, dismissed");
                self.dismiss(&id, member.tag)?;
            }
        }
        Ok(())
    }

    /// The network's switch.
    pub(crate) fn switch(&self, id: &NetworkId) -> Result<Arc<Switch>, NodeError> {
        let entries = self.lock();
        let entry = entries.get(id).ok_or_else(|| NodeError::UnknownNetwork(id.clone()))?;
        Ok(Arc::clone(&entry.switch))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NetworkId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a card, in memory only when it is on disk.
    fn change(
        &self,
        id: &NetworkId,
        change: impl FnOnce(&mut NetworkCard) -> Result<(), NodeError>,
    ) -> Result<Arc<Switch>, NodeError> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).ok_or_else(|| NodeError::UnknownNetwork(id.clone()))?;
        let mut card = entry.card.clone();
        change(&mut card)?;
        if card != entry.card {
            card.write(&self.directory)?;
            entry.card = card;
        }
        Ok(Arc::clone(&entry.switch))
    }
}

impl Entry {
    fn of(card: NetworkCard) -> Self {
        let switch = Switch::new(card.up);
        Self { card, switch }
    }
}
