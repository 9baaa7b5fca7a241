use std::{
    collections::BTreeSet,
    net::{IpAddr, TcpListener},
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use crate::NodeError;

/// The TCP ports of this host that may be forwarded to guests.
pub(crate) struct Ports {
    host: IpAddr,
    range: RangeInclusive<u16>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    leased: BTreeSet<u16>,
    last: Option<u16>,
}

/// A port that no other machine of this node is given while the lease lives.
pub(crate) struct PortLease {
    ports: Arc<Ports>,
    port: u16,
}

impl Ports {
    pub(crate) fn new(host: IpAddr, range: RangeInclusive<u16>) -> Arc<Self> {
        Arc::new(Self { host, range, ledger: Mutex::default() })
    }

    /// A free port: the wanted one if it can be had, else the next after the one given last, so that a port
    /// whose machine was just deleted is not soon somebody else's.
    ///
    /// # Errors
    /// [`NodeError::NoRoom`] when none is free.
    pub(crate) fn lease(self: &Arc<Self>, wanted: Option<u16>) -> Result<PortLease, NodeError> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, end) = (*self.range.start(), *self.range.end());
        let after = ledger.last.map_or(first, |last| last.saturating_add(1));
        let wanted = wanted.filter(|port| self.range.contains(port));
        let turn = (after.max(first)..=end).chain(first..=end);
        let port = wanted
            .into_iter()
            .chain(turn)
            .find(|port| !ledger.leased.contains(port) && self.is_free(*port))
            .ok_or_else(|| {
                NodeError::NoRoom(format!("no free port among {first}-{end} on {}: widen the node's range", self.host))
            })?;
        ledger.leased.insert(port);
        ledger.last = Some(port);
        Ok(PortLease { ports: Arc::clone(self), port })
    }

    /// For a machine that holds the port already.
    pub(crate) fn adopt(self: &Arc<Self>, port: u16) -> PortLease {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).leased.insert(port);
        PortLease { ports: Arc::clone(self), port }
    }

    pub(crate) fn host(&self) -> IpAddr {
        self.host
    }

    // Somebody outside may still be quicker than QEMU: the launch then fails and takes the next port.
    fn is_free(&self, port: u16) -> bool {
        TcpListener::bind((self.host, port)).is_ok()
    }

    /// How many ports of the range can be had at present.
    pub(crate) fn count_free(&self) -> usize {
        self.range.clone().filter(|port| self.is_free(*port)).count()
    }
}

impl PortLease {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.ledger.lock().unwrap_or_else(PoisonError::into_inner).leased.remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    use super::Ports;
    use crate::NodeError;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A listener on a port with a free neighbour, below the ephemeral range's end.
    fn taken_port() -> TcpListener {
        loop {
            let listener = TcpListener::bind((HOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            if port < u16::MAX && TcpListener::bind((HOST, port + 1)).is_ok() {
                return listener;
            }
        }
    }

    #[test]
    fn taken_ports_are_passed_over_and_come_back() {
        let taken = taken_port();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports::new(HOST, port..=port + 1);
        let lease = ports.lease(Some(port)).unwrap();
        assert_eq!(lease.port(), port + 1, "the wanted port is taken by somebody outside");
        assert!(matches!(ports.lease(None), Err(NodeError::NoRoom(_))), "none is left");
        drop((lease, taken));
        assert_eq!(ports.lease(Some(port)).unwrap().port(), port);
    }

    #[test]
    fn a_port_outside_the_range_is_never_given() {
        let taken = taken_port();
        let port = taken.local_addr().unwrap().port() + 1;
        let ports = Ports::new(HOST, port..=port);
        assert_eq!(ports.lease(Some(1)).unwrap().port(), port);
    }
}
