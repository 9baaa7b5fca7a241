//! A list of all computes: when it starts, when it ends, and how much memory it costs.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Arguments,
    broker::Broker,
    process,
    report::{Report, Wanted, median, milliseconds, number},
    wire::{self, Body},
};

/// Renderings, and what stands once in them for each compute.
const RENDERINGS: [(&str, &str); 3] = [
    ("text/plain", "X-OCCI-Location: "),
    ("text/uri-list", "http://"),
    ("application/occi+json", "\"occi.compute.state\""),
];
/// How long the server may keep us waiting for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// One list, as it came.
struct List {
    status: u16,
    first_byte: Duration,
    total: Duration,
    bytes: usize,
    entries: usize,
}

pub fn measure(arguments: &Arguments, broker: &Broker, report: &mut Report) {
    let count = broker.paths.len();
    let (before, _) = process::memory(broker.pid());
    report.line(format!("list of {count} computes, {before:.0} MiB resident before:"));
    let mut peak_of_all: f64 = 0.0;
    let mut slowest_start: Option<f64> = Some(0.0);
    let mut details = Vec::new();
    for (media, mark) in RENDERINGS {
        let request = broker.request("GET", "/compute/", &[("Accept", media)], b"");
        process::reset_peak(broker.pid());
        let lists: Vec<List> = (0..arguments.rounds).map(|_| list(broker, &request, mark)).collect();
        let (_, peak) = process::memory(broker.pid());
        peak_of_all = peak_of_all.max(peak);
        let of = |part: fn(&List) -> Duration| median(&lists.iter().map(|l| milliseconds(part(l))).collect::<Vec<_>>());
        let (first, total) = (of(|list| list.first_byte), of(|list| list.total));
        let last = &lists[lists.len() - 1];
        let whole = lists.iter().all(|list| list.status == 200 && list.entries == count);
        // What is not answered in full has not been measured.
        slowest_start = slowest_start.filter(|_| whole).map(|slowest| slowest.max(first));
        report.line(format!(
            "  {media:<22} status {}, {} of {count} entries, {} KiB: first byte {} ms, all {} ms, peak {peak:.0} MiB",
            last.status,
            last.entries,
            last.bytes >> 10,
            number(first),
            number(total),
        ));
        details.push(json!({
            "media": media, "status": last.status, "entries": last.entries, "bytes": last.bytes, "first_ms": first,
            "total_ms": total, "peak_mib": peak,
        }));
    }
    report.detail("list", &details.into());
    report.goal("list of all starts within", "ms", Wanted::AtMost(50.0), slowest_start);
    report.goal("resident memory while listing", "MiB", Wanted::AtMost(150.0), slowest_start.map(|_| peak_of_all));
}

fn list(broker: &Broker, request: &[u8], mark: &str) -> List {
    let mut stream = TcpStream::connect(broker.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let begin = Instant::now();
    stream.write_all(request).expect("a request");
    let mut received = Vec::with_capacity(32 << 20);
    let mut chunk = vec![0; 256 << 10];
    let mut read = |received: &mut Vec<u8>| {
        let length = stream.read(&mut chunk).expect("an answer");
        assert!(length > 0, "the server closed the connection in the middle of a list");
        received.extend_from_slice(&chunk[..length]);
    };
    let head = loop {
        read(&mut received);
        if let Some(head) = wire::head(&received).expect("an answer of HTTP/1.1") {
            break head;
        }
    };
    while received.len() == head.body_at && head.body != Body::Length(0) {
        read(&mut received);
    }
    let first_byte = begin.elapsed();
    let is_whole = |received: &[u8]| match head.body {
        Body::Length(length) => received.len() >= head.body_at + length,
        Body::Chunked => received.ends_with(b"\r\n0\r\n\r\n"),
    };
    while !is_whole(&received) {
        read(&mut received);
    }
    let total = begin.elapsed();
    let body = match head.body {
        Body::Length(_) => received.split_off(head.body_at),
        Body::Chunked => joined(&received[head.body_at..]),
    };
    let text = String::from_utf8(body).expect("a list of text");
    List { status: head.status, first_byte, total, bytes: text.len(), entries: text.matches(mark).count() }
}

/// A body without its chunk lines (RFC 9112 section 7.1).
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(chunks.len());
    loop {
        let line = wire::find(chunks, b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&chunks[..line]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk's size in hexadecimal digits");
        if size == 0 {
            return body;
        }
        let begin = line + 2;
        body.extend_from_slice(&chunks[begin..begin + size]);
        chunks = &chunks[begin + size + 2..];
    }
}
