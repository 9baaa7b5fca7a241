//! Virtual networks.

use std::collections::{BTreeMap, BTreeSet};

use super::access::{Caller, Right, may_create};
use super::documents::{common, listing};
use super::events::Happening;
use super::objects::{
    Kind, Ownership, check_name, chmod, chown, lock, no_such, object, rename, take, take_mut, unlock, update,
};
use super::{Daemon, Methods, Outcome};
use crate::form::{Form, identifiers};
use crate::template::{Parts, Template, element};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

pub mod addresses;

use addresses::{AddressRange, Lease};

/// The table of methods.
pub const METHODS: Methods = &[
    ("one.vn.allocate", allocate),
    ("one.vn.info", info),
    ("one.vn.delete", delete),
    ("one.vn.update", update::<Network>),
    ("one.vn.rename", rename::<Network>),
    ("one.vn.chmod", chmod::<Network>),
    ("one.vn.chown", chown::<Network>),
    ("one.vn.lock", lock::<Network>),
    ("one.vn.unlock", unlock::<Network>),
    ("one.vn.add_ar", addresses::add_range),
    ("one.vn.rm_ar", addresses::remove_range),
    ("one.vn.free_ar", addresses::remove_range),
    ("one.vn.update_ar", addresses::update_range),
    ("one.vn.reserve", addresses::reserve),
    ("one.vn.hold", addresses::hold),
    ("one.vn.release", addresses::release),
    ("one.vnpool.info", |daemon, caller, arguments| {
        Ok(Value::Text(listing(daemon, caller, arguments.bounds()?, "VNET_POOL", write_short)?))
    }),
];

const FORM: Form = Form::new(include_str!("../../forms/network.xml"));

/// The states of networks.
#[allow(missing_docs)]
pub mod state {
    pub const INIT: u8 = 0;
    pub const READY: u8 = 1;
    pub const LOCK_CREATE: u8 = 2;
    pub const LOCK_DELETE: u8 = 3;
}

/// A virtual network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its owner.
    pub ownership: Ownership,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: u8,
    /// The state before.
    pub previous: u8,
    /// The network from which it was reserved.
    pub parent: Option<i32>,
    /// Its clusters.
    pub clusters: BTreeSet<i32>,
    /// All attributes.
    pub template: Template,
    /// Its address ranges.
    pub ranges: BTreeMap<i32, AddressRange>,
}

object!(Network, Kind::Network, networks, template);

impl Network {
    /// All addresses that are taken.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.ranges.values().flat_map(|r| r.leases.values())
    }

    fn refuse_unless_ready(&self, method: &str) -> Result<(), Refusal> {
        let name = match self.state {
            state::READY => return Ok(()),
            state::LOCK_CREATE => "LOCK_CREATE",
            state::LOCK_DELETE => "LOCK_DELETE",
            _ => "INIT",
        };
        let text = format!("Could not execute {method}Virtual Network is in wrong state: {name}");
        Err(Refusal::new(Code::Action, text))
    }
}

fn allocate(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (text, cluster) = (arguments.text()?, arguments.integer_or(-1)?);
    may_create(daemon, caller, Kind::Network)?;
    let mut template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let name = template.take_text("NAME").unwrap_or_default();
    if !template.has("VN_MAD") {
        return Err(Refusal::new(Code::Internal, "No VN_MAD in template for Virtual Network."));
    }
    check_name::<Network>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    let cluster = if cluster < 0 { 0 } else { cluster };
    daemon.clusters.get(cluster).ok_or_else(|| no_such(Kind::Cluster, cluster))?;
    for (name, value) in [("BRIDGE_TYPE", "linux"), ("PHYDEV", ""), ("SECURITY_GROUPS", "0")] {
        template.set_default(name, value);
    }
    let id = daemon.networks.next_id();
    template.set_default("BRIDGE", &format!("onebr{id}"));
    daemon.networks.add(Network {
        ownership: Ownership::of(caller),
        name,
        state: state::LOCK_CREATE,
        previous: state::INIT,
        parent: None,
        clusters: BTreeSet::from([cluster]),
        template,
        ranges: BTreeMap::new(),
    });
    daemon.plan(daemon.settings.delays.network, Happening::NetworkReady(id));
    Ok(Value::Integer(id))
}

/// The address manager has answered.
pub fn ready(daemon: &mut Daemon, id: i32) {
    let Some(network) = daemon.networks.get_mut(id) else { return };
    network.state = state::READY;
    network.previous = state::READY;
    let ranges: Vec<Parts> = network.template.vectors("AR").cloned().collect();
    network.template.take("AR");
    for (number, parts) in ranges.into_iter().enumerate() {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        // A range that makes no sense is left out; the real daemon refuses it at allocation.
        if let Ok(range) = AddressRange::new(id, number, parts) {
            network.ranges.insert(number, range);
        }
    }
    for name in ["VLAN_ID", "OUTER_VLAN_ID"] {
        network.template.set_default(name, "");
    }
}

/// A deleted network is gone.
pub fn gone(daemon: &mut Daemon, id: i32) {
    daemon.networks.remove(id);
}

fn write(daemon: &Daemon, id: i32, network: &Network, out: &mut String) {
    write_with(daemon, id, network, out, AddressRange::write);
}

fn write_short(daemon: &Daemon, id: i32, network: &Network, out: &mut String) {
    write_with(daemon, id, network, out, AddressRange::write_short);
}

fn write_with(
    daemon: &Daemon,
    id: i32,
    network: &Network,
    out: &mut String,
    write_range: fn(&AddressRange, &mut String),
) {
    let optional = |name: &str| match network.template.text(name) {
        None | Some("") => format!("<{name}/>"),
        Some(text) => {
            let mut inner = String::new();
            element(&mut inner, name, text);
            inner
        }
    };
    FORM.fill(out, |hole| match hole {
        "CLUSTERS" => identifiers(&network.clusters).into(),
        "BRIDGE" | "BRIDGE_TYPE" | "VN_MAD" => network.template.text(hole).unwrap_or_default().to_owned().into(),
        "STATE" => network.state.to_string().into(),
        "PREV_STATE" => network.previous.to_string().into(),
        "PARENT_NETWORK_ID" => match network.parent {
            None => "<PARENT_NETWORK_ID/>".into(),
            Some(parent) => format!("<PARENT_NETWORK_ID>{parent}</PARENT_NETWORK_ID>").into(),
        },
        "PHYDEV" | "VLAN_ID" => optional(hole).into(),
        "USED_LEASES" => network.leases().count().to_string().into(),
        "VROUTERS" => "".into(),
        "UPDATED_VMS" => {
            let machines: BTreeSet<i32> = network.leases().filter_map(|l| l.machine).collect();
            identifiers(&machines).into()
        }
        "TEMPLATE" => network.template.written().into(),
        "AR_POOL" => {
            let mut inner = String::new();
            for range in network.ranges.values() {
                write_range(range, &mut inner);
            }
            inner.into()
        }
        hole => common(daemon, id, network, hole).unwrap_or_default(),
    });
}

fn info(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let network = take::<Network>(daemon, caller, id, Right::Use)?;
    let mut out = String::new();
    write(daemon, id, network, &mut out);
    Ok(Value::Text(out))
}

fn delete(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let id = arguments.integer()?;
    let network = take_mut::<Network>(daemon, caller, id, Right::Manage)?;
    if network.leases().any(|l| l.machine.is_some()) {
        let text = "Cannot delete virtual network. Can not remove a virtual network with leases in use";
        return Err(Refusal::new(Code::Action, text));
    }
    network.state = state::LOCK_DELETE;
    network.previous = state::LOCK_DELETE;
    network.ranges.clear();
    daemon.plan(daemon.settings.delays.network, Happening::NetworkGone(id));
    Ok(Value::Integer(id))
}
