use std::{
    fs::File,
    io::{self, Read},
    net::IpAddr,
    path::Path,
};

use backend::{IntentTag, MacAddress, MachineId, Network, NetworkId, NetworkSpec, NetworkState};
use serde::{Deserialize, Serialize};

use crate::{NodeError, machine_directory::replace};

const VERSION: u32 = 1;
/// With an interface of every machine.
const MOST_BYTES: u64 = 4 << 20;

/// What the driver remembers of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NetworkCard {
    version: u32,
    pub(super) id: NetworkId,
    /// The tag in it is the network's own.
    pub(super) spec: NetworkSpec,
    pub(super) up: bool,
    pub(super) members: Vec<Member>,
}

/// A machine's interface on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) machine: MachineId,
    /// The intent behind the interface.
    pub(crate) tag: IntentTag,
    pub(crate) mac: MacAddress,
    /// What the client wished for; nobody tells the guest.
    pub(crate) address: Option<IpAddr>,
}

impl NetworkCard {
    pub(super) fn new(id: NetworkId, spec: NetworkSpec) -> Self {
        Self { version: VERSION, id, spec, up: true, members: Vec::new() }
    }

    pub(super) fn file_name(id: &NetworkId) -> String {
        format!("{id}.json")
    }

    pub(super) fn read(path: &Path) -> Result<Self, NodeError> {
        let read = || -> io::Result<Self> {
            let mut text = Vec::new();
            File::open(path)?.take(MOST_BYTES).read_to_end(&mut text)?;
            let card: Self = serde_json::from_slice(&text)?;
            if card.version != VERSION {
                return Err(io::Error::other(format!("version {} was written by another driver", card.version)));
            }
            if path.file_name().is_none_or(|name| *name != *Self::file_name(&card.id)) {
                return Err(io::Error::other(format!("it is about network {}", card.id)));
            }
            Ok(card)
        };
        read().map_err(NodeError::file("read", path))
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), NodeError> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| NodeError::Internal(error.to_string()))?;
        replace(directory, &Self::file_name(&self.id), &text)
    }

    pub(super) fn show(&self) -> Network {
        let state = if self.up { NetworkState::Up } else { NetworkState::Down };
        Network { id: self.id.clone(), tag: self.spec.tag, state, detail: None }
    }
}
