//! Figures, not a test: `cargo test --release -p tombolo store::tests::speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use backend::IntentTag;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{entity as compute, project, sqlite};
use crate::{
    login::{Credentials, authenticate, issue},
    store::{
        entity::{self, EntityId, Selection},
        intent,
        saga::{self, NewSaga},
    },
};

const ENTITIES: usize = 20_000;

/// A stretch of time, by the clock and in the processors.
struct Stretch {
    began: Instant,
    processor: f64,
}

impl Stretch {
    fn begin() -> Self {
        Self { began: Instant::now(), processor: processor_seconds() }
    }

    fn print(&self, what: &str, count: usize) {
        let (took, count) = (self.began.elapsed().as_secs_f64(), count as f64);
        let used = (processor_seconds() - self.processor) * 1e6 / count;
        println!(
            "{what:<50} {:>10.0} /s  {:>8.1} µs each, {used:>8.1} µs of processor",
            count / took,
            took * 1e6 / count
        );
    }
}

/// What this process has used so far. On a busy machine it says more than the clock.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // User and system time in hundredths of a second: proc(5), fields 14 and 15.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn figures_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let db = sqlite(&directory);
    let project = project(&db, "speed").await;

    for writers in [1, 8, 64, 256] {
        let (each, began) = (ENTITIES / 8 / writers, Stretch::begin());
        let tasks = (0..writers).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    let (mut new, tag) = (compute(project), IntentTag(Uuid::now_v7()));
                    for number in 0..8_i64 {
                        new.attributes.insert(format!("org.example.a{number}").parse().unwrap(), number.into());
                    }
                    let id = Uuid::now_v7();
                    let parameters = serde_json::Value::Null;
                    let saga = NewSaga { id, parameters, ..super::new_saga("provision", new.id) };
                    db.write(move |connection| {
                        entity::insert(connection, &new)?;
                        saga::insert(connection, &saga)?;
                        intent::insert(connection, tag, new.id, saga.id, "lab")
                    })
                    .await
                    .unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        began.print(&format!("durable creates, {writers} writers"), each * writers);
    }
    let count = db.read(move |c| entity::count(c, &Selection::of(project))).await.unwrap();
    let missing = ENTITIES - usize::try_from(count).unwrap();
    db.write(move |c| (0..missing).try_for_each(|_| entity::insert(c, &compute(project)))).await.unwrap();

    let began = Stretch::begin();
    let places = db.read(move |c| entity::select_places(c, &Selection::of(project), None, i64::MAX)).await.unwrap();
    began.print("all places in one query, per place", places.len());
    let (mut after, mut seen, began) = (None::<EntityId>, 0, Stretch::begin());
    loop {
        let page = db.read(move |c| entity::select(c, &Selection::of(project), after, 500)).await.unwrap();
        let Some(last) = page.last() else { break };
        (after, seen) = (Some(last.id), seen + page.len());
    }
    began.print("all entities in pages of 500, per entity", seen);

    let ids: Vec<EntityId> = places.iter().map(|(id, _)| *id).collect();
    for readers in [1, 2, 16] {
        for brief in [false, true] {
            let (each, began) = (ENTITIES / readers, Stretch::begin());
            let tasks = (0..readers).map(|reader| {
                let (db, ids) = (db.clone(), ids.clone());
                tokio::spawn(async move {
                    for index in 0..each {
                        let id = ids[(index * 7919 + reader) % ids.len()];
                        let find = move |c: &mut _| entity::find(c, project, id);
                        let found = if brief { db.read_brief(find).await } else { db.read(find).await };
                        assert!(found.unwrap().is_some());
                    }
                })
            });
            join_all(tasks.collect::<Vec<_>>()).await;
            let way = if brief { "on the calling thread" } else { "on a blocking thread" };
            began.print(&format!("entity by id {way}, {readers} readers"), each * readers);
        }
    }

    let secret = issue(&db, "ann", "speed", Duration::from_secs(600)).await.unwrap().to_string();
    let credentials = Credentials { user: None, secret, project: None };
    let began = Stretch::begin();
    for _ in 0..ENTITIES {
        assert!(authenticate(&db, &credentials).await.unwrap().is_some());
    }
    began.print("token known already", ENTITIES);
}
