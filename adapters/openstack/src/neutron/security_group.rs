use std::net::IpAddr;

use backend::{Direction, IntentTag, Protocol, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mark;

/// A security group, as Neutron shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NeutronGroup {
    pub(crate) id: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(rename = "security_group_rules", default)]
    pub(crate) rules: Vec<NeutronRule>,
}

impl NeutronGroup {
    pub(crate) fn tag(&self) -> Option<IntentTag> {
        mark::described(self.description.as_deref()?)
    }

    /// The rules as they were given, in their order, and after them those that somebody else has added.
    pub(crate) fn given(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = self.rules.iter().filter_map(|rule| Some((rule.place(), rule.facts()?))).collect();
        rules.sort_by_key(|(place, _)| *place);
        // A rule for anybody is two of Neutron's, one for each version of IP.
        rules.dedup_by(|one, other| one == other);
        rules.into_iter().map(|(_, rule)| rule).collect()
    }
}

/// A rule, as Neutron shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NeutronRule {
    pub(crate) id: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    ethertype: String,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    port_range_min: Option<u16>,
    #[serde(default)]
    port_range_max: Option<u16>,
    #[serde(default)]
    remote_ip_prefix: Option<String>,
    #[serde(default)]
    remote_group_id: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

impl NeutronRule {
    /// Which of the group's rules it is.
    fn place(&self) -> usize {
        let place = self.description.as_deref().and_then(|text| text.strip_prefix(mark::OURS)?.trim().parse().ok());
        place.unwrap_or(usize::MAX)
    }

    /// As the contract writes it; none for what it has no words for.
    fn facts(&self) -> Option<Rule> {
        if self.remote_group_id.is_some() {
            return None;
        }
        let direction = match self.direction.as_str() {
            "ingress" => Direction::Inbound,
            "egress" => Direction::Outbound,
            _ => return None,
        };
        let protocol = match self.protocol.as_deref() {
            None => Protocol::All,
            Some("tcp" | "6") => Protocol::Tcp,
            Some("udp" | "17") => Protocol::Udp,
            Some("icmp" | "1" | "ipv6-icmp" | "icmpv6" | "58") => Protocol::Icmp,
            Some(_) => return None,
        };
        let ports = match protocol {
            Protocol::Tcp | Protocol::Udp => self.port_range_min.zip(self.port_range_max),
            Protocol::Icmp | Protocol::All => None,
        };
        let range = match &self.remote_ip_prefix {
            None => None,
            Some(text) => {
                let (address, prefix) = text.split_once('/')?;
                Some((address.parse().ok()?, prefix.parse().ok()?))
            }
        };
        Some(Rule { direction, protocol, ports, range })
    }

    /// Whether it is what would be made for this.
    pub(crate) fn is(&self, wanted: &Value) -> bool {
        let same = |key: &str, mine: Value| wanted.get(key).cloned().unwrap_or_default() == mine;
        same("direction", self.direction.clone().into())
            && same("ethertype", self.ethertype.clone().into())
            && same("protocol", self.protocol.clone().into())
            && same("port_range_min", self.port_range_min.into())
            && same("port_range_max", self.port_range_max.into())
            && same("remote_ip_prefix", self.remote_ip_prefix.clone().into())
            && same("description", self.description.clone().into())
            && self.remote_group_id.is_none()
    }
}

/// What Neutron is asked for, for these rules: each says by its description which one it is, since Neutron keeps no
/// order.
pub(crate) fn wanted_rules(group: &str, rules: &[Rule]) -> Vec<Value> {
    let mut wanted = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        if rules.iter().take(place).any(|earlier| earlier == rule) {
            // Neutron refuses the same rule twice.
            continue;
        }
        let families: &[&str] = match rule.range {
            None => &["IPv4", "IPv6"],
            Some((IpAddr::V4(_), _)) => &["IPv4"],
            Some((IpAddr::V6(_), _)) => &["IPv6"],
        };
        wanted.extend(families.iter().map(|family| one(group, place, rule, family)));
    }
    wanted
}

fn one(group: &str, place: usize, rule: &Rule, family: &str) -> Value {
    let direction = match rule.direction {
        Direction::Inbound => "ingress",
        Direction::Outbound => "egress",
    };
    let protocol = match (rule.protocol, family) {
        (Protocol::Tcp, _) => Some("tcp"),
        (Protocol::Udp, _) => Some("udp"),
        (Protocol::Icmp, "IPv6") => Some("ipv6-icmp"),
        (Protocol::Icmp, _) => Some("icmp"),
        (Protocol::All, _) => None,
    };
    let ports = rule.ports.filter(|_| matches!(rule.protocol, Protocol::Tcp | Protocol::Udp));
    json!({
        "security_group_id": group,
        "direction": direction,
        "ethertype": family,
        "protocol": protocol,
        "port_range_min": ports.map(|(first, _)| first),
        "port_range_max": ports.map(|(_, last)| last),
        "remote_ip_prefix": rule.range.map(|(address, prefix)| format!("{address}/{prefix}")),
        "description": format!("{} {place}", mark::OURS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_back_as_they_were_given() {
        let rules = vec![
            Rule { direction: Direction::Inbound, protocol: Protocol::Tcp, ports: Some((80, 443)), range: None },
            Rule { direction: Direction::Outbound, protocol: Protocol::All, ports: None, range: None },
            Rule {
                direction: Direction::Inbound,
                protocol: Protocol::Icmp,
                ports: None,
                range: Some(("fd00::".parse().unwrap(), 8)),
            },
            Rule {
                direction: Direction::Outbound,
                protocol: Protocol::Udp,
                ports: None,
                range: Some(("10.0.0.0".parse().unwrap(), 8)),
            },
        ];
        let mut wanted = wanted_rules("g", &rules);
        assert_eq!(wanted.len(), 6);
        // Neutron tells them in any order.
        wanted.reverse();
        let told = wanted.into_iter().enumerate().map(|(number, mut rule)| {
            rule["id"] = number.to_string().into();
            rule
        });
        let told = json!({ "id": "g", "description": "x", "security_group_rules": told.collect::<Vec<_>>() });
        let group: NeutronGroup = serde_json::from_value(told).unwrap();
        assert_eq!(group.given(), rules);
        for rule in wanted_rules("g", &rules) {
            assert_eq!(group.rules.iter().filter(|told| told.is(&rule)).count(), 1, "{rule}");
        }
    }
}
