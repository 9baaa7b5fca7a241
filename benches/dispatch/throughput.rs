//! Creates through the simulator, from the first POST until the last saga is done.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    Bench, capacity, load, process,
    report::{Report, Wanted, number},
};

/// The policy is the default, the simulator a part of the server.
const CONFIGURATION: &str = "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot_milliseconds = 0 }\n";
const CONNECTIONS: u16 = 32;
const LIMIT: Duration = Duration::from_secs(1800);
/// The goal, for as many creates as are wanted by it.
const GOAL_SECONDS: f64 = 60.0;
const GOAL_CREATES: f64 = 6000.0;
/// What a create has to be written down in, one after the other: accepted, image delivered, made, running. That it is
/// begun is written for many at once.
const TRANSACTIONS_OF_ONE: usize = 4;

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub fn measure(bench: &Bench<'_>, report: &mut Report) {
    let creates = bench.arguments.creates;
    let rig = bench.rig("throughput", CONFIGURATION);
    let server = rig.serve("a");
    let mut database = rig.database();
    let beside = capacity::of_database(&mut database);
    let alone = capacity::of_simulator(bench.runtime, creates);
    let requests = vec![rig.create(); creates];
    let server_time = process::processor_time(server.pid());
    let written = process::written_bytes(server.pid());
    let database_time = bench.postgres.map(|postgres| postgres.processor_time());
    let (transactions, log) = (database.transactions(), database.log_bytes());
    let begin = Instant::now();
    let accepting =
        bench.runtime.block_on(load::send_all(server.address, &requests, CONNECTIONS, 201, |_| {})).as_secs_f64();
    database.settle(LIMIT);
    let took = begin.elapsed().as_secs_f64();
    let server_time = process::processor_time(server.pid()).saturating_sub(server_time).as_secs_f64();
    let database_time = bench
        .postgres
        .zip(database_time)
        .map(|(postgres, before)| postgres.processor_time().saturating_sub(before).as_secs_f64());
    let written = process::written_bytes(server.pid()).saturating_sub(written);
    // The database's counters are written down by its processes a second later.
    std::thread::sleep(Duration::from_secs(2));
    let transactions = database.transactions().zip(transactions).map(|(after, before)| after - before);
    let log = database.log_bytes().zip(log).map(|(after, before)| after - before);
    let done = "SELECT count(*) AS number FROM sagas WHERE name = 'provision' AND state = 'done'";
    let done = usize::try_from(database.count(done)).unwrap_or(0);
    let active = "SELECT count(*) AS number FROM entities WHERE state = 'active'";
    let active = usize::try_from(database.count(active)).unwrap_or(0);
    let rate = creates as f64 / took;
    let least = (TRANSACTIONS_OF_ONE * creates) as f64 / beside;
    report.line(format!("{creates} creates on {CONNECTIONS} connections:"));
    report.line(format!(
        "  accepted in {} s, {}/s; all done after {} s, {}/s; {done} sagas done, {active} active",
        number(accepting),
        number(creates as f64 / accepting),
        number(took),
        number(rate),
    ));
    let more = [
        transactions.map(|count| format!("{count} transactions, reading ones included")),
        log.map(|bytes| format!("{} MiB of WAL", bytes >> 20)),
        database_time.map(|time| format!("{} s of processor in the database", number(time))),
    ];
    let more: String = more.into_iter().flatten().map(|text| format!("; {text}")).collect();
    report.line(format!(
        "  {} s of processor in the server, which wrote {} MiB{more}",
        number(server_time),
        written >> 20
    ));
    report.line(format!(
        "  beside it: the simulator alone makes {}/s: ratio {}; a loop of BEGIN, INSERT, COMMIT does {}/s, so that \
         {TRANSACTIONS_OF_ONE} for each create would take {} s one by one: ratio {}",
        number(alone),
        number(rate / alone),
        number(beside),
        number(least),
        number(least / took),
    ));
    if let Some(complaints) = server.complaints() {
        report.line(complaints);
    }
    let figure = (done == creates && active == creates).then_some(took * GOAL_CREATES / creates as f64);
    report.goal(bench.on("6,000 creates, accepted and done"), "s", Wanted::AtMost(GOAL_SECONDS), figure);
    report.detail(
        &bench.on("throughput"),
        &json!({
            "creates": creates, "accepting_s": accepting, "done_s": took, "transactions": transactions,
            "log_bytes": log, "server_processor_s": server_time, "database_processor_s": database_time,
            "server_written_bytes": written, "simulator_alone_per_s": alone, "plain_transactions_per_s": beside,
        }),
    );
}
