//! What throughput is compared with: the simulator alone, and the database alone.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use backend::{
    Architecture, Backend, ImageOffer, ImageSource, IntentTag, MachineSpec, MachineState,
    simulator::{Behaviour, Simulator},
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{database::Database, load};

/// For how long the database is asked.
const TIME: Duration = Duration::from_secs(3);

struct Nothing;

impl ImageSource for Nothing {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        stream::empty().boxed()
    }
}

/// Machines a second: image, create and a look at each, as a saga asks for them, and nothing remembered.
pub fn of_simulator(runtime: &Runtime, creates: usize) -> f64 {
    let simulator = Simulator::new(Behaviour::default());
    let offer = ImageOffer { digest: ContentDigest::from_bytes([0; 32]), size: 0, source: Arc::new(Nothing) };
    let begin = Instant::now();
    runtime.block_on(async {
        for _ in 0..creates {
            let spec = MachineSpec {
                tag: IntentTag(Uuid::now_v7()),
                name: "a desk".into(),
                hostname: None,
                cores: 1,
                memory_mib: 1024,
                disk_bytes: 1 << 30,
                architecture: Architecture::X86_64,
                image: offer.digest,
                ssh_keys: Vec::new(),
                user_data: None,
                joins: backend::MachineJoins::default(),
            };
            simulator.provide_image(&offer, &|_| {}).await.expect("an image");
            let made = simulator.create(&spec).await.expect("a machine");
            let machine = simulator.machine(&made.id).await.expect("the same machine");
            assert_eq!(machine.state, MachineState::Running);
        }
    });
    load::per_second(creates, begin.elapsed())
}

/// Transactions a second of one row each, one after the other, each durable before the next.
pub fn of_database(database: &mut Database) -> f64 {
    database.execute("CREATE TABLE bench_rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    let begin = Instant::now();
    let mut count = 0;
    while begin.elapsed() < TIME {
        database.execute(&format!(
            "BEGIN; INSERT INTO bench_rows VALUES ({count}, 'a row of about as many bytes as one line of a log'); COMMIT"
        ));
        count += 1;
    }
    let rate = load::per_second(count, begin.elapsed());
    database.execute("DROP TABLE bench_rows");
    rate
}
