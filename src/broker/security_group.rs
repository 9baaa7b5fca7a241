//! Security groups: rules as rOCCI and ooi write them, as a site understands them.
//!
//! A rule is an object `{"type": "inbound" | "outbound", "protocol": "tcp" | "udp" | "icmp" | "all", "port": "22" |
//! "8000-9000", "range": "192.168.0.0/24"}`, of which `type` and `protocol` are needed.

use std::collections::BTreeMap;

use backend::{Direction, IntentTag, Protocol, Rule, SecurityGroupSpec};
use occi_schema::{
    AttributeName, Value,
    well_known::attribute::{SECURITY_GROUP_RULES, TITLE},
};
use uuid::Uuid;

use super::{BrokerError, compute::invalid, network};

/// Most rules of one group.
const MOST_RULES: usize = 256;

/// The group for these attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming what is wrong with which rule.
pub fn group(attributes: &BTreeMap<AttributeName, Value>, id: Uuid) -> Result<SecurityGroupSpec, BrokerError> {
    Ok(SecurityGroupSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: attributes.get(&TITLE).and_then(Value::as_str).map_or_else(|| id.to_string(), str::to_owned),
        rules: rules(attributes)?,
    })
}

/// The rules in these attributes.
///
/// # Errors
/// As for the group.
pub fn rules(attributes: &BTreeMap<AttributeName, Value>) -> Result<Vec<Rule>, BrokerError> {
    match attributes.get(&SECURITY_GROUP_RULES) {
        Some(Value::List(rules)) if rules.len() <= MOST_RULES => rules.iter().map(rule).collect(),
        Some(Value::List(rules)) => {
            Err(invalid(&SECURITY_GROUP_RULES, &format!("may have {MOST_RULES} rules, not {}", rules.len())))
        }
        _ => Err(invalid(&SECURITY_GROUP_RULES, "must be a list of rules")),
    }
}

fn rule(value: &Value) -> Result<Rule, BrokerError> {
    let wrong = |reason: String| invalid(&SECURITY_GROUP_RULES, &reason);
    let Value::Map(members) = value else {
        return Err(wrong("must be a list of objects".into()));
    };
    if let Some(unknown) =
        members.keys().find(|name| !["type", "protocol", "port", "range", "ipversion"].contains(&name.as_str()))
    {
        return Err(wrong(format!("has a rule with an unknown member {unknown:?}")));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let direction = match text("type") {
        Some("inbound") => Direction::Inbound,
        Some("outbound") => Direction::Outbound,
        _ => return Err(wrong("has a rule whose type is neither inbound nor outbound".into())),
    };
    let protocol = match text("protocol").map(str::to_ascii_lowercase).as_deref() {
        Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some("icmp") => Protocol::Icmp,
        Some("all") => Protocol::All,
        _ => return Err(wrong("has a rule whose protocol is none of tcp, udp, icmp, all".into())),
    };
    let ports = match members.get("port") {
        None => None,
        Some(Value::Integer(port)) => Some(port.to_string()),
        Some(Value::String(ports)) => Some(ports.clone()),
        Some(_) => return Err(wrong("has a rule whose port is neither a number nor a range".into())),
    };
    let ports = ports.map(|ports| port_range(&ports).ok_or_else(|| wrong(format!("has a rule with port {ports:?}"))));
    let range = text("range").map(|range| network::range(&SECURITY_GROUP_RULES, range)).transpose()?;
    let ports = ports.transpose()?;
    if ports.is_some() && !matches!(protocol, Protocol::Tcp | Protocol::Udp) {
        return Err(wrong("has a rule with ports for a protocol that has none".into()));
    }
    Ok(Rule { direction, protocol, ports, range })
}

/// `22`, or `8000-9000`.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (0 < first && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rule: &[(&str, &str)]) -> Result<Vec<Rule>, BrokerError> {
        let members = rule.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        rules(&BTreeMap::from([(SECURITY_GROUP_RULES.clone(), Value::List(vec![Value::Map(members)]))]))
    }

    #[test]
    fn rules_are_read_as_rocci_writes_them() {
        let ssh = read(&[("type", "inbound"), ("protocol", "tcp"), ("port", "22"), ("range", "10.0.0.0/8")]).unwrap();
        assert_eq!(
            (ssh[0].direction, ssh[0].protocol, ssh[0].ports),
            (Direction::Inbound, Protocol::Tcp, Some((22, 22)))
        );
        let web = read(&[("type", "outbound"), ("protocol", "UDP"), ("port", "8000-9000")]).unwrap();
        assert_eq!((web[0].ports, web[0].range), (Some((8000, 9000)), None));
        assert!(read(&[("type", "inbound"), ("protocol", "all")]).is_ok());
    }

    #[test]
    fn wrong_rules_are_refused() {
        let good = [("type", "inbound"), ("protocol", "tcp")];
        for extra in [("port", "0"), ("port", "9-8"), ("port", "70000"), ("range", "10.0.0.1"), ("from", "x")] {
            assert!(read(&[good[0], good[1], extra]).is_err(), "{extra:?}");
        }
        assert!(read(&[("type", "inbound")]).is_err() && read(&[("protocol", "tcp")]).is_err());
        assert!(read(&[("type", "inbound"), ("protocol", "icmp"), ("port", "8")]).is_err());
        assert!(rules(&BTreeMap::new()).is_err());
    }
}
