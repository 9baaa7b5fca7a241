//! The simulator keeps the contract, and breaks it when told to.

use std::{io, path::Path, sync::Arc, time::Duration};

use backend::{
    Architecture, Backend, BackendError, ImageOffer, ImageSource, IntentTag, MachineSpec, MachineState,
    simulator::{Behaviour, Delays, Fault, Operation, Simulator},
    suite::{Candidate, verify},
};
use bytes::Bytes;
use disk_image::ContentDigest;
use futures_util::stream::{self, BoxStream, StreamExt};
use uuid::Uuid;

struct Zeros(usize);

impl ImageSource for Zeros {
    fn local_path(&self) -> Option<&Path> {
        None
    }

    fn stream(&self) -> BoxStream<'static, io::Result<Bytes>> {
        stream::iter([Ok(Bytes::from(vec![0; self.0]))]).boxed()
    }
}

fn offer(size: usize) -> ImageOffer {
    ImageOffer { digest: ContentDigest::from_bytes([1; 32]), size: size as u64, source: Arc::new(Zeros(size)) }
}

fn spec() -> MachineSpec {
    MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: "one".into(),
        hostname: None,
        cores: 1,
        memory_mib: 128,
        disk_bytes: 512,
        architecture: Architecture::X86_64,
        image: ContentDigest::from_bytes([1; 32]),
        ssh_keys: Vec::new(),
        user_data: None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulator_keeps_the_contract() {
    let delays = Delays {
        call: Duration::from_millis(3),
        boot: Duration::from_secs(4),
        stop: Duration::from_secs(2),
        ..Delays::default()
    };
    let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
    let candidate =
        Candidate { backend: Arc::new(simulator.clone()), image: offer(4096), patience: Duration::from_secs(10) };
    verify(&candidate).await.unwrap();
    assert_eq!(simulator.machine_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_suite_notices_a_backend_that_never_boots() {
    let delays = Delays { boot: Duration::from_secs(3600), ..Delays::default() };
    let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
    let candidate =
        Candidate { backend: Arc::new(simulator.clone()), image: offer(512), patience: Duration::from_secs(5) };
    let violation = verify(&candidate).await.unwrap_err().to_string();
    assert!(violation.contains("Running was expected"), "{violation}");
    assert_eq!(simulator.machine_count(), 0, "a failed check leaves nothing either");
}

#[tokio::test]
async fn a_lost_answer_has_had_its_effect() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    simulator.inject(Operation::Create, Fault::AnswerLost, 1);
    let spec = spec();
    assert!(matches!(simulator.create(&spec).await, Err(BackendError::Unreachable(_))));
    let found = simulator.find_by_tag(spec.tag).await.unwrap().unwrap();
    assert_eq!(simulator.create(&spec).await.unwrap().id, found.id);
    assert_eq!((simulator.machine_count(), simulator.calls(Operation::Create)), (1, 2));
}

#[tokio::test]
async fn faults_come_in_order_and_end() {
    let simulator = Simulator::default();
    simulator.inject(Operation::Describe, Fault::Before(BackendError::Capacity("full".into())), 2);
    assert!(simulator.describe().await.is_err());
    assert!(simulator.describe().await.is_err());
    assert!(simulator.describe().await.is_ok());
}

#[tokio::test]
async fn an_image_of_another_length_is_refused() {
    let simulator = Simulator::default();
    let lie = ImageOffer { size: 1024, ..offer(512) };
    assert!(matches!(simulator.provide_image(&lie, &|_| {}).await, Err(BackendError::Failed(_))));
    assert!(!simulator.holds_image(&lie.digest));
}

#[tokio::test(start_paused = true)]
async fn a_guest_may_switch_off_and_a_machine_vanish() {
    let simulator = Simulator::default();
    simulator.provide_image(&offer(512), &|_| {}).await.unwrap();
    let spec = spec();
    let machine = simulator.create(&spec).await.unwrap();
    simulator.guest_powers_off(spec.tag);
    assert_eq!(simulator.machine(&machine.id).await.unwrap().state, MachineState::Stopped);
    simulator.vanish(spec.tag);
    assert!(matches!(simulator.machine(&machine.id).await, Err(BackendError::NotFound(_))));
}
