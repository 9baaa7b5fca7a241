//! Brokers behind brokers.

use std::time::Duration;

use backend::{Architecture, Backend, BackendError, IntentTag, MachineJoins, MachineSpec, MachineState, request};
use occi_adapter::{OcciBackend, OcciOptions};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::tombolo::{SITE, Tombolo, as_site, binary};

const PATIENCE: Duration = Duration::from_secs(120);

fn spec(digest: &str) -> MachineSpec {
    MachineSpec {
        tag: IntentTag(Uuid::now_v7()),
        name: "far away".into(),
        hostname: None,
        cores: 1,
        memory_mib: 256,
        disk_bytes: 20 << 30,
        architecture: Architecture::X86_64,
        image: digest.parse().unwrap(),
        ssh_keys: Vec::new(),
        user_data: None,
        joins: MachineJoins::default(),
    }
}

fn backend(options: OcciOptions) -> OcciBackend {
    OcciBackend::new(options).unwrap()
}

/// A server learns of what stands behind it when it looks; until then it has no room.
async fn refusal(backend: &OcciBackend, digest: &str, hears: impl Fn(&BackendError) -> bool) -> BackendError {
    let until = Instant::now() + PATIENCE;
    loop {
        match backend.create(&spec(digest)).await {
            Err(error) if hears(&error) || Instant::now() > until => return error,
            // The site that was there before.
            Ok(machine) => backend.delete(&machine.id).await.unwrap(),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test]
async fn three_brokers_in_a_row_serve_one_request_under_one_id() {
    let Some(binary) = binary() else { return };
    let image = vec![7; 1 << 20];
    let (far, digest) = Tombolo::start_at(&binary, &image, SITE, "127.0.0.1:0");
    let (middle, _) = Tombolo::start_at(&binary, &image, &far.as_site(), "127.0.0.1:0");
    let (near, _) = Tombolo::start_at(&binary, &image, &middle.as_site(), "127.0.0.1:0");
    let backend = backend(near.options()).for_broker(Uuid::now_v7());
    let brokers = backend.describe().await.unwrap().particulars.brokers;
    assert_eq!(brokers.len(), 3, "all three are told: {brokers:?}");

    let spec = spec(&digest);
    let id = "chain-7";
    let made = request::scope(id.parse().unwrap(), backend.create(&spec)).await;
    let machine = made.unwrap_or_else(|error| panic!("{error}\n{}", near.log()));
    let until = Instant::now() + PATIENCE;
    let running = loop {
        let seen = backend.machine_at_rest(&machine.id, PATIENCE).await.unwrap();
        if seen.state == MachineState::Running {
            break seen;
        }
        assert!(seen.state != MachineState::Failed && Instant::now() < until, "{seen:?}\n{}", near.log());
    };
    assert_eq!(running.size.map(|size| size.disk_bytes), Some(20 << 30), "a disk of choice");
    for (name, server) in [("near", &near), ("middle", &middle), ("far", &far)] {
        assert!(server.log().contains(id), "{name} does not know the request: {}", server.log());
    }
    let far = self::backend(far.options());
    let there = far.machines().await.unwrap().objects;
    assert_eq!(there.iter().map(|machine| machine.name.as_deref()).collect::<Vec<_>>(), [Some("far away")]);
    backend.delete(&machine.id).await.unwrap();
    while !far.machines().await.unwrap().objects.is_empty() {
        assert!(Instant::now() < until, "the machine is left behind");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_ring_makes_nothing_and_says_why() {
    let Some(binary) = binary() else { return };
    let image = vec![7; 1 << 20];
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let places = [free(), free()];
    // The first one has to know the other's token, which is not there yet: it learns it by reloading its sites.
    let (first, digest) = Tombolo::start_at(&binary, &image, SITE, &places[0]);
    let (second, _) = Tombolo::start_at(&binary, &image, &first.as_site(), &places[1]);
    first.rewrite(&as_site(&second.base, &second.token));

    let backend = backend(first.options());
    let circle = |error: &BackendError| error.to_string().contains("circle");
    let refused = refusal(&backend, &digest, circle).await;
    assert!(circle(&refused), "{refused}\n{}", first.log());
    assert!(backend.machines().await.unwrap().objects.is_empty());

    // A request that has been there before is refused at the door, whatever anybody has learnt.
    let own: Uuid = backend.describe().await.unwrap().particulars.brokers[0].parse().unwrap();
    let again = self::backend(first.options()).for_broker(own);
    let refused = again.create(&spec(&digest)).await.unwrap_err();
    assert!(matches!(&refused, BackendError::Refused(words) if words.contains("this broker already")), "{refused}");
}
