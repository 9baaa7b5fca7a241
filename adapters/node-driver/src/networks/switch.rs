//! A network's Ethernet switch: datagram sockets in the machines' directories, one pair for each interface.
//!
//! Who is where is known, not learnt: a frame that does not come from its interface's own address is dropped, so no
//! guest can speak for another one. What cannot be delivered at once is dropped, as on any Ethernet.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use backend::MacAddress;
use rustix::net::{SendFlags, SocketAddrUnix, sendto};
use tokio::{net::UnixDatagram, task::JoinHandle};

use crate::machine_directory::MachineDirectory;

/// Longer than any frame that QEMU sends without offloading.
const MOST_FRAME: usize = 16 << 10;
const HEADER: usize = 14;

/// Carries frames between its connections.
pub(crate) struct Switch {
    up: AtomicBool,
    next: AtomicU64,
    ports: Mutex<Vec<Port>>,
}

struct Port {
    number: u64,
    mac: MacAddress,
    line: Arc<Line>,
}

/// Our end of an interface's pair of sockets.
struct Line {
    socket: UnixDatagram,
    /// QEMU's end, through a descriptor: a socket's address holds at most 107 bytes.
    peer: SocketAddrUnix,
    _directory: File,
}

/// An interface at a switch; taken out when this is dropped.
pub(crate) struct Connection {
    switch: Arc<Switch>,
    number: u64,
    reader: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.switch.lock().retain(|port| port.number != self.number);
    }
}

/// The names of an interface's sockets, relative to its machine's directory: QEMU's, and the switch's.
pub(crate) fn sockets(slot: u8) -> [String; 2] {
    [format!("nic{slot}.sock"), format!("switch{slot}.sock")]
}

impl Switch {
    pub(super) fn new(up: bool) -> Arc<Self> {
        Arc::new(Self { up: AtomicBool::new(up), next: AtomicU64::default(), ports: Mutex::default() })
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    /// Connects an interface of the machine in this directory. An earlier driver's end is replaced.
    pub(crate) fn connect(
        self: &Arc<Self>,
        mac: MacAddress,
        directory: &MachineDirectory,
        slot: u8,
    ) -> io::Result<Connection> {
        let [theirs, ours] = sockets(slot);
        match fs::remove_file(directory.file(&ours)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let opened = File::open(directory.path())?;
        let place = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let socket = UnixDatagram::bind(format!("{place}/{ours}"))?;
        let peer = SocketAddrUnix::new(format!("{place}/{theirs}").as_str())?;
        let line = Arc::new(Line { socket, peer, _directory: opened });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().push(Port { number, mac, line: Arc::clone(&line) });
        let switch = Arc::clone(self);
        let reader = tokio::spawn(async move {
            let mut frame = vec![0; MOST_FRAME];
            while let Ok(length) = line.socket.recv(&mut frame).await {
                switch.forward(number, mac, &frame[..length]);
            }
        });
        Ok(Connection { switch: Arc::clone(self), number, reader })
    }

    fn forward(&self, from: u64, mac: MacAddress, frame: &[u8]) {
        // One that fills the buffer was cut off.
        if !self.up.load(Ordering::Relaxed) || frame.len() < HEADER || frame.len() == MOST_FRAME {
            return;
        }
        let (to, sender) = (&frame[..6], &frame[6..12]);
        if sender != mac.0 {
            return;
        }
        let for_many = to[0] & 1 == 1;
        let lines: Vec<_> = {
            let ports = self.lock();
            let others = ports.iter().filter(|port| port.number != from && (for_many || to == port.mac.0));
            others.map(|port| Arc::clone(&port.line)).collect()
        };
        for line in lines {
            // A full or missing interface loses it.
            let _ = sendto(&line.socket, frame, SendFlags::DONTWAIT, &line.peer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, os::unix::net::UnixDatagram, time::Duration};

    use backend::MachineId;

    use super::*;

    /// Simulates QEMU's end of an interface.
    struct Guest {
        socket: UnixDatagram,
        directory: MachineDirectory,
        mac: MacAddress,
        connection: Option<Connection>,
    }

    impl Guest {
        fn at(switch: &Arc<Switch>, root: &std::path::Path, number: u8) -> Self {
            let id: MachineId = format!("m-{number}").parse().unwrap();
            let directory = MachineDirectory::of(root, &id);
            directory.make().unwrap();
            let socket = UnixDatagram::bind(directory.file("nic0.sock")).unwrap();
            socket.set_nonblocking(true).unwrap();
            let mac = MacAddress([2, 0, 0, 0, 0, number]);
            let connection = Some(switch.connect(mac, &directory, 0).unwrap());
            Self { socket, directory, mac, connection }
        }

        fn send(&self, to: MacAddress, from: MacAddress, words: &[u8]) {
            let frame = [&to.0[..], &from.0, &[8, 0], words].concat();
            self.socket.send_to(&frame, self.directory.file("switch0.sock")).unwrap();
        }

        async fn hear(&self) -> Vec<u8> {
            let mut frame = [0; 2000];
            loop {
                match self.socket.recv(&mut frame) {
                    Ok(length) => return frame[HEADER..length].to_vec(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    const ALL: MacAddress = MacAddress([0xff; 6]);

    #[tokio::test]
    async fn frames_reach_whom_they_are_for_and_nobody_speaks_for_another() {
        let root = tempfile::tempdir().unwrap();
        let switch = Switch::new(true);
        let [mut one, two, three] = [1, 2, 3].map(|number| Guest::at(&switch, root.path(), number));
        one.send(two.mac, one.mac, b"to two");
        assert_eq!(two.hear().await, b"to two");
        one.send(ALL, one.mac, b"to all");
        // What went before, to two alone, three has not heard.
        assert_eq!((two.hear().await, three.hear().await), (b"to all".to_vec(), b"to all".to_vec()));

        one.send(two.mac, three.mac, b"forged");
        one.send(two.mac, ALL, b"forged");
        one.socket.send_to(b"short", one.directory.file("switch0.sock")).unwrap();
        one.send(two.mac, one.mac, b"honest");
        assert_eq!(two.hear().await, b"honest", "and nothing before it");

        switch.set_up(false);
        let frame = [&two.mac.0[..], &one.mac.0, &[8, 0], b"while it is down"].concat();
        switch.forward(0, one.mac, &frame);
        assert_eq!(two.socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
        switch.set_up(true);

        // A new driver's end replaces the old one.
        drop(one.connection.take());
        assert_eq!(switch.lock().len(), 2);
        one.connection = Some(switch.connect(one.mac, &one.directory, 0).unwrap());
        two.send(one.mac, two.mac, b"again");
        assert_eq!(one.hear().await, b"again");
    }
}
