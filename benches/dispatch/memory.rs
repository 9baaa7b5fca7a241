//! What many live entities cost the server in memory. The simulated site is in another process, as sites are.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Bench, load, process,
    report::{Report, Wanted, number},
    simulator::Site,
};

const CONFIGURATION: &str =
    "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator-socket\", socket = \"SCRATCH/site.sock\" }\n";
/// Entities of one request while filling.
const BATCH: usize = 64;
const CONNECTIONS: u16 = 4;
const LIMIT: Duration = Duration::from_secs(1800);
/// Some rounds of reconciliation, which looks at all of them.
const REST: Duration = Duration::from_secs(8);
const GOAL: f64 = 300.0;

pub fn measure(bench: &Bench<'_>, report: &mut Report) {
    // More than the default's queue of a site takes is filled in.
    let policy = "[dispatch]\npolicy = \"create: active < 64 - 10 %\"\n";
    let rig = bench.rig("memory", &format!("{policy}{CONFIGURATION}"));
    let site = Site::start(&rig.scratch().join("site.sock"), Duration::ZERO);
    let server = rig.serve("a");
    let mut database = rig.database();
    let entities = bench.arguments.entities;
    let begin = process::memory(server.pid()).0;
    let one = "{\"kind\":\"http://schemas.ogf.org/occi/infrastructure#compute\",\
                \"mixins\":[\"http://occi.tombolo.local/occi/infrastructure/os_tpl#bench\"],\
                \"attributes\":{\"occi.core.title\":\"a desk\",\"occi.compute.hostname\":\"desk-7.school.example\"}}";
    let fields = [("Content-Type", "application/occi+json"), ("Accept", "text/uri-list")];
    let requests: Vec<Vec<u8>> = (0..entities)
        .step_by(BATCH)
        .map(|done| {
            let batch = vec![one; BATCH.min(entities - done)];
            rig.request("POST", "/compute/", &fields, format!("{{\"resources\":[{}]}}", batch.join(",")).as_bytes())
        })
        .collect();
    let filling = Instant::now();
    bench.runtime.block_on(load::send_all(server.address, &requests, CONNECTIONS, 201, |_| {}));
    database.settle(LIMIT);
    let filling = filling.elapsed();
    let peak_filling = process::memory(server.pid()).1;
    std::thread::sleep(REST);
    let at_rest = process::memory(server.pid()).0;
    process::reset_peak(server.pid());
    let listed = list(server.address, &rig.request("GET", "/compute/", &[("Accept", "text/plain")], b""));
    let (after, peak) = process::memory(server.pid());
    let active = database.count("SELECT count(*) AS number FROM entities WHERE state = 'active'");
    report.line(format!(
        "{entities} computes created through the API in {} s, {active} active; the server's resident memory:",
        number(filling.as_secs_f64())
    ));
    report.line(format!(
        "  empty {} MiB, most while filling {} MiB, at rest {} MiB, most while listing all {} MiB ({listed} listed), \
         afterwards {} MiB",
        number(begin),
        number(peak_filling),
        number(at_rest),
        number(peak),
        number(after),
    ));
    if let Some(complaints) = server.complaints() {
        report.line(complaints);
    }
    let valid = listed == entities && usize::try_from(active).is_ok_and(|active| active == entities);
    let most = valid.then(|| at_rest.max(after).max(peak));
    report.goal(bench.on("memory of 20,000 entities, listing included"), "MiB", Wanted::AtMost(GOAL), most);
    report.detail(
        &bench.on("memory"),
        &json!({
            "entities": entities, "empty_mib": begin, "filling_mib": peak_filling, "rest_mib": at_rest,
            "listing_mib": peak, "after_mib": after, "filling_s": filling.as_secs_f64(),
        }),
    );
    drop(site);
}

/// How many locations a list has, which is read as it comes.
fn list(address: SocketAddr, request: &[u8]) -> usize {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
    stream.write_all(request).expect("a request");
    let mut received = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    while !received.ends_with(b"\r\n0\r\n\r\n") {
        let length = stream.read(&mut chunk).expect("an answer");
        assert!(length > 0, "the server closed the connection in the middle of a list");
        received.extend_from_slice(&chunk[..length]);
    }
    // Where a chunk begins in the middle of the word, it is not found: chunks hold whole entities.
    String::from_utf8_lossy(&received).matches("X-OCCI-Location: ").count()
}
