use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Network;

/// From which addresses anything is fetched. Who names an address to us must not reach by it what only we can reach.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Whether this host itself and private networks are reached too.
    pub private: bool,
    /// Networks that are reached too, whatever they are.
    pub networks: Vec<Network>,
}

/// What an address is that is no part of the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Realm {
    Internet,
    /// Loopback, or private.
    Private,
    /// Never the place of a server that anybody should name to us: link-local ones (where clouds have their metadata),
    /// multicast, unspecified, reserved.
    Odd,
}

impl Reach {
    /// Whether something may be fetched from there.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        if self.networks.iter().any(|network| network.has(address)) {
            return Ok(());
        }
        match realm(address) {
            Realm::Internet => Ok(()),
            Realm::Private if self.private => Ok(()),
            Realm::Private => Err("is an address of this host or of a private network"),
            Realm::Odd => Err("is no address of a server"),
        }
    }
}

fn realm(address: IpAddr) -> Realm {
    match address {
        IpAddr::V4(address) => realm_v4(address),
        IpAddr::V6(address) => realm_v6(address),
    }
}

/// The special-purpose registry of IANA (RFC 6890).
fn realm_v4(address: Ipv4Addr) -> Realm {
    match address.octets() {
        // The metadata service of one cloud lies within the networks of providers.
        [100, 100, 100, 200] => Realm::Odd,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Realm::Private,
        [0 | 224.., ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => Realm::Odd,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Realm::Odd,
        _ => Realm::Internet,
    }
}

/// What is not in `2000::/3` was given to nobody (RFC 4291 section 2.4), or has another use. Those that carry an IPv4
/// address are what that is.
fn realm_v6(address: Ipv6Addr) -> Realm {
    let words = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        realm_v4(Ipv4Addr::new(a, b, c, d))
    };
    match words {
        [0, 0, 0, 0, 0, 0, 0, 1] => Realm::Private,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // The metadata service of one cloud.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Realm::Odd,
        [0xfc00..=0xfdff, ..] => Realm::Private,
        // Teredo, benchmarks, ORCHID; documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Realm::Odd,
        [0x2000..=0x3fff, ..] => Realm::Internet,
        _ => Realm::Odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: &Reach, address: &str) -> bool {
        reach.check(address.parse().unwrap()).is_ok()
    }

    const PRIVATE: [&str; 13] = [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "fc00::1",
        "fd12:3456::1",
        "64:ff9b::7f00:1",
    ];
    const ODD: [&str; 24] = [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "2001:db8::1",
        "2001::1",
        "2002:a9fe:a9fe::1",
        "100::1",
    ];

    #[test]
    fn a20_what_is_not_the_internet_is_not_reached() {
        let reach = Reach::default();
        for address in PRIVATE.into_iter().chain(ODD) {
            assert!(!check(&reach, address), "{address}");
        }
        assert!(!check(&reach, "2002:7f00:1::1") && !check(&reach, "2002:c0a8:1::1") && !check(&reach, "4000::1"));
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.1.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(check(&reach, address), "{address}");
        }
    }

    #[test]
    fn a20_leave_for_private_networks_is_no_leave_for_metadata() {
        let reach = Reach { private: true, ..Reach::default() };
        assert!(PRIVATE.into_iter().all(|address| check(&reach, address)));
        for address in ODD {
            assert!(!check(&reach, address), "{address}");
        }
        let reach = Reach { networks: vec!["10.1.0.0/16".parse().unwrap()], ..Reach::default() };
        assert!(check(&reach, "10.1.2.3") && check(&reach, "::ffff:10.1.2.3") && !check(&reach, "10.2.0.1"));
    }
}
