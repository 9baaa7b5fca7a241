use std::collections::BTreeMap;

use backend::{BackendError, IntentTag, Volume, VolumeState};
use backend_http::quoted;
use serde::Deserialize;

use crate::{identifier, mark};

const GIB: u64 = 1 << 30;

/// A volume, as Cinder shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CinderVolume {
    pub(crate) id: String,
    pub(crate) status: String,
    /// In GiB.
    pub(crate) size: u64,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) attachments: Vec<CinderAttachment>,
}

/// Where a volume is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CinderAttachment {
    #[serde(default)]
    pub(crate) server_id: String,
    #[serde(default)]
    pub(crate) device: Option<String>,
}

impl CinderVolume {
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        self.metadata.get(mark::TAG_KEY)?.parse().ok()
    }

    /// The intent that put it into its machine.
    pub(crate) fn attachment_tag(&self) -> Option<IntentTag> {
        self.metadata.get(mark::ATTACHMENT_KEY)?.parse().ok()
    }

    pub(crate) fn in_machine(&self, server: &str) -> Option<&CinderAttachment> {
        self.attachments.iter().find(|attachment| attachment.server_id == server)
    }

    pub(crate) fn is_available(&self) -> bool {
        self.status == "available" && self.attachments.is_empty()
    }

    pub(crate) fn state(&self) -> VolumeState {
        match self.status.as_str() {
            "creating" | "downloading" | "restoring-backup" => VolumeState::Building,
            "available" | "in-use" => VolumeState::Online,
            status if status.starts_with("error") => VolumeState::Failed,
            _ => VolumeState::Busy,
        }
    }

    /// The facts; none for a volume that is not ours.
    pub(crate) fn facts(&self) -> Result<Option<Volume>, BackendError> {
        let Some(tag) = self.tag() else { return Ok(None) };
        let id = identifier::answered("volume", &self.id)?;
        let id = id.try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
        let detail = (self.state() != VolumeState::Online).then(|| quoted(&self.status));
        Ok(Some(Volume { id, tag, state: self.state(), size_bytes: self.size.saturating_mul(GIB), detail }))
    }
}

/// A snapshot or backup of a volume, as Cinder shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Copy {
    pub(crate) id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

impl Copy {
    /// Whether Cinder works on it, and lets nobody touch it or its volume.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.status.as_str(), "creating" | "backing-up" | "restoring" | "deleting" | "unmanaging")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_meaning() {
        for (status, state) in [
            ("creating", VolumeState::Building),
            ("available", VolumeState::Online),
            ("in-use", VolumeState::Online),
            ("attaching", VolumeState::Busy),
            ("extending", VolumeState::Busy),
            ("reserved", VolumeState::Busy),
            ("error", VolumeState::Failed),
            ("error_deleting", VolumeState::Failed),
            ("something new", VolumeState::Busy),
        ] {
            let volume: CinderVolume =
                serde_json::from_value(serde_json::json!({ "id": "x", "status": status, "size": 1 })).unwrap();
            assert_eq!(volume.state(), state, "{status}");
            assert_eq!(volume.facts(), Ok(None));
        }
    }
}
