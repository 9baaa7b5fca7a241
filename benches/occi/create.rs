//! Creation of computes one by one: accepted durably, with their saga, while the sagas before them run.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Arguments,
    broker::Broker,
    load,
    peer::Peer,
    process,
    report::{Report, Wanted, median, number},
};

/// How long the disk is asked.
const DISK_TIME: Duration = Duration::from_secs(1);

pub fn measure(runtime: &Runtime, arguments: &Arguments, broker: &Broker, peer: &Peer, report: &mut Report) {
    let request = [broker.create()];
    let connections = arguments.writers;
    let before = broker.provisions();
    let (mut accepted, mut rates, mut peer_rates, mut settling, mut costs) = (0, vec![], vec![], vec![], vec![]);
    for _ in 0..arguments.rounds {
        let spent = process::processor_time(broker.pid());
        let round = runtime.block_on(load::closed_loop(broker.address, &request, connections, 201, arguments.round()));
        let spent = process::processor_time(broker.pid()).saturating_sub(spent);
        costs.push(1.0e6 / load::per_second(round.answers, spent));
        accepted += round.answers;
        rates.push(round.rate);
        // The next round begins with an empty queue, so that rounds are alike.
        settling.push(runtime.block_on(broker.settle()).as_secs_f64());
        let round = runtime.block_on(load::closed_loop(peer.address, &request, connections, 200, arguments.round()));
        peer_rates.push(round.rate);
    }
    let written = broker.provisions() - before;
    assert_eq!(written, accepted, "a saga in the database for each 201, and none without");
    let syncs = disk_syncs(broker);
    let (rate, peer_rate) = (median(&rates), median(&peer_rates));
    report.line(format!("POST of one compute on {connections} connections, durable, with its saga:"));
    report.line(format!(
        "  tombolo  {:>7}/s, {} µs of processor time each; rounds: {}; sagas done {} s after the last answer",
        number(rate),
        number(median(&costs)),
        rates.iter().map(|rate| number(*rate)).collect::<Vec<_>>().join(" "),
        settling.iter().map(|time| number(*time)).collect::<Vec<_>>().join(" "),
    ));
    report.line(format!("  accepted {accepted}, sagas in the database {written}"));
    report.line(format!(
        "  peer     {:>7}/s, which writes nothing: tombolo/peer = {}",
        number(peer_rate),
        number(rate / peer_rate)
    ));
    report.line(format!(
        "  the disk {:>7} syncs/s of one page: creates for each sync = {}",
        number(syncs),
        number(rate / syncs)
    ));
    let complaints = broker.complaints();
    if !complaints.is_empty() {
        report.line(format!("the server complained:\n{complaints}"));
    }
    report.detail(
        "create",
        &json!({
            "connections": connections, "rates": rates, "settling": settling, "accepted": accepted,
            "sagas": written, "peer_rates": peer_rates, "disk_syncs": syncs, "microseconds": costs,
        }),
    );
    report.goal("creates a second, durable, with saga", "/s", Wanted::AtLeast(1000.0), Some(rate));
}

/// How often a page can be made durable in a second, one after the other, where the database lies.
fn disk_syncs(broker: &Broker) -> f64 {
    let mut file = std::fs::File::create(broker.scratch().join("sync")).expect("a file in the scratch directory");
    let page = [7_u8; 4096];
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < DISK_TIME {
        file.write_all(&page).expect("a written page");
        file.sync_data().expect("a synced page");
        count += 1;
    }
    load::per_second(count, begin.elapsed())
}
