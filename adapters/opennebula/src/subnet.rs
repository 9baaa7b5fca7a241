//! The addresses of a network, as ranges that the service gives out.

use std::net::{IpAddr, Ipv4Addr};

use backend::{BackendError, Subnet};

use crate::xml::Attributes;

/// Addresses that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    pub(crate) first: Ipv4Addr,
    pub(crate) count: u32,
}

/// An IPv4 network whose addresses are given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges {
    network: Ipv4Addr,
    mask: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    pub(crate) ranges: Vec<AddressRange>,
}

impl Ranges {
    /// All addresses for machines: not the network's own, not that of all, not the gateway's.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for a network without room, [`BackendError::Unsupported`] for IPv6.
    pub(crate) fn of(subnet: &Subnet) -> Result<Self, BackendError> {
        let (IpAddr::V4(address), gateway) = (subnet.address, subnet.gateway) else {
            return Err(BackendError::Unsupported("give out IPv6 addresses on a network of its own making".into()));
        };
        let gateway = match gateway {
            None => None,
            Some(IpAddr::V4(gateway)) => Some(gateway),
            Some(IpAddr::V6(_)) => {
                return Err(BackendError::Refused("the gateway of an IPv4 network must be an IPv4 address".into()));
            }
        };
        if !(8..=30).contains(&subnet.prefix) {
            let prefix = subnet.prefix;
            return Err(BackendError::Refused(format!(
                "a prefix of {prefix} bits: 8 to 30 leave a network that is one"
            )));
        }
        let mask = u32::MAX << (32 - u32::from(subnet.prefix));
        let network = u32::from(address) & mask;
        let (first, last) = (network + 1, (network | !mask) - 1);
        let inside = |gateway: &u32| (first..=last).contains(gateway);
        let ranges = match gateway.map(u32::from).filter(inside) {
            None => vec![(first, last)],
            Some(gateway) => vec![(first, gateway - 1), (gateway + 1, last)],
        };
        let ranges = ranges.into_iter().filter(|(first, last)| first <= last);
        Ok(Self {
            network: network.into(),
            mask: mask.into(),
            gateway,
            ranges: ranges.map(|(first, last)| AddressRange { first: first.into(), count: last - first + 1 }).collect(),
        })
    }

    /// Writes the network and its ranges (OpenNebula, virtual network template reference).
    pub(crate) fn write(&self, template: &mut Attributes) {
        template.set("NETWORK_ADDRESS", self.network).set("NETWORK_MASK", self.mask);
        template.set_some("GATEWAY", self.gateway);
        for range in &self.ranges {
            template.vector("AR", |ar| {
                ar.set("TYPE", "IP4").set("IP", range.first).set("SIZE", range.count);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(prefix: u8, gateway: Option<&str>) -> Vec<(String, u32)> {
        let gateway = gateway.map(|gateway| gateway.parse().unwrap());
        let subnet = Subnet { address: "10.1.2.0".parse().unwrap(), prefix, gateway, dynamic: false };
        let ranges = Ranges::of(&subnet).unwrap().ranges;
        ranges.into_iter().map(|range| (range.first.to_string(), range.count)).collect()
    }

    #[test]
    fn the_gateway_is_given_to_nobody() {
        let range = |first: &str, count| (first.to_owned(), count);
        assert_eq!(ranges(28, Some("10.1.2.1")), [range("10.1.2.2", 13)]);
        assert_eq!(ranges(28, Some("10.1.2.14")), [range("10.1.2.1", 13)]);
        assert_eq!(ranges(28, Some("10.1.2.5")), [range("10.1.2.1", 4), range("10.1.2.6", 9)]);
        assert_eq!(ranges(28, Some("10.9.9.9")), [range("10.1.2.1", 14)]);
        assert_eq!(ranges(30, None), [range("10.1.2.1", 2)]);
    }

    #[test]
    fn what_is_no_such_network_is_refused() {
        for (address, prefix) in [("10.1.2.0", 31), ("10.1.2.0", 7), ("10.1.2.0", 200), ("2001:db8::", 64)] {
            let subnet = Subnet { address: address.parse().unwrap(), prefix, gateway: None, dynamic: true };
            assert!(Ranges::of(&subnet).is_err(), "{address}/{prefix}");
        }
    }
}
