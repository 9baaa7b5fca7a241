//! GET of one compute: how many a second, and how late at a constant rate.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Arguments,
    broker::Broker,
    load,
    peer::Peer,
    process,
    report::{Report, Wanted, median, number, quantile},
};

const WARM_UP: Duration = Duration::from_secs(1);
/// Requests a second at which latency is measured.
const RATE: u32 = 1000;
const LATENCY_CONNECTIONS: u32 = 32;

/// Rounds of one side.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    /// Processor time of the server for one request, in microseconds.
    costs: Vec<f64>,
}

impl Side {
    fn measure(&mut self, runtime: &Runtime, target: (SocketAddr, u32), requests: &[Vec<u8>], arguments: &Arguments) {
        let (address, pid) = target;
        let before = process::processor_time(pid);
        let round = runtime.block_on(load::closed_loop(address, requests, arguments.readers, 200, arguments.round()));
        let spent = process::processor_time(pid).saturating_sub(before);
        self.rates.push(round.rate);
        self.costs.push(1.0e6 / load::per_second(round.answers, spent));
    }

    fn show(&self, report: &mut Report, name: &str) {
        report.line(format!(
            "  {name:<8} {:>7}/s, {:>5} µs of processor time each; rounds: {}",
            number(median(&self.rates)),
            number(median(&self.costs)),
            self.rates.iter().map(|rate| number(*rate)).collect::<Vec<_>>().join(" ")
        ));
    }
}

pub fn throughput(runtime: &Runtime, arguments: &Arguments, broker: &Broker, peer: &Peer, report: &mut Report) {
    let requests = broker.reads();
    let targets = [(broker.address, broker.pid()), (peer.address, peer.pid())];
    for (address, _) in targets {
        runtime.block_on(load::closed_loop(address, &requests, arguments.readers, 200, WARM_UP));
    }
    let mut sides = [Side::default(), Side::default()];
    for _ in 0..arguments.rounds {
        for (side, target) in sides.iter_mut().zip(targets) {
            side.measure(runtime, target, &requests, arguments);
        }
    }
    let [ours, theirs] = sides;
    report.line(format!("GET of one compute on {} connections, random ones:", arguments.readers));
    ours.show(report, "tombolo");
    theirs.show(report, "peer");
    report.detail(
        "get",
        &json!({
            "connections": arguments.readers,
            "tombolo": { "rates": ours.rates, "microseconds": ours.costs },
            "peer": { "rates": theirs.rates, "microseconds": theirs.costs },
        }),
    );
    let ratio = median(&ours.rates) / median(&theirs.rates);
    report.goal("GET of one compute, part of the limit", "", Wanted::AtLeast(0.5), Some(ratio));
}

pub fn latency(arguments: &Arguments, broker: &Broker, peer: &Peer, report: &mut Report) {
    let requests = Arc::new(broker.reads());
    report.line(format!("GET of one compute at {RATE} a second, ms from the time at which it was due:"));
    let round = |address: SocketAddr, time: Duration| {
        let mut latencies = load::open_loop(address, &requests, LATENCY_CONNECTIONS, RATE, time);
        latencies.sort();
        [quantile(&latencies, 0.5), quantile(&latencies, 0.99), quantile(&latencies, 1.0)]
    };
    round(broker.address, WARM_UP);
    let mut sides = [Vec::new(), Vec::new()];
    for _ in 0..arguments.rounds {
        for (side, address) in sides.iter_mut().zip([broker.address, peer.address]) {
            side.push(round(address, arguments.round()));
        }
    }
    let mut medians = Vec::new();
    for (name, rounds) in ["tombolo", "peer"].into_iter().zip(&sides) {
        let of = |index: usize| median(&rounds.iter().map(|round| round[index]).collect::<Vec<_>>());
        let (p50, p99, max) = (of(0), of(1), of(2));
        report.line(format!("  {name:<8} p50 {}, p99 {}, max {}", number(p50), number(p99), number(max)));
        medians.push(p99);
    }
    report.line(format!("  p99 tombolo/peer = {}", number(medians[0] / medians[1])));
    report.detail("latency", &json!({ "rate": RATE, "tombolo": sides[0], "peer": sides[1] }));
    report.goal("p99 at 1000 requests a second", "ms", Wanted::AtMost(10.0), Some(medians[0]));
}
