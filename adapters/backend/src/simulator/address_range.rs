//! Which addresses of a subnet machines may have.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use crate::{BackendError, Subnet};

pub(super) struct AddressRange {
    ipv6: bool,
    usable: RangeInclusive<u128>,
    gateway: Option<IpAddr>,
}

impl AddressRange {
    /// Checks the subnet on the way. Bits of its address behind the prefix do not matter.
    pub(super) fn of(subnet: &Subnet) -> Result<Self, BackendError> {
        let (ipv6, bits) = (subnet.address.is_ipv6(), if subnet.address.is_ipv6() { 128 } else { 32 });
        let Some(host_bits) = u32::checked_sub(bits, subnet.prefix.into()) else {
            return Err(BackendError::Refused(format!(
                "a prefix of {} bits is longer than the {bits} of {}",
                subnet.prefix, subnet.address
            )));
        };
        let hosts = 1_u128.checked_shl(host_bits).map_or(u128::MAX, |count| count - 1);
        let first = number(subnet.address) & !hosts;
        let last = first | hosts;
        let usable = match (ipv6, host_bits) {
            // Links between two, and single addresses, have neither a network's address nor a broadcast (RFC 3021).
            (false, 0 | 1) | (true, 0) => first..=last,
            (false, _) => first + 1..=last - 1,
            // The first address is every router's (RFC 4291 section 2.6.1).
            (true, _) => first + 1..=last,
        };
        let range = Self { ipv6, usable, gateway: subnet.gateway };
        if let Some(gateway) = subnet.gateway
            && !range.includes(gateway)
        {
            return Err(BackendError::Refused(format!(
                "the gateway {gateway} is no address of {}/{}",
                subnet.address, subnet.prefix
            )));
        }
        Ok(range)
    }

    fn includes(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.ipv6 && self.usable.contains(&number(address))
    }

    /// Whether a machine may have it.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.includes(address) && self.gateway != Some(address)
    }

    /// The first address that nobody has.
    pub(super) fn free(&self, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        let mut taken = taken.iter().map(|address| number(*address)).peekable();
        // Both go upwards, and it ends after as many steps as there are taken ones, and the gateway.
        let free = self.usable.clone().find(|number| {
            while taken.next_if(|taken| taken < number).is_some() {}
            taken.peek() != Some(number) && self.admits(address(*number, self.ipv6))
        });
        free.map(|number| address(number, self.ipv6))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(number: u128, ipv6: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if !ipv6 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(address: &str, prefix: u8, gateway: Option<&str>) -> Subnet {
        let gateway = gateway.map(|gateway| gateway.parse().unwrap());
        Subnet { address: address.parse().unwrap(), prefix, gateway, dynamic: true }
    }

    fn handed_out(subnet: &Subnet, most: usize) -> Vec<String> {
        let range = AddressRange::of(subnet).unwrap();
        let mut taken = BTreeSet::new();
        while let Some(address) = range.free(&taken).filter(|_| taken.len() < most) {
            taken.insert(address);
        }
        taken.into_iter().map(|address| address.to_string()).collect()
    }

    #[test]
    fn network_gateway_and_broadcast_are_never_handed_out() {
        let small = subnet("192.0.2.5", 30, Some("192.0.2.5"));
        assert_eq!(handed_out(&small, 9), ["192.0.2.6"]);
        let six = subnet("2001:db8::", 126, Some("2001:db8::2"));
        assert_eq!(handed_out(&six, 9), ["2001:db8::1", "2001:db8::3"]);
    }

    #[test]
    fn the_smallest_and_the_largest_ranges_do_not_overflow() {
        assert_eq!(handed_out(&subnet("192.0.2.4", 32, None), 9), ["192.0.2.4"]);
        assert_eq!(handed_out(&subnet("192.0.2.4", 31, None), 9), ["192.0.2.4", "192.0.2.5"]);
        assert_eq!(handed_out(&subnet("2001:db8::7", 128, None), 9), ["2001:db8::7"]);
        assert_eq!(handed_out(&subnet("0.0.0.0", 0, None), 2), ["0.0.0.1", "0.0.0.2"]);
        assert_eq!(handed_out(&subnet("::", 0, None), 2), ["::1", "::2"]);
        assert_eq!(handed_out(&subnet("255.255.255.255", 31, None), 9), ["255.255.255.254", "255.255.255.255"]);
    }

    #[test]
    fn what_cannot_be_a_subnet_is_refused() {
        for wrong in [
            subnet("192.0.2.0", 33, None),
            subnet("2001:db8::", 129, None),
            subnet("192.0.2.0", 24, Some("192.0.3.1")),
            subnet("192.0.2.0", 24, Some("192.0.2.255")),
            subnet("192.0.2.0", 24, Some("2001:db8::1")),
        ] {
            assert!(matches!(AddressRange::of(&wrong), Err(BackendError::Refused(_))), "{wrong:?}");
        }
    }
}
