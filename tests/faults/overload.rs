//! F36: ten clients ask for machines without a pause, far beyond what the site can do.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use backend::simulator::Delays;
use reqwest::StatusCode;
use uuid::Uuid;

use crate::{
    accepted::{machine_body, path_of},
    world::{Promise, World},
};

const POLICY: &str = "[dispatch]\npolicy = \"\"\"\ncreate: active < 4\nany: waiting < 50\n\"\"\"\n";
const CLIENTS: usize = 10;
const LOOKS: usize = 300;
/// So many are refused before the clients have had enough.
const REFUSALS: usize = 400;

/// Looks at what is there, one look after the other, and answers how long the slowest hundredth took.
async fn look(world: &World, path: &str) -> Duration {
    let mut times = Vec::new();
    for number in 0..LOOKS {
        let began = Instant::now();
        let answer = world.server(0).get(if number % 2 == 0 { path } else { "/compute/" }).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[LOOKS * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f36_more_requests_than_can_be_done_on_sqlite() {
    let mut world = World::with(1, None, POLICY).await;
    world.start_all();
    let first = world.order_machine().await;
    world.arrive(&first, "active").await;
    let unloaded = look(&world, &first).await;
    let delays = Delays { boot: Duration::from_millis(300), ..Delays::default() };
    world.simulator.change(|behaviour| behaviour.delays = delays);

    let (stop, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shared = &world;
    let client = || async {
        let mut promises = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let answer = shared.post(0, "/compute/", &Uuid::now_v7().to_string(), &machine_body()).await.unwrap();
            match answer.status {
                StatusCode::CREATED => promises.push(path_of(&answer.header("location"))),
                StatusCode::SERVICE_UNAVAILABLE => drop(refused.fetch_add(1, Ordering::Relaxed)),
                other => panic!("{other}: {}", answer.body),
            }
        }
        promises
    };
    let clients = futures_util::future::join_all((0..CLIENTS).map(|_| client()));
    let looking = async {
        let slowest = look(shared, &first).await;
        while refused.load(Ordering::Relaxed) < REFUSALS {
            look(shared, &first).await;
        }
        stop.store(true, Ordering::Relaxed);
        slowest
    };
    let (promises, loaded) = tokio::join!(clients, looking);
    let promises: Vec<_> = promises.into_iter().flatten().map(|path| Promise { path, removed: false }).collect();
    let (accepted, refused) = (promises.len(), refused.into_inner());
    assert!(accepted >= 50, "{accepted} accepted: what fits into the queue is");
    world.accepted.extend(promises);
    let mut tally = world.check().await;
    assert_eq!(world.simulator.machine_count(), accepted + 1, "what was accepted is done, what was refused is not");
    tally.figure("accepted", accepted);
    tally.figure("refused", refused);
    tally.figure("p99 of GET without load, ms", unloaded.as_secs_f64() * 1000.0);
    tally.figure("p99 of GET under load, ms", loaded.as_secs_f64() * 1000.0);
    tally.report("F36", "sqlite");
}
