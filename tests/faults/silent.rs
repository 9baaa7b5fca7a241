//! F2: a site whose address swallows every attempt to connect.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::world::World;

/// More attempts at once would mean that they pile up.
const MOST_ATTEMPTS: usize = 8;
const MACHINES: usize = 10;

/// An address that answers no SYN: it listens, and its queue is full of connections that nobody accepts.
struct Swallower {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Swallower {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(400)) {
            queued.push(connection);
            assert!(queued.len() < 64, "the queue is never full");
        }
        Self { address, _listener: listener, _queued: queued }
    }

    /// How many attempts to connect are under way.
    fn attempts(&self) -> usize {
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let is_attempt = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&port)) && fields.get(3) == Some(&"02")
        };
        table.lines().filter(is_attempt).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_a_site_that_swallows_connections_holds_up_no_other_on_sqlite() {
    let swallower = Swallower::new();
    let far = format!(
        "[[site]]\nname = \"far\"\nadapter = {{ kind = \"node\", url = \"http://{}\", token = \"{}\" }}\n",
        swallower.address, "sixteen characters at least"
    );
    let mut world = World::with(1, None, &far).await;
    let began = Instant::now();
    world.start_all();
    let start = began.elapsed();
    let mut most = 0;
    let mut slowest = Duration::ZERO;
    for _ in 0..MACHINES {
        let began = Instant::now();
        let machine = world.order_machine().await;
        world.arrive(&machine, "active").await;
        slowest = slowest.max(began.elapsed());
        most = most.max(swallower.attempts());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(most <= MOST_ATTEMPTS, "{most} attempts to connect are under way at once");
    let mut tally = world.check().await;
    assert_eq!(world.simulator.machine_count(), MACHINES);
    let began = Instant::now();
    assert!(world.interrupt(0).success());
    tally.seconds("start of the server, s", start);
    tally.seconds("slowest machine at the other site, s", slowest);
    tally.seconds("end of the server, s", began.elapsed());
    tally.figure("most attempts at once", most);
    tally.report("F2", "sqlite");
}
