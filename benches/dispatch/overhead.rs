//! What a create takes beside the backend's own time, when nothing queues.
//!
//! The backend's own time is the boot, counted from the moment at which it answers the create: image and create take
//! no time in the simulator, and the image is there already.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    Bench,
    light::location,
    report::{Report, Wanted, number, quantile},
    rig::Rig,
    wire::Connection,
};

/// No multiple of a tenth of a second: whoever looks every tenth must not be in luck.
const BOOT: Duration = Duration::from_millis(230);
const CONFIGURATION: &str = "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator\", boot_milliseconds = 230 }\n";
/// How many creates at once, and how many in all.
const SITUATIONS: [(usize, usize); 2] = [(1, 100), (8, 400)];
/// The client looks for itself whether the machine runs, so often, from shortly before it can.
const LOOK: Duration = Duration::from_micros(500);
const EARLY: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(30);
const GOAL: f64 = 5.0;

pub fn measure(bench: &Bench<'_>, report: &mut Report) {
    let rig = bench.rig("overhead", CONFIGURATION);
    let server = rig.serve("a");
    let mut database = rig.database();
    // The image goes to the site once.
    bench.runtime.block_on(creates_one_by_one(&rig, server.address, 3));
    database.settle(LIMIT);
    report.line("a create beside the backend's own 230 ms, from its 201 until a client sees it active:".into());
    let mut worst: f64 = 0.0;
    for (at_once, count) in SITUATIONS {
        let last = database.words("SELECT id AS word FROM sagas ORDER BY id DESC LIMIT 1").remove(0);
        let clients = (0..at_once).map(|_| creates_one_by_one(&rig, server.address, count / at_once));
        let seen = bench.runtime.block_on(futures_util::future::join_all(clients));
        let mut seen: Vec<Duration> = seen.into_iter().flatten().collect();
        database.settle(LIMIT);
        let mut waited = times(&mut database, &last, "sagas.begun_at - sagas.created_at");
        let own = format!("ended.at - sagas.begun_at - {}", BOOT.as_micros());
        let mut led = times(&mut database, &last, &own);
        for sorted in [&mut seen, &mut waited, &mut led] {
            sorted.sort();
        }
        let of = |sorted: &[Duration]| {
            format!("p50 {}, p99 {}", number(quantile(sorted, 0.5)), number(quantile(sorted, 0.99)))
        };
        report.line(format!(
            "  {at_once} at once: {} ms; of it by the saga's log: until begun {} ms, from then to the last step's end {} ms",
            of(&seen),
            of(&waited),
            of(&led),
        ));
        worst = worst.max(quantile(&seen, 0.99));
        report.detail(
            &bench.on(&format!("overhead of {at_once}")),
            &json!({
                "seen_p50": quantile(&seen, 0.5), "seen_p99": quantile(&seen, 0.99),
                "waited_p50": quantile(&waited, 0.5), "waited_p99": quantile(&waited, 0.99),
                "led_p50": quantile(&led, 0.5), "led_p99": quantile(&led, 0.99),
            }),
        );
    }
    if let Some(complaints) = server.complaints() {
        report.line(complaints);
    }
    report.goal(bench.on("overhead p99 beside the backend's time"), "ms", Wanted::AtMost(GOAL), Some(worst));
}

/// How much longer than the boot it took each from its 201 to the first answer that says that it is active.
async fn creates_one_by_one(rig: &Rig, address: std::net::SocketAddr, count: usize) -> Vec<Duration> {
    let mut connection = Connection::open(address).await.expect("a connection");
    let create = rig.create();
    let mut over = Vec::with_capacity(count);
    for _ in 0..count {
        let answer = connection.ask(&create).await.expect("an answer");
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(answer.body));
        let accepted = Instant::now();
        let read = rig.read(&location(&answer));
        tokio::time::sleep(BOOT - EARLY).await;
        loop {
            let asked = Instant::now();
            let answer = connection.ask(&read).await.expect("an answer");
            if String::from_utf8_lossy(answer.body).contains("occi.compute.state=\"active\"") {
                break;
            }
            assert!(accepted.elapsed() < LIMIT, "a compute is not active: {}", String::from_utf8_lossy(answer.body));
            // A runtime's timer is as fine as a millisecond; others have their turn meanwhile.
            while asked.elapsed() < LOOK {
                tokio::task::yield_now().await;
            }
        }
        over.push(accepted.elapsed().saturating_sub(BOOT));
    }
    over
}

/// A difference of times, for each saga after that one.
fn times(database: &mut crate::database::Database, after: &str, difference: &str) -> Vec<Duration> {
    let query = format!(
        "SELECT {difference} AS number FROM sagas JOIN saga_log AS ended ON ended.saga_id = sagas.id \
         WHERE ended.event = 'done' AND ended.step = '' AND sagas.id > '{after}'"
    );
    let micros = database.numbers(&query);
    micros.into_iter().map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))).collect()
}
