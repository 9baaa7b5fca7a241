use roxmltree::Node;

use super::{attribute, bytes_of, text};

const PROCESSOR: &str = "3";
const MEMORY: &str = "4";
const DISK_DRIVE: &str = "17";

/// What a drive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A disk of the `DiskSection`, by its id.
    Disk(String),
    /// A file of the `References`, by its id.
    File(String),
}

/// Processors and memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Processing {
    pub(in super::super) cpus: Option<u64>,
    /// In bytes.
    pub(in super::super) memory: Option<u64>,
}

/// Whether an element describes a machine; 0.9 had another name for it.
pub(super) fn is_system(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "VirtualSystem" | "Content")
}

/// The machine's hardware, of its first section: others are alternatives to it.
fn items<'a, 'i>(system: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    let is_item = |node: &Node<'_, '_>| matches!(node.tag_name().name(), "Item" | "StorageItem");
    let section = system.descendants().find(is_item).and_then(|item| item.parent());
    section.into_iter().flat_map(|section| section.children()).filter(is_item)
}

fn value(item: Node<'_, '_>, name: &str) -> Option<String> {
    // `InstanceId` in the oldest.
    let is_it = |node: &Node<'_, '_>| node.tag_name().name().eq_ignore_ascii_case(name);
    item.children().find(is_it).and_then(text)
}

fn is_of_type(item: Node<'_, '_>, kind: &str) -> bool {
    value(item, "ResourceType").as_deref() == Some(kind)
}

/// What all machines' drives hold, in the order of controllers and of places on each.
pub(super) fn drives(root: Node<'_, '_>) -> Vec<Target> {
    let mut drives = Vec::new();
    for (number, system) in root.descendants().filter(|node| is_system(*node)).enumerate() {
        let identities: Vec<_> = items(system).map(|item| value(item, "InstanceID")).collect();
        for (place, item) in items(system).enumerate().filter(|(_, item)| is_of_type(*item, DISK_DRIVE)) {
            let resources = item.children().filter(|node| node.tag_name().name() == "HostResource");
            let Some(target) = resources.filter_map(text).find_map(|resource| target(&resource)) else { continue };
            let parent = value(item, "Parent");
            let controller = parent.and_then(|parent| identities.iter().position(|id| id.as_ref() == Some(&parent)));
            let address: u64 = value(item, "AddressOnParent").and_then(|a| a.parse().ok()).unwrap_or(0);
            drives.push(((number, controller, address, place), target));
        }
    }
    drives.sort_by_key(|(key, _)| *key);
    drives.into_iter().map(|(_, target)| target).collect()
}

/// `ovf:/disk/ID`, `ovf://disk/ID`, and the same with `file`.
fn target(resource: &str) -> Option<Target> {
    let path = resource.strip_prefix("ovf:").unwrap_or(resource).trim_start_matches('/');
    let (kind, id) = path.split_once('/')?;
    match kind {
        "disk" => Some(Target::Disk(id.to_owned())),
        "file" => Some(Target::File(id.to_owned())),
        _ => None,
    }
}

/// The first machine's processors and memory, unless they are for a choice that nobody made.
pub(in super::super) fn processing(system: Node<'_, '_>) -> Processing {
    let find = |kind| {
        let unbound = |item: &Node<'_, '_>| attribute(*item, "bound").is_none();
        let mut fitting: Vec<_> = items(system).filter(|item| is_of_type(*item, kind)).filter(unbound).collect();
        fitting.sort_by_key(|item| attribute(*item, "configuration").is_some());
        fitting.first().copied()
    };
    let quantity = |item| value(item, "VirtualQuantity");
    Processing {
        cpus: find(PROCESSOR).and_then(quantity).and_then(|count| count.parse().ok()),
        memory: find(MEMORY).and_then(|item| {
            let units = value(item, "AllocationUnits").unwrap_or_else(|| "byte * 2^20".into());
            bytes_of(&quantity(item)?, Some(&units))
        }),
    }
}
