//! Load on a server: as fast as it answers, or at a constant rate whatever it does.

use std::{
    cell::Cell,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::wire::{self, Body, Connection};

/// What a round of load brought.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Answers in a second.
    pub rate: f64,
    /// Answers in all.
    pub answers: usize,
}

/// A small generator of numbers that only have to be spread.
pub struct Spread(u64);

impl Spread {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % limit
    }
}

/// Asks on so many connections, each as soon as its last answer is there, for that long.
pub async fn closed_loop(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: u16,
    status: u16,
    time: Duration,
) -> Round {
    let answers = Cell::new(0_usize);
    let begin = Instant::now();
    let workers = (0..connections).map(|number| {
        let answers = &answers;
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            let mut spread = Spread::new(u64::from(number) + 1);
            let mut length = None;
            while begin.elapsed() < time {
                let answer = connection.ask(&requests[spread.below(requests.len())]).await.expect("an answer");
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
                // All computes of the benchmark are alike, so that a shorter answer is a wrong one.
                assert_eq!(*length.get_or_insert(answer.body.len()), answer.body.len(), "the length of an answer");
                answers.set(answers.get() + 1);
            }
        }
    });
    futures_util::future::join_all(workers).await;
    Round { rate: per_second(answers.get(), begin.elapsed()), answers: answers.get() }
}

/// Sends each request once, over so many connections. Answers the header fields of all answers, and how long it took.
pub async fn send_all(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: u16,
    status: u16,
    mut seen: impl FnMut(&wire::Answer<'_>),
) -> Duration {
    let next = Cell::new(0_usize);
    let seen = std::cell::RefCell::new(&mut seen);
    let begin = Instant::now();
    let workers = (0..connections).map(|_| {
        let (next, seen) = (&next, &seen);
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            while let Some(request) = requests.get(next.get()) {
                next.set(next.get() + 1);
                let answer = connection.ask(request).await.expect("an answer");
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
                (seen.borrow_mut())(&answer);
            }
        }
    });
    futures_util::future::join_all(workers).await;
    begin.elapsed()
}

/// Sends so many requests a second, at times that were fixed beforehand, for that long. Latencies are counted from the
/// time at which a request should have been sent, so that a stalled server cannot hide the requests that it held up.
///
/// Threads that block, since their sleep ends on time to some ten microseconds; an event loop's timer does not.
pub fn open_loop(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: u32,
    rate: u32,
    time: Duration,
) -> Vec<Duration> {
    let begin = Instant::now() + Duration::from_millis(100);
    let interval = Duration::from_secs(1) / rate;
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let requests = Arc::clone(requests);
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.set_nodelay(true).expect("a socket without delay");
                let mut spread = Spread::new(u64::from(number) + 77);
                let mut received = vec![0; 1 << 20];
                let mut latencies = Vec::new();
                let mut due = begin + interval * number;
                while due < begin + time {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    stream.write_all(&requests[spread.below(requests.len())]).expect("a request");
                    read_answer(&mut stream, &mut received);
                    latencies.push(due.elapsed());
                    due += interval * connections;
                }
                latencies
            })
        })
        .collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("a thread of the load")).collect()
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).expect("an answer");
        assert!(read > 0, "the server closed the connection");
        length += read;
        if let Some(head) = wire::head(&buffer[..length]).expect("an answer of HTTP/1.1") {
            assert_eq!(head.status, 200, "{}", String::from_utf8_lossy(&buffer[..length]));
            let Body::Length(body) = head.body else { panic!("a length was expected, not chunks") };
            if length >= head.body_at + body {
                return;
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
