//! Making machines: what their templates become.

use std::collections::BTreeMap;

use super::access::{Caller, Right, may_create};
use super::events::Happening;
use super::images::{Image, state};
use super::machines::Machine;
use super::objects::{Kind, Ownership, take};
use super::quotas::{self, Wanted};
use super::states::State;
use super::{Daemon, Methods, Outcome, interfaces};
use crate::template::{Attribute, Parts, Template};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The table of methods.
pub const METHODS: Methods = &[("one.vm.allocate", allocate)];

/// What the daemon works with itself. All other attributes are the owner's.
const OWN: [&str; 19] = [
    "CPU",
    "MEMORY",
    "VCPU",
    "DISK",
    "NIC",
    "NIC_ALIAS",
    "NIC_DEFAULT",
    "OS",
    "FEATURES",
    "GRAPHICS",
    "VIDEO",
    "INPUT",
    "CONTEXT",
    "RAW",
    "CPU_MODEL",
    "PCI",
    "TOPOLOGY",
    "TEMPLATE_ID",
    "SUBMIT_ON_HOLD",
];
/// Attributes that only oneadmin's group may set.
const RESTRICTED: [(&str, &str); 5] =
    [("RAW", "DATA"), ("DISK", "SOURCE"), ("DISK", "SIZE_PREV"), ("CONTEXT", "FILES"), ("NIC", "VLAN_ID")];

/// A machine to be made.
#[derive(Debug)]
pub struct Request {
    /// Its name; `%i` stands for its identifier.
    pub name: String,
    /// Its attributes.
    pub template: Template,
    /// Whether it waits for its release.
    pub hold: bool,
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (text, hold) = (arguments.text()?, arguments.boolean_or(false)?);
    may_create(daemon, caller, Kind::Machine)?;
    // A malformed template has no memory either, and that is what the daemon complains about first.
    let mut template = Template::parse(&text).unwrap_or_default();
    let name = template.take_text("NAME").unwrap_or_default();
    create(daemon, caller, Request { name, template, hold })
}

/// Makes a machine.
///
/// # Errors
/// All that the daemon complains about.
pub fn create(daemon: &mut Daemon, caller: &Caller, request: Request) -> Outcome {
    let Request { name, mut template, hold } = request;
    may_create(daemon, caller, Kind::Machine)?;
    check_restricted(caller, &template)?;
    check_capacity(&template)?;
    let id = daemon.machines.next_id();
    let name = if name.is_empty() { format!("one-{id}") } else { name.replace("%i", &id.to_string()) };
    let mut user_template = template.split_off(|name| !OWN.contains(&name));
    let ownership = Ownership::of(caller);
    quotas::check(daemon, caller, &ownership, &wanted(daemon, caller, &template)?)?;

    describe_disks(daemon, caller, &mut template)?;
    // What is taken so far is given back when something later is refused.
    let images = image_ids(&template);
    for (taken, image_id) in images.iter().enumerate() {
        let acquired = daemon.images.get_mut(*image_id).map_or(Ok(()), |image| image.acquire(*image_id, id));
        if let Err(text) = acquired {
            give_back(daemon, images.iter().take(taken), id);
            return Err(Refusal::new(Code::Internal, text));
        }
    }
    for disk in template.vectors_mut("DISK") {
        let image = disk.get("IMAGE_ID").and_then(|i| i.parse().ok()).and_then(|i| daemon.images.get(i));
        if let Some(image) = image {
            disk.insert("IMAGE_STATE".into(), image.state.to_string());
        }
    }
    if let Err(refusal) = interfaces::describe(daemon, caller, id, &mut template, Code::Internal) {
        give_back(daemon, images.iter(), id);
        return Err(refusal);
    }
    describe_rest(daemon, caller, id, &mut template, hold);
    user_template.take("SCHED_MESSAGE");
    let mut machine = Machine::new(ownership, name, template, user_template);
    machine.enter(if hold { State::HOLD } else { State::PENDING });
    let cloning = images.iter().any(|i| {
        daemon.images.get(*i).is_some_and(|i| matches!(i.state, state::LOCKED_USED | state::LOCKED_USED_PERSISTENT))
    });
    if cloning && !hold {
        machine.state = State { state: 10, lcm: 0 };
    }
    daemon.machines.add(machine);
    if !hold {
        daemon.plan(daemon.settings.delays.placement, Happening::Placement(id));
    }
    Ok(Value::Integer(id))
}

fn give_back<'a>(daemon: &mut Daemon, images: impl Iterator<Item = &'a i32>, machine: i32) {
    for image in images {
        if let Some(image) = daemon.images.get_mut(*image) {
            image.give_back(machine);
        }
    }
}

fn check_restricted(caller: &Caller, template: &Template) -> Result<(), Refusal> {
    if caller.is_oneadmin() {
        return Ok(());
    }
    match RESTRICTED.iter().find(|(name, part)| template.vectors(name).any(|parts| parts.contains_key(*part))) {
        None => Ok(()),
        Some((_, part)) => {
            let text = format!("User [{}] : VM Template includes a restricted attribute {part}.", caller.uid);
            Err(Refusal::new(Code::Authorization, text))
        }
    }
}

/// MEMORY, CPU and VCPU as they must be.
///
/// # Errors
/// 8192 with the name of the wrong one.
pub fn check_capacity(template: &Template) -> Result<(), Refusal> {
    let refuse = |text: &str| Err(Refusal::new(Code::Internal, text));
    if template.number("MEMORY").is_none_or(|m| m <= 0) {
        return refuse("MEMORY attribute must be a positive integer value.");
    }
    if template.text("CPU").and_then(|c| c.trim().parse::<f64>().ok()).is_none_or(|c| c <= 0.0) {
        return refuse("CPU attribute must be a positive float or integer value.");
    }
    if template.has("VCPU") && template.number("VCPU").is_none_or(|v| v <= 0) {
        return refuse("VCPU attribute must be a positive integer value.");
    }
    Ok(())
}

fn wanted(daemon: &Daemon, caller: &Caller, template: &Template) -> Result<Wanted, Refusal> {
    let cpu = template.text("CPU").and_then(|c| c.parse().ok()).unwrap_or_default();
    let memory = template.number("MEMORY").unwrap_or_default() as f64;
    let machines = [("CPU", cpu), ("MEMORY", memory), ("VMS", 1.0)];
    let running = [("RUNNING_CPU", cpu), ("RUNNING_MEMORY", memory), ("RUNNING_VMS", 1.0)];
    let mut leases = BTreeMap::new();
    for nic in template.vectors("NIC") {
        let network = interfaces::find_network(daemon, caller, nic, Code::Internal)?;
        *leases.entry(network).or_insert(0.0) += 1.0;
    }
    Ok(Wanted { machines: machines.into_iter().chain(running).collect(), leases, images: Vec::new() })
}

/// The images of the disks.
pub fn image_ids(template: &Template) -> Vec<i32> {
    template.vectors("DISK").filter_map(|d| d.get("IMAGE_ID")?.parse().ok()).collect()
}

/// Completes all disks from their images.
///
/// # Errors
/// 8192 for unknown images, 512 for those that the caller may not use.
pub fn describe_disks(daemon: &Daemon, caller: &Caller, template: &mut Template) -> Result<(), Refusal> {
    let disks: Vec<Parts> = template.vectors("DISK").cloned().collect();
    template.take("DISK");
    for (index, disk) in disks.into_iter().enumerate() {
        let number = i32::try_from(index).unwrap_or(i32::MAX);
        let described = describe_disk(daemon, caller, disk, number).map_err(|refusal| match refusal {
            Refusal::Failure(mut failure) if failure.code == Code::Internal => {
                failure.message = format!("DISK {index}: {}", failure.message);
                Refusal::Failure(failure)
            }
            other => other,
        })?;
        template.push_vector("DISK", described);
    }
    Ok(())
}

/// Completes one disk from its image, or as a volatile one.
///
/// # Errors
/// 8192 for an unknown image, 512 for one that the caller may not use.
pub fn describe_disk(daemon: &Daemon, caller: &Caller, mut disk: Parts, number: i32) -> Result<Parts, Refusal> {
    disk.insert("DISK_ID".into(), number.to_string());
    let Some(id) = find_image(daemon, caller, &disk)? else { return volatile(daemon, disk, number) };
    let image = take::<Image>(daemon, caller, id, Right::Use)?;
    let datastore = daemon.datastores.get(image.datastore);
    let attribute =
        |name: &str, default: &str| datastore.and_then(|d| d.template.text(name)).unwrap_or(default).to_owned();
    let yes = |is: bool| if is { "YES" } else { "NO" }.to_owned();
    let prefix = disk.get("DEV_PREFIX").cloned().or_else(|| image.template.text("DEV_PREFIX").map(str::to_owned));
    let prefix = prefix.unwrap_or_else(|| "sd".into());
    let cdrom = image.kind == 1;
    let described = [
        ("ALLOW_ORPHANS", attribute("ALLOW_ORPHANS", "NO")),
        ("CLONE", yes(!image.persistent)),
        ("CLONE_TARGET", attribute("CLONE_TARGET", "SYSTEM")),
        ("CLUSTER_ID", clusters(datastore.map(|d| &d.clusters))),
        ("DATASTORE", datastore.map_or(String::new(), |d| d.name.clone())),
        ("DATASTORE_ID", image.datastore.to_string()),
        ("DEV_PREFIX", prefix),
        ("DISK_SNAPSHOT_TOTAL_SIZE", "0".into()),
        ("DISK_TYPE", "FILE".into()),
        ("DRIVER", disk.get("DRIVER").cloned().unwrap_or_else(|| image.format.clone())),
        ("FORMAT", image.format.clone()),
        ("IMAGE", image.name.clone()),
        ("IMAGE_ID", id.to_string()),
        ("IMAGE_STATE", image.state.to_string()),
        ("LN_TARGET", attribute("LN_TARGET", "NONE")),
        ("ORIGINAL_SIZE", image.megabytes.to_string()),
        ("PERSISTENT_SNAPSHOTS", attribute("PERSISTENT_SNAPSHOTS", "YES")),
        ("READONLY", yes(cdrom)),
        ("SAVE", yes(image.persistent)),
        ("SOURCE", image.source.clone()),
        ("TM_MAD", datastore.map_or(String::new(), |d| d.transfer.clone())),
        ("TYPE", if cdrom { "CDROM" } else { "FILE" }.into()),
    ];
    disk.extend(described.map(|(name, value)| (name.to_owned(), value)));
    if image.persistent {
        disk.insert("PERSISTENT".into(), "YES".into());
    }
    let size = disk.get("SIZE").and_then(|s| s.parse::<i64>().ok()).unwrap_or(0).max(image.megabytes);
    disk.insert("SIZE".into(), size.to_string());
    Ok(disk)
}

fn clusters(ids: Option<&std::collections::BTreeSet<i32>>) -> String {
    let list: Vec<_> = ids.into_iter().flatten().map(i32::to_string).collect();
    list.join(",")
}

fn find_image(daemon: &Daemon, caller: &Caller, disk: &Parts) -> Result<Option<i32>, Refusal> {
    if let Some(id) = disk.get("IMAGE_ID") {
        let found = id.parse().ok().filter(|id| daemon.images.get(*id).is_some());
        return match found {
            Some(id) => Ok(Some(id)),
            None => Err(Refusal::new(Code::Internal, format!("Image with ID: {id} does not exist"))),
        };
    }
    let Some(name) = disk.get("IMAGE") else { return Ok(None) };
    let owner = owner(daemon, disk, "IMAGE", caller);
    let found = daemon.images.iter().find(|(_, i)| i.name == *name && i.ownership.uid == owner).map(|(id, _)| id);
    match found {
        Some(id) => Ok(Some(id)),
        None => Err(Refusal::new(
            Code::Internal,
            format!(
                "User {owner} does not own an image with name: {name} . Set IMAGE_UNAME or IMAGE_UID of owner in DISK."
            ),
        )),
    }
}

/// The owner that `IMAGE_UNAME`, `IMAGE_UID`, `NETWORK_UNAME` or `NETWORK_UID` names, or else the caller.
pub fn owner(daemon: &Daemon, parts: &Parts, what: &str, caller: &Caller) -> i32 {
    let by_name = parts
        .get(&format!("{what}_UNAME"))
        .and_then(|name| daemon.users.iter().find(|(_, u)| u.name == *name).map(|(id, _)| id));
    let by_id = parts.get(&format!("{what}_UID")).and_then(|id| id.parse().ok());
    by_name.or(by_id).unwrap_or(caller.uid)
}

fn volatile(daemon: &Daemon, mut disk: Parts, number: i32) -> Result<Parts, Refusal> {
    let kind = disk.get("TYPE").map(|t| t.to_ascii_lowercase());
    if !matches!(kind.as_deref(), Some("fs" | "swap")) {
        let text = format!("Unknown disk type or missing IMAGE, IMAGE_ID in DISK {number}.");
        return Err(Refusal::new(Code::Internal, text));
    }
    if disk.get("SIZE").and_then(|s| s.parse::<i64>().ok()).is_none_or(|s| s <= 0) {
        return Err(Refusal::new(Code::Internal, "SIZE attribute must be a positive integer value."));
    }
    let system = daemon.datastores.descending().find(|(_, d)| d.kind == 1);
    if let Some((id, datastore)) = system {
        let described = [
            ("ALLOW_ORPHANS", datastore.template.text("ALLOW_ORPHANS").unwrap_or("NO").to_owned()),
            ("CLUSTER_ID", clusters(Some(&datastore.clusters))),
            ("DATASTORE", datastore.name.clone()),
            ("DATASTORE_ID", id.to_string()),
            ("TM_MAD", datastore.transfer.clone()),
        ];
        disk.extend(described.map(|(name, value)| (name.to_owned(), value)));
    }
    let format = disk.get("FORMAT").cloned().unwrap_or_else(|| "raw".into());
    for (name, value) in [
        ("DEV_PREFIX", "sd"),
        ("DISK_TYPE", "FILE"),
        ("DRIVER", &format),
        ("FORMAT", &format),
        ("PERSISTENT_SNAPSHOTS", "YES"),
    ] {
        disk.entry(name.into()).or_insert_with(|| value.to_owned());
    }
    Ok(disk)
}

fn describe_rest(daemon: &mut Daemon, caller: &Caller, id: i32, template: &mut Template, hold: bool) {
    let disks = template.vectors("DISK").count();
    let mut used: Vec<String> = template.vectors("DISK").filter_map(|d| d.get("TARGET").cloned()).collect();
    for disk in template.vectors_mut("DISK") {
        name_device(disk, &mut used);
    }
    if let Some(mut context) = template.vector("CONTEXT").cloned() {
        resolve(daemon, caller, &mut context);
        context.insert("DISK_ID".into(), disks.to_string());
        context.entry("TARGET".into()).or_insert_with(|| "hda".into());
        template.take("CONTEXT");
        template.push_vector("CONTEXT", context);
        interfaces::into_context(daemon, template);
    }
    let has_nic = template.vector("NIC").is_some();
    let clusters: Vec<String> = daemon.clusters.iter().map(|(id, _)| id.to_string()).collect();
    let own = template.vectors("DISK").chain(template.vectors("NIC")).find_map(|p| p.get("CLUSTER_ID").cloned());
    match own {
        Some(cluster) => {
            let cluster = cluster.split(',').next().unwrap_or_default().to_owned();
            let within = format!("(\"CLUSTERS/ID\" @> {cluster})");
            template.set("AUTOMATIC_DS_REQUIREMENTS", within.clone());
            if has_nic {
                template.set("AUTOMATIC_NIC_REQUIREMENTS", within);
            }
            template.set("AUTOMATIC_REQUIREMENTS", format!("(CLUSTER_ID = {cluster}) & !(PIN_POLICY = PINNED)"));
        }
        None if clusters.is_empty() => {}
        None => template.set("AUTOMATIC_REQUIREMENTS", "!(PIN_POLICY = PINNED)"),
    }
    let mut os = template.vector("OS").cloned().unwrap_or_default();
    let digest = super::jobs::name_of_file(&format!("{id} {:?}", std::time::SystemTime::now()));
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_owned();
    let uuid = format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    os.entry("UUID".into()).or_insert(uuid);
    template.take("OS");
    template.push("OS", Attribute::Vector(os));
    template.set("VMID", id.to_string());
    if hold {
        template.set("SUBMIT_ON_HOLD", "YES");
    }
}

/// Gives a disk its TARGET, unless it has one.
pub fn name_device(disk: &mut Parts, used: &mut Vec<String>) {
    if disk.contains_key("TARGET") {
        return;
    }
    let prefix = disk.get("DEV_PREFIX").cloned().unwrap_or_else(|| "sd".into());
    let free = ('a'..='z').map(|letter| format!("{prefix}{letter}")).find(|name| !used.contains(name));
    let target = free.unwrap_or_else(|| format!("{prefix}zz"));
    used.push(target.clone());
    disk.insert("TARGET".into(), target);
}

/// `$USER[SSH_PUBLIC_KEY]` and the like.
fn resolve(daemon: &Daemon, caller: &Caller, context: &mut Parts) {
    let attributes = daemon.users.get(caller.uid).map(|u| &u.template);
    for value in context.values_mut() {
        let mut pieces = value.split("$USER[");
        let mut resolved = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, after) = piece.split_once(']').unwrap_or((piece, ""));
            resolved.push_str(attributes.and_then(|t| t.text(name)).unwrap_or_default());
            resolved.push_str(after);
        }
        *value = resolved;
    }
}
