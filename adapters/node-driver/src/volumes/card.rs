use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use backend::{IntentTag, MachineId, Volume, VolumeId, VolumeState};
use serde::{Deserialize, Serialize};

use crate::{NodeError, machine_directory::replace};

pub(super) const CARD: &str = "volume.json";
const VERSION: u32 = 1;
const MOST_BYTES: u64 = 64 << 10;

/// What the driver remembers of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VolumeCard {
    version: u32,
    pub(super) id: VolumeId,
    pub(super) tag: IntentTag,
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) online: bool,
    /// The machine that has it.
    pub(super) claim: Option<Claim>,
}

/// Whose a volume is at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) machine: MachineId,
    /// The intent behind the attachment.
    pub(crate) tag: IntentTag,
}

impl VolumeCard {
    pub(super) fn new(id: VolumeId, tag: IntentTag, name: String, size_bytes: u64) -> Self {
        Self { version: VERSION, id, tag, name, size_bytes, online: true, claim: None }
    }

    pub(super) fn read(directory: &Path) -> Result<Self, NodeError> {
        let path = directory.join(CARD);
        let read = || -> io::Result<Self> {
            let mut text = Vec::new();
            File::open(&path)?.take(MOST_BYTES).read_to_end(&mut text)?;
            let card: Self = serde_json::from_slice(&text)?;
            if card.version != VERSION {
                return Err(io::Error::other(format!("version {} was written by another driver", card.version)));
            }
            if directory.file_name().is_none_or(|name| name != card.id.as_str()) {
                return Err(io::Error::other(format!("it is about volume {}", card.id)));
            }
            Ok(card)
        };
        read().map_err(NodeError::file("read", &path))
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), NodeError> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| NodeError::Internal(error.to_string()))?;
        replace(directory, CARD, &text)
    }

    pub(super) fn show(&self, busy: bool) -> Volume {
        let state = match (busy, self.online) {
            (true, _) => VolumeState::Busy,
            (false, true) => VolumeState::Online,
            (false, false) => VolumeState::Offline,
        };
        let detail = self.claim.as_ref().map(|claim| format!("in machine {}", claim.machine));
        Volume { id: self.id.clone(), tag: self.tag, state, size_bytes: self.size_bytes, detail }
    }
}
