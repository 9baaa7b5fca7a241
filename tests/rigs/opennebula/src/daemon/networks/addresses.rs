//! Address ranges, leases and reservations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Network, state};
use crate::daemon::access::{Caller, Right, may_create};
use crate::daemon::objects::{Kind, Ownership, check_name, take, take_mut};
use crate::daemon::{Daemon, Outcome};
use crate::template::{Parts, Template, element};
use crate::wire::answer::{Code, Refusal, Value};
use crate::wire::arguments::Arguments;

/// The most addresses in a range.
const LARGEST: u32 = 1 << 20;

/// One taken address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The machine that has it; none if it is held.
    pub machine: Option<i32>,
    /// The network that reserved it.
    pub network: Option<i32>,
}

/// A range of addresses.
#[derive(Clone, Debug)]
pub struct AddressRange {
    /// All attributes that were given, and those that the daemon added.
    pub parts: Parts,
    /// The taken ones by their places in the range.
    pub leases: BTreeMap<u32, Lease>,
    size: u32,
    first_mac: u64,
    first_ip: Option<Ipv4Addr>,
    prefixes: Vec<(&'static str, Ipv6Addr)>,
}

impl AddressRange {
    /// A range from its attributes.
    ///
    /// # Errors
    /// The text, when type, size or first address are wrong.
    pub fn new(network: i32, number: i32, mut parts: Parts) -> Result<Self, String> {
        let kind = parts.get("TYPE").map(|t| t.to_ascii_uppercase()).unwrap_or_default();
        if !matches!(kind.as_str(), "IP4" | "IP6" | "IP4_6" | "ETHER" | "IP6_STATIC" | "IP4_6_STATIC") {
            return Err("Unsupported address range type".into());
        }
        let size = parts.get("SIZE").and_then(|s| s.trim().parse().ok()).filter(|s| (1..=LARGEST).contains(s));
        let size = size.ok_or("Wrong SIZE for address range")?;
        let first_ip = match parts.get("IP") {
            Some(ip) => Some(ip.parse::<Ipv4Addr>().map_err(|_| "Wrong or missing IP attribute")?),
            None if kind.starts_with("IP4") => return Err("Wrong or missing IP attribute".into()),
            None => None,
        };
        let first_mac = match parts.get("MAC") {
            Some(mac) => parse_mac(mac).ok_or("Wrong MAC attribute")?,
            // As the daemon: a fixed prefix, and the bytes of the address behind it.
            None => {
                let low = first_ip.map_or_else(|| 0x1000_0000 + 256 * network.unsigned_abs(), u32::from);
                0x0200_0000_0000 | u64::from(low)
            }
        };
        let mut prefixes = Vec::new();
        for (attribute, shown) in [("GLOBAL_PREFIX", "IP6_GLOBAL"), ("ULA_PREFIX", "IP6_ULA")] {
            if let Some(prefix) = parts.get(attribute).and_then(|p| p.parse().ok()) {
                prefixes.push((shown, prefix));
            }
        }
        let added = [
            ("AR_ID", number.to_string()),
            ("MAC", mac(first_mac)),
            ("NEXT_INDEX", "0".into()),
            ("SHARED", "NO".into()),
            ("SIZE", size.to_string()),
            ("TYPE", kind),
        ];
        parts.extend(added.map(|(name, value)| (name.to_owned(), value)));
        Ok(Self { parts, leases: BTreeMap::new(), size, first_mac, first_ip, prefixes })
    }

    /// The IPv4 address at a place.
    pub fn ip(&self, place: u32) -> Option<Ipv4Addr> {
        self.first_ip.map(|first| Ipv4Addr::from(u32::from(first).wrapping_add(place)))
    }

    /// The MAC address at a place.
    pub fn mac(&self, place: u32) -> String {
        mac(self.first_mac + u64::from(place))
    }

    /// The IPv6 addresses at a place, by their attributes' names.
    pub fn ip6(&self, place: u32) -> Vec<(&'static str, Ipv6Addr)> {
        let mac = self.first_mac + u64::from(place);
        // EUI-64 as in RFC 4291, appendix A.
        let high = (mac >> 24) ^ 0x02_0000;
        let low = mac & 0xFF_FFFF;
        let host = u128::from((high << 40) | (0xFFFE << 24) | low);
        self.prefixes.iter().map(|(name, prefix)| (*name, Ipv6Addr::from(u128::from(*prefix) | host))).collect()
    }

    /// A place that is free, the given address's if one is given.
    pub fn free_place(&self, wanted: Option<Ipv4Addr>) -> Option<u32> {
        let place = match wanted {
            Some(ip) => u32::from(ip).checked_sub(u32::from(self.first_ip?)).filter(|p| *p < self.size)?,
            None => (0..self.size).find(|p| !self.leases.contains_key(p))?,
        };
        (!self.leases.contains_key(&place)).then_some(place)
    }

    fn free_count(&self) -> u32 {
        self.size - u32::try_from(self.leases.len()).unwrap_or(self.size)
    }

    fn write_parts(&self, out: &mut String, allocated: bool) {
        out.push_str("<AR>");
        if allocated {
            element(out, "ALLOCATED", "");
        }
        for (name, value) in &self.parts {
            let next = self.free_place(None).unwrap_or(self.size).to_string();
            element(out, name, if name == "NEXT_INDEX" { &next } else { value });
        }
    }

    /// What `one.vn.info` shows.
    pub fn write(&self, out: &mut String) {
        self.write_parts(out, false);
        element(out, "MAC_END", &self.mac(self.size - 1));
        if let Some(last) = self.ip(self.size - 1) {
            element(out, "IP_END", &last.to_string());
        }
        let _ = write!(out, "<USED_LEASES>{}</USED_LEASES>", self.leases.len());
        if self.leases.is_empty() {
            out.push_str("<LEASES/></AR>");
            return;
        }
        out.push_str("<LEASES>");
        for (place, lease) in &self.leases {
            out.push_str("<LEASE>");
            if let Some(ip) = self.ip(*place) {
                element(out, "IP", &ip.to_string());
            }
            for (name, address) in self.ip6(*place) {
                element(out, name, &address.to_string());
            }
            element(out, "MAC", &self.mac(*place));
            match lease.network {
                Some(network) => element(out, "VNET", &network.to_string()),
                None => element(out, "VM", &lease.machine.unwrap_or(-1).to_string()),
            }
            out.push_str("</LEASE>");
        }
        out.push_str("</LEASES></AR>");
    }

    /// What the pool shows.
    pub fn write_short(&self, out: &mut String) {
        self.write_parts(out, true);
        out.push_str("</AR>");
    }
}

fn mac(number: u64) -> String {
    let bytes = number.to_be_bytes();
    let shown: Vec<_> = bytes.iter().skip(2).map(|b| format!("{b:02x}")).collect();
    shown.join(":")
}

fn parse_mac(text: &str) -> Option<u64> {
    let bytes: Vec<u64> = text.split(':').map(|b| u64::from_str_radix(b, 16)).collect::<Result<_, _>>().ok()?;
    (bytes.len() == 6 && bytes.iter().all(|b| *b < 256)).then(|| bytes.iter().fold(0, |n, b| n << 8 | b))
}

fn first_vector(text: &str, name: &str) -> Result<Parts, Refusal> {
    let template = Template::parse(text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let found = template.vector(name).cloned();
    found.ok_or_else(|| Refusal::new(Code::Internal, format!("Wrong {name} format")))
}

/// `one.vn.add_ar(id, AR=[...])`
pub fn add_range(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let network = take_mut::<Network>(daemon, caller, id, Right::Admin)?;
    network.refuse_unless_ready("one.vn.add_ar")?;
    let parts = first_vector(&text, "AR")?;
    let number = network.ranges.keys().next_back().map_or(0, |n| n + 1);
    let range = AddressRange::new(id, number, parts).map_err(|e| Refusal::new(Code::Internal, e))?;
    network.ranges.insert(number, range);
    Ok(Value::Integer(id))
}

/// `one.vn.rm_ar(id, range, [force])` and `one.vn.free_ar(id, range)`
pub fn remove_range(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, number, force) = (arguments.integer()?, arguments.integer()?, arguments.boolean_or(false)?);
    let network = take_mut::<Network>(daemon, caller, id, Right::Manage)?;
    let Some(range) = network.ranges.get(&number) else {
        return Err(Refusal::new(Code::Internal, "Address Range does not exist"));
    };
    if !range.leases.is_empty() && !force {
        return Err(Refusal::new(Code::Internal, "Address Range has leases in use"));
    }
    network.ranges.remove(&number);
    // What was reserved goes back to the network that it came from.
    if let Some(parent) = network.parent.and_then(|p| daemon.networks.get_mut(p)) {
        for range in parent.ranges.values_mut() {
            range.leases.retain(|_, lease| lease.network != Some(id));
        }
    }
    Ok(Value::Integer(id))
}

/// `one.vn.update_ar(id, AR=[AR_ID=...,SIZE=...])`
pub fn update_range(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let network = take_mut::<Network>(daemon, caller, id, Right::Manage)?;
    let changes = first_vector(&text, "AR")?;
    let number = changes.get("AR_ID").and_then(|n| n.parse::<i32>().ok());
    let Some(range) = number.and_then(|n| network.ranges.get_mut(&n)) else {
        return Err(Refusal::new(Code::Internal, "Wrong AR_ID in address range"));
    };
    if let Some(size) = changes.get("SIZE") {
        let last = range.leases.keys().next_back().copied();
        let size = size.parse().ok().filter(|s| (1..=LARGEST).contains(s) && last.is_none_or(|l| l < *s));
        range.size = size.ok_or_else(|| Refusal::new(Code::Internal, "Wrong SIZE for address range"))?;
    }
    range.parts.extend(changes.into_iter().filter(|(name, _)| name != "AR_ID"));
    Ok(Value::Integer(id))
}

/// `one.vn.reserve(id, template with NAME and SIZE)` gives the identifier of a new network.
pub fn reserve(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let template = Template::parse(&text).map_err(|e| Refusal::new(Code::Internal, e))?;
    let parent = take::<Network>(daemon, caller, id, Right::Use)?.clone();
    may_create(daemon, caller, Kind::Network)
        .or_else(|_| take::<Network>(daemon, caller, id, Right::Use).map(|_| ()))?;
    parent.refuse_unless_ready("one.vn.reserve")?;
    let name = template.text("NAME").unwrap_or_default().to_owned();
    check_name::<Network>(daemon, &name, caller.uid).map_err(|(code, text)| Refusal::new(code, text))?;
    let size: u32 = template
        .text("SIZE")
        .and_then(|s| s.parse().ok())
        .filter(|s| *s > 0)
        .ok_or_else(|| Refusal::new(Code::Internal, "Reservation SIZE must be a greater than 0"))?;
    let wanted = template.number("AR_ID").and_then(|n| i32::try_from(n).ok());
    let fitting = parent
        .ranges
        .iter()
        .find(|(number, range)| wanted.is_none_or(|w| w == **number) && range.free_count() >= size)
        .map(|(number, _)| *number);
    let Some(number) = fitting else {
        return Err(Refusal::new(Code::Action, "Not enough free addresses in an address range"));
    };
    let reservation = daemon.networks.next_id();
    let mut ranges = BTreeMap::new();
    if let Some(range) = daemon.networks.get_mut(id).and_then(|n| n.ranges.get_mut(&number)) {
        let places: Vec<u32> = (0..range.size).filter(|p| !range.leases.contains_key(p)).take(size as usize).collect();
        let first = places.first().copied().unwrap_or_default();
        let mut parts = Parts::from([
            ("TYPE".to_owned(), range.parts.get("TYPE").cloned().unwrap_or_default()),
            ("MAC".to_owned(), range.mac(first)),
            ("SIZE".to_owned(), size.to_string()),
            ("PARENT_NETWORK_AR_ID".to_owned(), number.to_string()),
        ]);
        if let Some(ip) = range.ip(first) {
            parts.insert("IP".into(), ip.to_string());
        }
        for place in places {
            range.leases.insert(place, Lease { machine: None, network: Some(reservation) });
        }
        ranges.insert(0, AddressRange::new(reservation, 0, parts).map_err(|e| Refusal::new(Code::Internal, e))?);
    }
    let network = Network {
        ownership: Ownership::of(caller),
        name,
        state: state::READY,
        previous: state::READY,
        parent: Some(id),
        ranges,
        ..parent
    };
    Ok(Value::Integer(daemon.networks.add(network)))
}

fn leases(text: &str) -> Result<Ipv4Addr, Refusal> {
    let parts = first_vector(text, "LEASES")?;
    let ip = parts.get("IP").and_then(|ip| ip.parse().ok());
    ip.ok_or_else(|| Refusal::new(Code::Internal, "No valid IP or MAC found."))
}

/// `one.vn.hold(id, LEASES=[IP=...])`
pub fn hold(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let network = take_mut::<Network>(daemon, caller, id, Right::Manage)?;
    let ip = leases(&text)?;
    for range in network.ranges.values_mut() {
        if let Some(place) = range.free_place(Some(ip)) {
            range.leases.insert(place, Lease { machine: None, network: None });
            return Ok(Value::Integer(id));
        }
    }
    Err(Refusal::new(Code::Internal, "Address is not part of the address range or in use."))
}

/// `one.vn.release(id, LEASES=[IP=...])`
pub fn release(daemon: &mut Daemon, caller: &Caller, arguments: &mut Arguments) -> Outcome {
    let (id, text) = (arguments.integer()?, arguments.text()?);
    let network = take_mut::<Network>(daemon, caller, id, Right::Manage)?;
    let ip = leases(&text)?;
    for range in network.ranges.values_mut() {
        let held = Lease { machine: None, network: None };
        let place =
            range.leases.iter().find(|(place, l)| **l == held && range.ip(**place) == Some(ip)).map(|(p, _)| *p);
        if let Some(place) = place {
            range.leases.remove(&place);
            return Ok(Value::Integer(id));
        }
    }
    Err(Refusal::new(Code::Internal, "Address is not part of the address range or not on hold."))
}
