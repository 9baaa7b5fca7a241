//! What a question costs in each way of asking it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    Arguments, load, process,
    report::{Report, Wanted, median, number, quantile},
    server::{Question, Server},
    way::Way,
};

/// How much more than the anonymous question one with credentials may cost.
const LIMIT: f64 = 1.15;
const CONNECTIONS: u32 = 32;
const WARM_UP: Duration = Duration::from_secs(1);

/// The rounds of one way at a constant rate.
#[derive(Default)]
struct Rounds {
    /// Processor time of the server for one request, in microseconds.
    costs: Vec<f64>,
    /// Latencies in milliseconds, from the time at which a request was due: medians and the 99th of a hundred.
    middles: Vec<f64>,
    tails: Vec<f64>,
}

impl Rounds {
    fn measure(&mut self, arguments: &Arguments, server: &Server, requests: &Arc<Vec<Vec<u8>>>) {
        let before = process::processor_time_of_threads(server.pid());
        let mut latencies = load::open_loop(server.address, requests, CONNECTIONS, arguments.rate, arguments.round());
        let spent = process::processor_time_of_threads(server.pid()).saturating_sub(before);
        latencies.sort();
        self.costs.push(1.0e6 / load::per_second(latencies.len(), spent));
        self.middles.push(quantile(&latencies, 0.5));
        self.tails.push(quantile(&latencies, 0.99));
    }

    fn json(&self) -> Value {
        json!({ "microseconds": self.costs, "p50": self.middles, "p99": self.tails })
    }
}

/// The median of what each round came to beside the same round of the other: what the machine does besides changes
/// from round to round, but hardly within one.
fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
}

/// The ways in the order of this round: each round begins with another one, so that none is always the first.
fn turns(ways: usize, round: u64) -> impl Iterator<Item = usize> {
    let first = usize::try_from(round).unwrap_or(0);
    (0..ways).map(move |way| (way + first) % ways)
}

/// Processor time and latency at the same rate.
pub fn at_a_rate(arguments: &Arguments, server: &Server, question: Question, report: &mut Report) {
    let ways = arguments.ways();
    let requests: Vec<_> = ways.iter().map(|way| Arc::new(vec![server.request(question, *way)])).collect();
    for requests in &requests {
        load::open_loop(server.address, requests, CONNECTIONS, arguments.rate, WARM_UP);
    }
    let mut sides: Vec<Rounds> = ways.iter().map(|_| Rounds::default()).collect();
    for round in 0..arguments.rounds {
        for way in turns(ways.len(), round) {
            sides[way].measure(arguments, server, &requests[way]);
        }
    }
    let anonymous = &sides[0];
    report.line(format!("GET of {} at {} a second:", question.name, arguments.rate));
    for (way, side) in ways.iter().zip(&sides) {
        report.line(format!(
            "  {:<24} {:>6} µs of processor time each ({:>4} of anonymous), p50 {} ms ({}), p99 {} ms",
            way.name(),
            number(median(&side.costs)),
            number(ratio(&side.costs, &anonymous.costs)),
            number(median(&side.middles)),
            number(ratio(&side.middles, &anonymous.middles)),
            number(median(&side.tails)),
        ));
        report.detail(&format!("{}, {}", question.name, way.name()), &side.json());
        if *way != Way::Anonymous {
            let cost = ratio(&side.costs, &anonymous.costs);
            report.goal(format!("{}: {}", question.name, way.name()), "×", Wanted::AtMost(LIMIT), Some(cost));
        }
    }
}

/// As many a second as the server answers.
pub fn at_full_speed(
    runtime: &Runtime,
    arguments: &Arguments,
    server: &Server,
    question: Question,
    report: &mut Report,
) {
    let ways = arguments.ways();
    let requests: Vec<_> = ways.iter().map(|way| vec![server.request(question, *way)]).collect();
    let mut rates: Vec<Vec<f64>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..arguments.rounds {
        for way in turns(ways.len(), round) {
            let answered = load::closed_loop(server.address, &requests[way], 32, 200, arguments.round());
            rates[way].push(runtime.block_on(answered).rate);
        }
    }
    report.line(format!("GET of {} on 32 connections:", question.name));
    for (way, side) in ways.iter().zip(&rates) {
        let (rate, part) = (number(median(side)), number(ratio(side, &rates[0])));
        report.line(format!("  {:<24} {rate:>6}/s ({part} of anonymous)", way.name()));
        report.detail(&format!("{} at full speed, {}", question.name, way.name()), &json!(side));
    }
}
