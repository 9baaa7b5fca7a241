//! What a network may be, and what an interface on it gets.

use std::net::IpAddr;

use backend::{InterfaceSpec, MacAddress, MachineId, NetworkSpec, Subnet};

use super::card::{Member, NetworkCard};
use crate::NodeError;

const MOST_TEXT_BYTES: usize = 1024;

/// # Errors
/// [`NodeError::Refused`] for a network that cannot be.
pub(super) fn check(spec: &NetworkSpec) -> Result<(), NodeError> {
    let refused = |problem: String| Err(NodeError::Refused(problem));
    if spec.name.len() > MOST_TEXT_BYTES || spec.label.as_ref().is_some_and(|label| label.len() > MOST_TEXT_BYTES) {
        return refused(format!("a network's name and label have at most {MOST_TEXT_BYTES} bytes"));
    }
    if let Some(vlan) = spec.vlan.filter(|vlan| *vlan > 4095) {
        return refused(format!("{vlan} is no VLAN: 0 to 4095 are"));
    }
    let Some(subnet) = &spec.subnet else { return Ok(()) };
    if subnet.prefix > length(subnet.address) {
        return refused(format!("a prefix of {} bits is longer than the address {}", subnet.prefix, subnet.address));
    }
    match subnet.gateway {
        Some(gateway) if !holds(subnet, gateway) => {
            refused(format!("the gateway {gateway} is not in {}/{}", subnet.address, subnet.prefix))
        }
        _ => Ok(()),
    }
}

fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn holds(subnet: &Subnet, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let host = u32::from(length(address).saturating_sub(subnet.prefix));
    let network = |address| bits(address).checked_shr(host).unwrap_or(0);
    subnet.address.is_ipv4() == address.is_ipv4() && network(subnet.address) == network(address)
}

/// What the machine's interface gets. Wishes are granted or refused; `others` are all interfaces of the node.
///
/// # Errors
/// [`NodeError::NetworkConflict`] for what another one has, [`NodeError::Refused`] for what nobody can have.
pub(super) fn grant(
    card: &NetworkCard,
    others: &[Member],
    machine: &MachineId,
    wish: &InterfaceSpec,
) -> Result<Member, NodeError> {
    let conflict = |state: String| Err(NodeError::NetworkConflict { asked: "plug into", id: card.id.clone(), state });
    let mac = match wish.mac {
        Some(mac) if mac.0[0] & 1 == 1 || mac.0 == [0; 6] => {
            return Err(NodeError::Refused(format!("{mac} is not the address of one interface")));
        }
        Some(mac) => mac,
        None => mac_for(wish),
    };
    if others.iter().any(|other| other.mac == mac) {
        return conflict(format!("without {mac}, which another interface has"));
    }
    if let Some(address) = wish.address {
        let subnet = card.spec.subnet.as_ref();
        if subnet.is_some_and(|subnet| !holds(subnet, address)) {
            return Err(NodeError::Refused(format!("{address} is no address of network {}", card.id)));
        }
        let is_gateway = subnet.is_some_and(|subnet| subnet.gateway == Some(address));
        if is_gateway || card.members.iter().any(|member| member.address == Some(address)) {
            return conflict(format!("without {address}, which is used already"));
        }
    }
    Ok(Member { machine: machine.clone(), tag: wish.tag, mac, address: wish.address })
}

/// Administered by us [IEEE 802, 8.4], another first byte than machines' own interfaces have.
fn mac_for(wish: &InterfaceSpec) -> MacAddress {
    let hash = blake3::hash(wish.tag.0.as_bytes());
    let [a, b, c, d, e, ..] = *hash.as_bytes();
    MacAddress([0x56, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use backend::{IntentTag, InterfaceTarget, NetworkId};
    use uuid::Uuid;

    use super::*;

    fn network() -> NetworkCard {
        let subnet = Subnet {
            address: "10.1.2.0".parse().unwrap(),
            prefix: 28,
            gateway: "10.1.2.1".parse().ok(),
            dynamic: false,
        };
        let tag = IntentTag(Uuid::from_u128(1));
        let spec = NetworkSpec { tag, name: "n".into(), vlan: Some(7), label: None, subnet: Some(subnet) };
        check(&spec).unwrap();
        NetworkCard::new("n-1".parse::<NetworkId>().unwrap(), spec)
    }

    fn wish(mac: Option<&str>, address: Option<&str>) -> InterfaceSpec {
        InterfaceSpec {
            tag: IntentTag(Uuid::now_v7()),
            target: InterfaceTarget::Network("n-1".parse().unwrap()),
            mac: mac.map(|mac| mac.parse().unwrap()),
            address: address.map(|address| address.parse().unwrap()),
        }
    }

    #[test]
    fn impossible_networks_are_refused() {
        let good = network().spec;
        let subnet = good.subnet.clone().unwrap();
        for bad in [
            NetworkSpec { vlan: Some(4096), ..good.clone() },
            NetworkSpec { name: "n".repeat(2000), ..good.clone() },
            NetworkSpec { subnet: Some(Subnet { prefix: 33, ..subnet.clone() }), ..good.clone() },
            NetworkSpec {
                subnet: Some(Subnet { gateway: "10.1.2.17".parse().ok(), ..subnet.clone() }),
                ..good.clone()
            },
            NetworkSpec { subnet: Some(Subnet { gateway: "fe80::1".parse().ok(), ..subnet.clone() }), ..good.clone() },
        ] {
            assert!(matches!(check(&bad), Err(NodeError::Refused(_))), "{bad:?}");
        }
        check(&NetworkSpec { subnet: Some(Subnet { prefix: 0, ..subnet }), ..good }).unwrap();
    }

    #[test]
    fn wishes_are_granted_or_refused() {
        let (mut card, machine) = (network(), "m-1".parse().unwrap());
        let wished = wish(Some("02:00:00:00:00:01"), Some("10.1.2.9"));
        let member = grant(&card, &[], &machine, &wished).unwrap();
        assert_eq!((Some(member.mac), member.address), (wished.mac, wished.address));
        card.members.push(member);
        let others = card.members.clone();
        for (mac, address) in [(Some("02:00:00:00:00:01"), None), (None, Some("10.1.2.9")), (None, Some("10.1.2.1"))] {
            let refused = grant(&card, &others, &machine, &wish(mac, address));
            assert!(matches!(refused, Err(NodeError::NetworkConflict { .. })), "{refused:?}");
        }
        for (mac, address) in [
            (Some("03:00:00:00:00:01"), None),
            (Some("00:00:00:00:00:00"), None),
            (None, Some("10.1.2.16")),
            (None, Some("::1")),
        ] {
            let refused = grant(&card, &others, &machine, &wish(mac, address));
            assert!(matches!(refused, Err(NodeError::Refused(_))), "{refused:?}");
        }
        let free = grant(&card, &others, &machine, &wish(None, None)).unwrap();
        assert_eq!((free.mac.0[0] & 0b11, free.address), (0b10, None), "local, not multicast");
    }
}
