use std::{collections::BTreeMap, net::IpAddr};

use backend::{BackendError, Endpoint, IntentTag, Machine, MachineSize, MachineState};
use backend_http::quoted;
use serde::Deserialize;
use serde_json::Value;

use crate::{identifier, mark};

const GIB: u64 = 1 << 30;
/// Addresses of one machine that are told.
const MOST_ENDPOINTS: usize = 32;

/// A machine, as Nova shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    #[serde(default)]
    name: Option<String>,
    pub(crate) status: String,
    #[serde(rename = "OS-EXT-STS:task_state", default)]
    pub(crate) task: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    pub(crate) flavor: Option<ServerFlavor>,
    #[serde(default)]
    addresses: BTreeMap<String, Vec<ServerAddress>>,
    #[serde(default)]
    fault: Option<Fault>,
    #[serde(default)]
    created: String,
    /// An object, or an empty text where the root disk is a volume.
    #[serde(default)]
    image: Value,
}

/// The size of a machine (within the server since microversion 2.47).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerFlavor {
    vcpus: u32,
    ram: u64,
    disk: u64,
    #[serde(default)]
    pub(crate) original_name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct ServerAddress {
    addr: IpAddr,
    #[serde(rename = "OS-EXT-IPS:type", default)]
    kind: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
}

/// Where a server stands, as far as what may be asked of it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Something is under way.
    Busy(MachineState),
    Active,
    Rescued,
    Off,
    Shelved,
    Paused,
    Suspended,
    /// Resized, and to be confirmed.
    Resized,
    Broken,
    /// Deleted, if kept for a while.
    Gone,
    /// Its cell is down: Nova knows nothing of it.
    Unknown,
}

impl Situation {
    /// What the contract calls it; none where there is no such machine, or nothing known of it.
    pub(crate) fn state(self) -> Option<MachineState> {
        match self {
            Self::Busy(state) => Some(state),
            Self::Active | Self::Rescued => Some(MachineState::Running),
            Self::Off | Self::Shelved => Some(MachineState::Stopped),
            Self::Paused | Self::Suspended => Some(MachineState::Suspended),
            Self::Resized => Some(MachineState::Building),
            Self::Broken => Some(MachineState::Failed),
            Self::Gone | Self::Unknown => None,
        }
    }
}

impl Server {
    /// The intent that made it; none where it is not ours.
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        let by_metadata = self.metadata.get(mark::TAG_KEY).and_then(|tag| tag.parse().ok());
        by_metadata.or_else(|| {
            let words = self.tags.iter().filter_map(|word| word.strip_prefix(mark::OURS)?.strip_prefix('-'));
            words.filter_map(|tag| tag.parse().ok()).next()
        })
    }

    /// Among machines of one tag the first made is the one that counts.
    pub(crate) fn age(&self) -> (&str, &str) {
        (&self.created, &self.id)
    }

    pub(crate) fn boots_from_volume(&self) -> bool {
        self.image.as_str().is_some_and(str::is_empty)
    }

    pub(crate) fn situation(&self) -> Situation {
        use MachineState::{Building, Stopping};
        let task = self.task.as_deref().unwrap_or_default();
        if task.starts_with("deleting") || task.starts_with("soft-deleting") {
            return Situation::Busy(Stopping);
        }
        match self.status.as_str() {
            "ACTIVE" | "PASSWORD" | "MIGRATING" | "RESCUE" => match task {
                "powering-off" | "suspending" | "pausing" | "shelving" => Situation::Busy(Stopping),
                // A copy of the disk goes on beside, and so does a migration to another host.
                "" | "migrating" => self.awake(),
                _ if task.starts_with("image_") || task.starts_with("updating_password") => self.awake(),
                _ => Situation::Busy(Building),
            },
            "SHUTOFF" if task.is_empty() || task.starts_with("image_") => Situation::Off,
            "SHELVED" | "SHELVED_OFFLOADED" if task.is_empty() || task == "shelving_offloading" => Situation::Shelved,
            "PAUSED" if task.is_empty() || task.starts_with("image_") => Situation::Paused,
            "SUSPENDED" if task.is_empty() || task.starts_with("image_") => Situation::Suspended,
            "VERIFY_RESIZE" if task.is_empty() => Situation::Resized,
            "ERROR" => Situation::Broken,
            "DELETED" | "SOFT_DELETED" => Situation::Gone,
            "UNKNOWN" => Situation::Unknown,
            _ => Situation::Busy(Building),
        }
    }

    fn awake(&self) -> Situation {
        if self.status == "RESCUE" { Situation::Rescued } else { Situation::Active }
    }

    /// How large it is. A root disk that is a volume is as large as it was ordered.
    pub(crate) fn size(&self) -> Option<MachineSize> {
        let flavor = self.flavor.as_ref()?;
        let ordered = self.metadata.get(mark::SIZE_KEY).and_then(|bytes| bytes.parse().ok());
        let of_flavor = flavor.disk.saturating_mul(GIB);
        let disk_bytes = if self.boots_from_volume() { ordered.unwrap_or(of_flavor) } else { of_flavor };
        Some(MachineSize { cores: flavor.vcpus, memory_mib: flavor.ram, disk_bytes })
    }

    /// The facts; none for a machine that is deleted, or is not ours.
    ///
    /// # Errors
    /// In words, what of the answer is nonsense, or that its cell is down.
    pub(crate) fn facts(&self) -> Result<Option<Machine>, BackendError> {
        let situation = self.situation();
        if situation == Situation::Unknown {
            let id = quoted(&self.id);
            return Err(BackendError::Unreachable(format!("machine {id}: the cell of Nova that has it is down")));
        }
        let (Some(tag), Some(state)) = (self.tag(), situation.state()) else { return Ok(None) };
        let id = identifier::answered("machine", &self.id)?;
        let id = id.try_into().map_err(|error| BackendError::Failed(format!("{error}")))?;
        if self.name.as_ref().is_some_and(|name| name.len() > Machine::MOST_NAME_BYTES) {
            return Err(BackendError::Failed(format!("machine {id} has a name that is too long")));
        }
        Ok(Some(Machine {
            id,
            tag,
            state,
            detail: self.detail(situation),
            endpoints: self.endpoints(),
            console: None,
            guest_answers: None,
            name: self.name.clone(),
            size: self.size(),
        }))
    }

    fn detail(&self, situation: Situation) -> Option<String> {
        match situation {
            Situation::Broken => {
                let said = self.fault.as_ref().map_or("Nova does not say why", |fault| fault.message.trim());
                Some(quoted(said))
            }
            Situation::Shelved => Some("shelved".into()),
            Situation::Rescued => Some("started from a rescue image".into()),
            _ => self.task.as_deref().map(quoted),
        }
    }

    /// Floating addresses first: the others may be reached from within only.
    fn endpoints(&self) -> Vec<Endpoint> {
        let mut addresses: Vec<_> = self.addresses.values().flatten().collect();
        addresses.sort_by_key(|address| (address.kind != "floating", address.addr.is_ipv6()));
        let ssh =
            |address: &ServerAddress| Endpoint { service: "ssh".into(), host: address.addr.to_string(), port: 22 };
        addresses.into_iter().take(MOST_ENDPOINTS).map(ssh).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status: &str, task: Option<&str>) -> Server {
        serde_json::from_value(serde_json::json!({
            "id": "6468346e-7e7e-4e4c-b9c8-7eb3928ddae6", "status": status, "OS-EXT-STS:task_state": task,
        }))
        .unwrap()
    }

    #[test]
    fn every_status_has_a_meaning() {
        use MachineState::{Building, Failed, Running, Stopped, Stopping, Suspended};
        for (status, task, state) in [
            ("ACTIVE", None, Some(Running)),
            ("ACTIVE", Some("powering-off"), Some(Stopping)),
            ("ACTIVE", Some("pausing"), Some(Stopping)),
            ("ACTIVE", Some("image_snapshot"), Some(Running)),
            ("ACTIVE", Some("deleting"), Some(Stopping)),
            ("ACTIVE", Some("resize_prep"), Some(Building)),
            ("BUILD", Some("scheduling"), Some(Building)),
            ("REBOOT", Some("reboot_started"), Some(Building)),
            ("HARD_REBOOT", Some("rebooting_hard"), Some(Building)),
            ("REBUILD", None, Some(Building)),
            ("RESIZE", Some("resize_finish"), Some(Building)),
            ("REVERT_RESIZE", None, Some(Building)),
            ("VERIFY_RESIZE", None, Some(Building)),
            ("MIGRATING", Some("migrating"), Some(Running)),
            ("PASSWORD", None, Some(Running)),
            ("RESCUE", None, Some(Running)),
            ("SHUTOFF", None, Some(Stopped)),
            ("SHUTOFF", Some("powering-on"), Some(Building)),
            ("SHUTOFF", Some("image_uploading"), Some(Stopped)),
            ("PAUSED", None, Some(Suspended)),
            ("PAUSED", Some("unpausing"), Some(Building)),
            ("SUSPENDED", None, Some(Suspended)),
            ("SUSPENDED", Some("resuming"), Some(Building)),
            ("SHELVED", None, Some(Stopped)),
            ("SHELVED_OFFLOADED", None, Some(Stopped)),
            ("SHELVED_OFFLOADED", Some("unshelving"), Some(Building)),
            ("ERROR", None, Some(Failed)),
            ("DELETED", None, None),
            ("SOFT_DELETED", None, None),
            ("UNKNOWN", None, None),
        ] {
            assert_eq!(server(status, task).situation().state(), state, "{status} {task:?}");
        }
    }

    #[test]
    fn a_tag_is_read_from_metadata_or_tags() {
        let tag = "0193c2b0-0000-7000-8000-000000000001";
        let mut one = server("ACTIVE", None);
        assert_eq!(one.tag(), None);
        assert_eq!(one.facts(), Ok(None));
        one.tags = vec!["tombolo".into(), format!("tombolo-{tag}")];
        assert_eq!(one.tag().map(|tag| tag.to_string()).as_deref(), Some(tag));
        one.metadata.insert("tombolo_tag".into(), "nonsense".into());
        assert_eq!(one.facts().unwrap().unwrap().tag.to_string(), tag);
    }
}
