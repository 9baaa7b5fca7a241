//! Networks and their addresses: what a site is asked for.

use std::{collections::BTreeMap, net::IpAddr};

use backend::{IntentTag, NetworkSpec, Subnet};
use occi_schema::{
    AttributeName, Value,
    well_known::attribute::{NETWORK_ADDRESS, NETWORK_ALLOCATION, NETWORK_GATEWAY, NETWORK_LABEL, TITLE, VLAN},
};
use uuid::Uuid;

use super::{BrokerError, compute::invalid};

/// The network for these attributes.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn network(
    attributes: &BTreeMap<AttributeName, Value>,
    id: Uuid,
    tag: IntentTag,
) -> Result<NetworkSpec, BrokerError> {
    let text = |name: &AttributeName| attributes.get(name).and_then(Value::as_str);
    let vlan = match attributes.get(&VLAN) {
        Some(Value::Integer(vlan)) => Some(u16::try_from(*vlan).map_err(|_| invalid(&VLAN, "must be 0 to 4095"))?),
        _ => None,
    };
    Ok(NetworkSpec {
        tag,
        name: text(&TITLE).map_or_else(|| id.to_string(), str::to_owned),
        vlan,
        label: text(&NETWORK_LABEL).map(str::to_owned),
        subnet: subnet(&text)?,
    })
}

fn subnet<'a>(text: &impl Fn(&AttributeName) -> Option<&'a str>) -> Result<Option<Subnet>, BrokerError> {
    let gateway = text(&NETWORK_GATEWAY).map(|gateway| address(&NETWORK_GATEWAY, gateway)).transpose()?;
    let Some(cidr) = text(&NETWORK_ADDRESS) else {
        return match gateway {
            Some(_) => Err(invalid(&NETWORK_GATEWAY, "needs occi.network.address, the network that it leads out of")),
            None => Ok(None),
        };
    };
    let (address, prefix) = range(&NETWORK_ADDRESS, cidr)?;
    if gateway.is_some_and(|gateway| !contains(address, prefix, gateway)) {
        return Err(invalid(&NETWORK_GATEWAY, "must be an address of the network"));
    }
    Ok(Some(Subnet { address, prefix, gateway, dynamic: text(&NETWORK_ALLOCATION) == Some("dynamic") }))
}

/// An IP address of either version.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn address(name: &AttributeName, text: &str) -> Result<IpAddr, BrokerError> {
    text.parse().map_err(|_| invalid(name, "must be an IPv4 or IPv6 address"))
}

/// An address and the length of its prefix: `192.168.0.0/24`.
///
/// # Errors
/// [`BrokerError::Invalid`], naming the attribute.
pub fn range(name: &AttributeName, text: &str) -> Result<(IpAddr, u8), BrokerError> {
    let (host, prefix) = text.split_once('/').ok_or_else(|| invalid(name, "must be an address, `/` and a prefix"))?;
    let host = address(name, host)?;
    let most = if host.is_ipv4() { 32 } else { 128 };
    match prefix.parse::<u8>() {
        Ok(prefix) if prefix <= most => Ok((host, prefix)),
        _ => Err(invalid(name, "must end in a prefix of 0 to 32 bits, or 128 for IPv6")),
    }
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    let ((network, is_v4), (address, also_v4)) = (bits(network), bits(address));
    is_v4 == also_v4 && network & mask == address & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(given: &[(&AttributeName, Value)]) -> Result<NetworkSpec, BrokerError> {
        let attributes = given.iter().map(|(name, value)| ((*name).clone(), value.clone())).collect();
        network(&attributes, Uuid::nil(), IntentTag(Uuid::nil()))
    }

    #[test]
    fn a_network_has_a_subnet_if_it_has_an_address() {
        assert_eq!(spec(&[]).unwrap().subnet, None);
        let dynamic = [
            (&NETWORK_ADDRESS, Value::from("192.168.7.0/24")),
            (&NETWORK_GATEWAY, Value::from("192.168.7.1")),
            (&NETWORK_ALLOCATION, Value::from("dynamic")),
        ];
        let subnet = spec(&dynamic).unwrap().subnet.unwrap();
        assert_eq!((subnet.prefix, subnet.gateway, subnet.dynamic), (24, "192.168.7.1".parse().ok(), true));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let gateway = |network: &str, gateway: &str| {
            spec(&[(&NETWORK_ADDRESS, Value::from(network)), (&NETWORK_GATEWAY, Value::from(gateway))])
        };
        assert!(gateway("10.0.0.0/8", "10.255.255.254").is_ok());
        assert!(gateway("fd00::/64", "fd00::1").is_ok());
        assert!(gateway("0.0.0.0/0", "9.9.9.9").is_ok());
        for (network, out) in [("10.0.0.0/8", "11.0.0.1"), ("10.0.0.0/8", "fd00::1"), ("fd00::/64", "fd00:1::1")] {
            assert!(gateway(network, out).is_err(), "{network} {out}");
        }
        assert!(spec(&[(&NETWORK_GATEWAY, Value::from("10.0.0.1"))]).is_err());
        for bad in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(spec(&[(&NETWORK_ADDRESS, Value::from(bad))]).is_err(), "{bad}");
        }
    }
}
