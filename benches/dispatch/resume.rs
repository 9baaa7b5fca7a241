//! How soon another replica ends what a killed one had under way.

use std::time::{Duration, Instant};

use backend::simulator::ObjectKind;
use serde_json::json;

use crate::{
    Bench, load,
    report::{Report, Wanted, number},
    simulator::Site,
};

const CONFIGURATION: &str =
    "[[site]]\nname = \"lab\"\nadapter = { kind = \"simulator-socket\", socket = \"SCRATCH/site.sock\" }\n";
const SAGAS: usize = 20;
const BOOT: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
const GOAL: f64 = 15.0;

pub fn measure(bench: &Bench<'_>, report: &mut Report) {
    let mut figures = Vec::new();
    report.line(format!("kill -9 of one of two replicas with {SAGAS} sagas in flight, each with a boot of 2 s:"));
    for round in 0..ROUNDS {
        let rig = bench.rig(&format!("resume{round}"), CONFIGURATION);
        let site = Site::start(&rig.scratch().join("site.sock"), BOOT);
        let mut dying = rig.serve("a");
        let owner = "SELECT id AS word FROM replicas ORDER BY id DESC LIMIT 1";
        let mut database = rig.database();
        let owner = wait_for(|| database.words(owner).pop());
        let living = rig.serve("b");
        wait_for(|| (database.count("SELECT count(*) AS number FROM replicas") == 2).then_some(()));
        let requests = vec![rig.create(); SAGAS];
        bench.runtime.block_on(load::send_all(dying.address, &requests, 4, 201, |_| {}));
        let all = i64::try_from(SAGAS).unwrap_or(0);
        wait_for(|| {
            (database.count("SELECT count(*) AS number FROM sagas WHERE owner IS NOT NULL") == all).then_some(())
        });
        dying.kill();
        let killed = Instant::now();
        let held = format!("SELECT count(*) AS number FROM sagas WHERE owner = '{owner}'");
        let held_then = database.count(&held);
        wait_for(|| (database.count(&held) == 0).then_some(()));
        let taken = killed.elapsed();
        database.settle(LIMIT);
        let done = killed.elapsed();
        let machines = site.simulator.objects().iter().filter(|object| object.kind == ObjectKind::Machine).count();
        let duplicates = site.simulator.duplicates().len();
        report.line(format!(
            "  the dead one held {held_then}: all taken over after {} s, all done after {} s; {machines} machines, \
             {duplicates} duplicates",
            number(taken.as_secs_f64()),
            number(done.as_secs_f64()),
        ));
        let valid = held_then > 0 && machines == SAGAS && duplicates == 0;
        figures.push(valid.then_some(done.as_secs_f64()));
        drop(living);
    }
    let worst = figures.iter().copied().collect::<Option<Vec<_>>>().map(|all| all.into_iter().fold(0.0, f64::max));
    report.goal(bench.on("a killed replica's sagas done, worst"), "s", Wanted::AtMost(GOAL), worst);
    report.detail(&bench.on("resume"), &json!({ "seconds": figures, "sagas": SAGAS }));
}

fn wait_for<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "what was waited for has not come in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
