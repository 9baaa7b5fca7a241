//! F35: those who follow `/events` and do not read what they are sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::world::World;

const STALLED: usize = 40;
const VOLUMES: usize = 150;
/// What all that is read ahead for those who stall may take of memory together.
const MOST_MEMORY_KIB: u64 = 96 * 1024;

/// A consumer that reads when it wants to.
struct Consumer(BufReader<TcpStream>);

impl Consumer {
    /// Follows from this place on; the kernel keeps little for it.
    fn of(world: &World, after: i64) -> Self {
        let address = world.server(0).base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let token = &world.token;
        write!(
            stream,
            "GET /events?after=0 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Accept: text/event-stream\r\nLast-Event-ID: {after}\r\n\r\n"
        )
        .unwrap();
        Self(BufReader::with_capacity(512, stream))
    }

    /// The place of the next event.
    fn next(&mut self) -> i64 {
        loop {
            let mut line = Vec::new();
            // Borders of chunks stand on lines of their own, and look like no field.
            self.0.by_ref().take(1 << 20).read_until(b'\n', &mut line).unwrap();
            assert!(!line.is_empty(), "the stream has ended");
            if let Some(place) = String::from_utf8_lossy(&line).trim().strip_prefix("id: ") {
                return place.parse().unwrap();
            }
        }
    }

    fn up_to(&mut self, last: i64) -> Vec<i64> {
        let mut places = vec![self.next()];
        while *places.last().unwrap() < last {
            places.push(self.next());
        }
        places
    }
}

fn memory_kib(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.server(0).pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_consumers_that_stall_cost_little_and_miss_nothing_on_sqlite() {
    let mut world = World::on_sqlite().await;
    world.start_all();
    world.order_volume().await;
    world.settle().await;
    let mut slow = Consumer::of(&world, 0);
    let first = slow.next();
    let _stalled: Vec<Consumer> = (0..STALLED).map(|_| Consumer::of(&world, 0)).collect();
    let before = memory_kib(&world);
    for _ in 0..VOLUMES {
        world.order_volume().await;
    }
    world.settle().await;
    world
        .until("all events have their places", |world| {
            world.database.query("SELECT count(*) FROM events WHERE position IS NULL") == "0"
        })
        .await;
    let grown = memory_kib(&world).saturating_sub(before);
    assert!(grown < MOST_MEMORY_KIB, "{STALLED} consumers that stall cost {grown} KiB");
    let project = "project_id = (SELECT id FROM projects WHERE name = 'physics')";
    let places = world.database.query(&format!("SELECT position FROM events WHERE {project} ORDER BY position"));
    let places: Vec<i64> = places.lines().map(|line| line.parse().unwrap()).collect();
    let last = *places.last().unwrap();
    assert_eq!(places[0], first);
    // It goes on where it stalled; then it is cut off, and another one goes on where that was.
    let half = places[places.len() / 2];
    let mut read = vec![first];
    read.extend(slow.up_to(half));
    drop(slow);
    read.extend(Consumer::of(&world, half).up_to(last));
    assert_eq!(read, places, "every event once, in order");
    let mut tally = world.check().await;
    tally.figure("events", places.len());
    tally.figure("memory for 40 that stall, KiB", grown);
    tally.report("F35", "sqlite");
}
