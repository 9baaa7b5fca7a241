//! Light requests while creates wait at a site that takes four at once, against the same with nothing waiting.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    Bench, load,
    report::{Report, Wanted, number, quantile},
    rig::Rig,
};

/// Machines at the slow site take longer than the measurement.
const CONFIGURATION: &str = "[dispatch]\npolicy = \"\"\"\ncreate: active < 64 - 10 %\ncreate @ slow: active < 4\n\
     any: active < 128 - 10 %\nany: waiting < 10000 - 5 %\ncreate: waited < 1 h\n\"\"\"\n\
     [[site]]\nname = \"quick\"\nadapter = { kind = \"simulator\", boot_milliseconds = 0 }\n\
     [[site]]\nname = \"slow\"\nadapter = { kind = \"simulator\", boot_milliseconds = 280000 }\n";
const READ: usize = 200;
const CONNECTIONS: u32 = 16;
const TIME: Duration = Duration::from_secs(5);
/// Requests a second.
const RATE_OF_ENTITIES: u32 = 200;
const RATE_OF_PAGES: u32 = 20;
const GOAL: f64 = 20.0;

/// Latencies of one situation, sorted.
struct Latencies {
    entity: Vec<Duration>,
    page: Vec<Duration>,
}

impl Latencies {
    fn take(rig: &Rig, address: SocketAddr, paths: &[String]) -> Self {
        let reads = Arc::new(paths.iter().map(|path| rig.read(path)).collect::<Vec<_>>());
        let pages = (1..=2).map(|page| format!("/compute/?page={page}&number=100"));
        let pages: Vec<_> =
            pages.map(|path| rig.request("GET", &path, &[("Accept", "application/occi+json")], b"")).collect();
        // Connections and caches are warm before anything counts.
        load::open_loop(address, &reads, CONNECTIONS, RATE_OF_ENTITIES, Duration::from_secs(1));
        let mut entity = load::open_loop(address, &reads, CONNECTIONS, RATE_OF_ENTITIES, TIME);
        let mut page = load::open_loop(address, &Arc::new(pages), CONNECTIONS, RATE_OF_PAGES, TIME);
        entity.sort();
        page.sort();
        Self { entity, page }
    }

    fn tell(&self, situation: &str, report: &mut Report) -> serde_json::Value {
        let of = |sorted: &[Duration]| (quantile(sorted, 0.5), quantile(sorted, 0.99));
        let (entity, page) = (of(&self.entity), of(&self.page));
        report.line(format!(
            "  {situation:<22} GET of one: p50 {} ms, p99 {} ms; page of 100: p50 {} ms, p99 {} ms",
            number(entity.0),
            number(entity.1),
            number(page.0),
            number(page.1),
        ));
        json!({ "entity_p50": entity.0, "entity_p99": entity.1, "page_p50": page.0, "page_p99": page.1 })
    }
}

pub fn measure(bench: &Bench<'_>, report: &mut Report) {
    let rig = bench.rig("light", CONFIGURATION);
    let server = rig.serve("a");
    let mut database = rig.database();
    let mut paths = Vec::new();
    let quick = vec![rig.create_at("quick"); READ];
    bench.runtime.block_on(load::send_all(server.address, &quick, 4, 201, |answer| paths.push(location(answer))));
    database.settle(Duration::from_secs(60));
    report.line(format!(
        "light requests, {RATE_OF_ENTITIES} GETs of one and {RATE_OF_PAGES} pages a second, over {READ} computes:"
    ));
    let unloaded = Latencies::take(&rig, server.address, &paths);
    let unloaded_told = unloaded.tell("nothing waits", report);

    let count = bench.arguments.waiting;
    let slow = vec![rig.create_at("slow"); count];
    let mut last = String::new();
    let took = bench.runtime.block_on(load::send_all(server.address, &slow, 16, 201, |a| last = location(a)));
    let waiting = "SELECT count(*) AS number FROM sagas WHERE state = 'running' AND begun_at IS NULL";
    let before = database.count(waiting);
    // One of those that wait is read too: it tells where it stands in the queue.
    paths.push(last);
    let loaded = Latencies::take(&rig, server.address, &paths);
    let after = database.count(waiting);
    let loaded_told = loaded.tell(&format!("{count} creates at 4"), report);
    report.line(format!("  accepted in {} s; {before} waited before, {after} after", number(took.as_secs_f64())));
    if let Some(complaints) = server.complaints() {
        report.line(complaints);
    }
    let valid = usize::try_from(after).is_ok_and(|after| after + 4 >= count);
    let worst = quantile(&loaded.entity, 0.99).max(quantile(&loaded.page, 0.99));
    report.goal(bench.on("light requests p99 beside a queue"), "ms", Wanted::AtMost(GOAL), valid.then_some(worst));
    report.detail(&bench.on("light"), &json!({ "unloaded": unloaded_told, "loaded": loaded_told, "waiting": after }));
}

/// The path of what a POST has created.
pub fn location(answer: &crate::wire::Answer<'_>) -> String {
    let head = String::from_utf8_lossy(answer.head);
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let location = line.unwrap_or_else(|| panic!("no Location in {head}"));
    let path = location.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    path.unwrap_or(location)
}
