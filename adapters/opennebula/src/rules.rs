//! Rules of security groups, as the service writes them.
//!
//! Source: OpenNebula, security group template reference: `PROTOCOL`, `RULE_TYPE`, `RANGE`, `IP` and `SIZE`.

use std::net::IpAddr;

use backend::{BackendError, Direction, Protocol, Rule};

use crate::xml::{Attributes, Element};

/// The most addresses that SIZE can name; all of IPv4 are one more, and are meant by it too.
const MOST_ADDRESSES: u128 = u32::MAX as u128;
/// Rules of one group that are read.
const MOST_RULES: usize = 1000;

/// Refuses what the service has no words for.
///
/// # Errors
/// [`BackendError::Refused`], which says which rule.
pub(crate) fn check_rules(rules: &[Rule]) -> Result<(), BackendError> {
    for rule in rules {
        let has_ports = matches!(rule.protocol, Protocol::Tcp | Protocol::Udp);
        if rule.ports.is_some() && !has_ports {
            return Err(BackendError::Refused("a rule with ports: only TCP and UDP have any".into()));
        }
        if rule.ports.is_some_and(|(first, last)| first > last) {
            return Err(BackendError::Refused("a rule whose first port is above its last".into()));
        }
        let Some((address, prefix)) = rule.range else { continue };
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix > width || (address.is_ipv6() && prefix <= 96) {
            return Err(BackendError::Refused(format!(
                "a rule for {address}/{prefix}: OpenNebula counts the addresses of a rule, fewer than 2^32 of them"
            )));
        }
    }
    Ok(())
}

/// Writes the rules. ICMP for everybody is two rules, one for each IP version.
pub(crate) fn write_rules(template: &mut Attributes, rules: &[Rule]) {
    for rule in rules {
        let protocols: &[&str] = match (rule.protocol, rule.range) {
            (Protocol::Tcp, _) => &["TCP"],
            (Protocol::Udp, _) => &["UDP"],
            (Protocol::All, _) => &["ALL"],
            (Protocol::Icmp, None) => &["ICMP", "ICMPV6"],
            (Protocol::Icmp, Some((IpAddr::V4(_), _))) => &["ICMP"],
            (Protocol::Icmp, Some((IpAddr::V6(_), _))) => &["ICMPV6"],
        };
        for protocol in protocols {
            template.vector("RULE", |vector| write_rule(vector, rule, protocol));
        }
    }
}

fn write_rule(vector: &mut Attributes, rule: &Rule, protocol: &str) {
    vector.set("PROTOCOL", protocol);
    vector.set("RULE_TYPE", if rule.direction == Direction::Inbound { "inbound" } else { "outbound" });
    match rule.ports {
        Some((first, last)) if first == last => {
            vector.set("RANGE", first);
        }
        Some((first, last)) => {
            vector.set("RANGE", format!("{first}:{last}"));
        }
        None => {}
    }
    if let Some((address, prefix)) = rule.range {
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let count = 1_u128.checked_shl(u32::from(width.saturating_sub(prefix))).unwrap_or(MOST_ADDRESSES);
        vector.set("IP", address).set("SIZE", count.min(MOST_ADDRESSES));
    }
}

/// Reads the rules. One that this vocabulary has no words for (a list of ports, a type of ICMP, a whole network) is
/// left out: what is told is let through in any case.
pub(crate) fn read_rules<'a>(vectors: impl Iterator<Item = &'a Element>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut previous: Option<(&str, Rule)> = None;
    for vector in vectors.take(MOST_RULES) {
        let protocol = vector.text_of("PROTOCOL").unwrap_or_default();
        let Some(rule) = read_rule(vector, protocol) else {
            previous = None;
            continue;
        };
        // The second half of ICMP for everybody.
        let is_half = protocol.eq_ignore_ascii_case("ICMPV6")
            && previous.as_ref().is_some_and(|(protocol, other)| {
                protocol.eq_ignore_ascii_case("ICMP") && *other == rule && rule.range.is_none()
            });
        if !is_half {
            rules.push(rule.clone());
        }
        previous = Some((protocol, rule));
    }
    rules
}

fn read_rule(vector: &Element, protocol: &str) -> Option<Rule> {
    let strange = ["NETWORK_ID", "ICMP_TYPE", "ICMPV6_TYPE"];
    if strange.iter().any(|name| vector.text_of(name).is_some()) {
        return None;
    }
    let protocol = match protocol.to_ascii_uppercase().as_str() {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "ICMP" | "ICMPV6" => Protocol::Icmp,
        "ALL" => Protocol::All,
        _ => return None,
    };
    let direction = match vector.text_of("RULE_TYPE")?.to_ascii_lowercase().as_str() {
        "inbound" => Direction::Inbound,
        "outbound" => Direction::Outbound,
        _ => return None,
    };
    let ports = match vector.text_of("RANGE") {
        None => None,
        Some(range) => {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        }
    };
    let range = match vector.text_of("IP") {
        None => None,
        Some(address) => Some(read_range(address.parse().ok()?, vector.value_of("SIZE")?)?),
    };
    Some(Rule { direction, protocol, ports, range })
}

/// So many addresses from this one on, as a prefix, if they are one.
fn read_range(address: IpAddr, count: u128) -> Option<(IpAddr, u8)> {
    let width: u32 = if address.is_ipv4() { 32 } else { 128 };
    let host_bits = if count == MOST_ADDRESSES {
        32
    } else if count.is_power_of_two() {
        count.trailing_zeros()
    } else {
        return None;
    };
    Some((address, u8::try_from(width.checked_sub(host_bits)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Bounds, Template, read};

    fn rule(protocol: Protocol, ports: Option<(u16, u16)>, range: Option<(&str, u8)>) -> Rule {
        let range = range.map(|(address, prefix)| (address.parse().unwrap(), prefix));
        Rule { direction: Direction::Inbound, protocol, ports, range }
    }

    #[test]
    fn rules_are_read_as_they_were_written() {
        let rules = vec![
            rule(Protocol::Tcp, Some((22, 22)), Some(("10.0.0.0", 8))),
            rule(Protocol::Udp, Some((1, 65535)), Some(("0.0.0.0", 0))),
            rule(Protocol::Icmp, None, None),
            rule(Protocol::Icmp, None, Some(("192.0.2.7", 32))),
            rule(Protocol::Icmp, None, Some(("2001:db8::", 112))),
            Rule { direction: Direction::Outbound, ..rule(Protocol::All, None, None) },
        ];
        check_rules(&rules).unwrap();
        let text = Template::write(|template| write_rules(template, &rules)).unwrap();
        let element = read(&text, Bounds::OBJECT).unwrap();
        assert_eq!(read_rules(element.all("RULE")), rules);
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for wrong in [
            rule(Protocol::Icmp, Some((1, 1)), None),
            rule(Protocol::Tcp, Some((2, 1)), None),
            rule(Protocol::Tcp, None, Some(("2001:db8::", 64))),
            rule(Protocol::Tcp, None, Some(("10.0.0.0", 33))),
        ] {
            assert!(matches!(check_rules(&[wrong]), Err(BackendError::Refused(_))));
        }
    }
}
