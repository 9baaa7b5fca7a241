//! The guard before a simulated backend, by a clock that waits for nobody.

mod deadlines;
mod faults;
mod recorder;

use std::{io, path::Path, sync::Arc, time::Duration};

use backend::{
    Backend, BackendError, ImageOffer, ImageSource, MachineId,
    simulator::{Behaviour, Simulator},
    suite::{Candidate, verify},
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::Guarded;

fn guarded(site: &str, simulator: &Simulator) -> Guarded {
    Guarded::new(site, Arc::new(simulator.clone()))
}

fn unreachable() -> BackendError {
    BackendError::Unreachable("connection refused".into())
}

fn machine_id() -> MachineId {
    "sim-1".parse().unwrap()
}

/// Zeros, one chunk after each pause.
struct Zeros {
    chunks: u32,
    pause: Duration,
}

const CHUNK: usize = 1024;

impl ImageSource for Zeros {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        let pause = self.pause;
        stream::iter(0..self.chunks)
            .then(move |_| async move {
                tokio::time::sleep(pause).await;
                Ok(Bytes::from_static(&[0; CHUNK]))
            })
            .boxed()
    }
}

fn offer(chunks: u32, pause: Duration) -> ImageOffer {
    let digest: ContentDigest = "0".repeat(64).parse().unwrap();
    ImageOffer { digest, size: u64::from(chunks) * CHUNK as u64, source: Arc::new(Zeros { chunks, pause }) }
}

#[tokio::test(start_paused = true)]
async fn a_guarded_backend_keeps_the_contract() {
    let simulator = Simulator::new(Behaviour::default());
    let backend: Arc<dyn Backend> = Arc::new(guarded("lab", &simulator));
    let image = offer(4, Duration::ZERO);
    let report = verify(&Candidate { backend, image, patience: Duration::from_secs(10) }).await.unwrap();
    assert!(report.skipped.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_the_backend_has_not_is_not_there() {
    let mut behaviour = Behaviour::default();
    behaviour.parts.volumes = false;
    let guarded = guarded("lab", &Simulator::new(behaviour));
    assert!(guarded.volumes().is_none() && guarded.networks().is_some());
    assert!(guarded.addresses().is_some() && guarded.security_groups().is_some());
}
