use std::{path::PathBuf, sync::Arc, time::Duration};

use backend::{
    Backend, BackendError, IntentTag, MachineId, SaveMethod,
    request::{self, RequestId},
    simulator::{
        Behaviour, Command, Delays, Fault, ObjectKind, Operation, Parts, Simulator,
        socket::{SimulatorClient, SimulatorControl, serve},
    },
    suite::{Candidate, verify},
};
use futures_util::TryStreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{assert_empty, offer, spec, tag};

/// A simulator behind a socket.
struct Service {
    directory: tempfile::TempDir,
    simulator: Simulator,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Service {
    fn of(simulator: Simulator) -> Self {
        let mut service = Self { directory: tempfile::tempdir().unwrap(), simulator, running: None };
        service.open();
        service
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("simulator.sock")
    }

    fn open(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        self.running = Some((stop, tokio::spawn(serve(self.simulator.clone(), listener, shutdown))));
    }

    async fn close(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap();
        std::fs::remove_file(self.socket()).unwrap();
    }

    fn client(&self) -> SimulatorClient {
        SimulatorClient::new(self.socket())
    }

    fn control(&self) -> SimulatorControl {
        SimulatorControl::new(self.socket())
    }
}

async fn until(holds: impl AsyncFn() -> bool) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("it never happened");
}

async fn machine(client: &SimulatorClient, tag: IntentTag) -> Result<MachineId, BackendError> {
    client.provide_image(&offer(512), &|_| {}).await?;
    let spec = backend::MachineSpec { tag, ..spec() };
    Ok(client.create(&spec).await?.id)
}

#[tokio::test]
async fn the_contract_is_kept_through_the_socket() {
    for image in [offer(4096), offer((4 << 20) + 7)] {
        let service = Service::of(Simulator::default());
        let backend = Arc::new(SimulatorClient::connect(service.socket()).await.unwrap());
        let candidate = Candidate { backend, image, patience: Duration::from_secs(10) };
        assert_eq!(verify(&candidate).await.unwrap().skipped, ["events: the backend has none"]);
        assert_empty(&service.simulator);
    }
}

#[tokio::test]
async fn a_service_without_parts_says_so() {
    let service = Service::of(Simulator::new(Behaviour { parts: Parts::NONE, ..Behaviour::default() }));
    let backend = Arc::new(SimulatorClient::connect(service.socket()).await.unwrap());
    let candidate = Candidate { backend, image: offer(512), patience: Duration::from_secs(10) };
    assert_eq!(verify(&candidate).await.unwrap().skipped.len(), 6);
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other() {
    let service = Service::of(Simulator::default());
    let client = service.client();
    service.simulator.inject(Operation::Describe, Fault::Hang, 1);
    let hanging = client.clone();
    let hanging = tokio::spawn(async move { hanging.describe().await });
    until(async || service.simulator.calls(Operation::Describe) == 1).await;
    let creates = (0..500).map(|_| machine(&client, tag()));
    let made = futures_util::future::join_all(creates).await;
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(service.simulator.machine_count(), 500);
    assert!(!hanging.is_finished());
}

#[tokio::test]
async fn a_call_that_arrived_is_finished_without_its_caller() {
    let service = Service::of(Simulator::default());
    service.simulator.inject(Operation::Create, Fault::Before(BackendError::Failed("not yet".into())), 1);
    let client = service.client();
    machine(&client, tag()).await.unwrap_err();
    service.simulator.slow(Duration::from_millis(100));
    let order = spec();
    let call = tokio::spawn(async move { client.create(&order).await });
    until(async || service.simulator.calls(Operation::Create) == 2).await;
    // The caller goes, and with it its connection.
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    until(async || service.simulator.machine_count() == 1).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_its_caller() {
    let service = Service::of(Simulator::default());
    let (client, staying) = (service.client(), service.client());
    staying.describe().await.unwrap();
    service.simulator.inject(Operation::Describe, Fault::Hang, 1200);
    for caller in [client.clone(), staying.clone()] {
        for _ in 0..100 {
            let calls = service.simulator.calls(Operation::Describe);
            let call = caller.clone();
            let call = tokio::spawn(async move { call.describe().await });
            until(async || service.simulator.calls(Operation::Describe) > calls).await;
            call.abort();
            // On a connection that stays.
            until(async || service.simulator.inventory().under_way == 0).await;
        }
    }
    assert_eq!(service.simulator.most_at_once(Operation::Describe), 1, "those that have gone are not counted");
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { futures_util::future::join_all((0..100).map(|_| client.describe())).await }
    });
    until(async || service.simulator.inventory().under_way == 100).await;
    hanging.abort();
    drop(client);
    until(async || service.simulator.inventory().under_way == 0).await;
}

#[tokio::test]
async fn a_lost_connection_is_unreachable_and_made_anew() {
    let mut service = Service::of(Simulator::default());
    let (client, control) = (service.client(), service.control());
    let tag = tag();
    let id = machine(&client, tag).await.unwrap();
    service.simulator.inject(Operation::Machine, Fault::Hang, 1);
    let (hanging, looked_for) = (client.clone(), id.clone());
    let hanging = tokio::spawn(async move { hanging.machine(&looked_for).await });
    until(async || service.simulator.calls(Operation::Machine) == 1).await;
    service.close().await;
    assert!(matches!(hanging.await.unwrap(), Err(BackendError::Unreachable(_))));
    assert!(matches!(client.machine(&id).await, Err(BackendError::Unreachable(_))));
    assert!(matches!(control.inventory().await, Err(BackendError::Unreachable(_))));
    service.open();
    assert_eq!(client.machine(&id).await.unwrap().tag, tag, "it outlives its socket");
    assert_eq!(control.inventory().await.unwrap().machines, 1);
}

#[tokio::test]
async fn brokers_share_one_service() {
    let service = Service::of(Simulator::default());
    let (one, other) = (service.client(), service.client());
    let tag = tag();
    let (first, second) = tokio::join!(machine(&one, tag), machine(&other, tag));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(service.simulator.machine_count(), 1);
}

#[tokio::test]
async fn a_saved_disk_has_the_size_of_its_image_and_is_marked() {
    let service = Service::of(Simulator::default());
    let client = service.client();
    let sizes = std::sync::Mutex::new(Vec::new());
    client.provide_image(&offer(1500), &|bytes| sizes.lock().unwrap().push(bytes)).await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1500]);
    let id = client.create(&spec()).await.unwrap().id;
    let disk = client.save(&id, SaveMethod::Hot).await.unwrap();
    assert_eq!(disk.size, 1536);
    let bytes = disk.bytes.try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(bytes.len(), 1536);
    assert!(bytes[1024..].starts_with(b"saved from sim-"));
}

#[tokio::test]
async fn who_controls_gets_in_whatever_was_ordered() {
    let service = Service::of(Simulator::default());
    let (client, control) = (service.client(), service.control());
    let tag = tag();
    let id = machine(&client, tag).await.unwrap();
    for command in
        [Command::RefuseConnections(true), Command::RevokeCredentials(true), Command::Slow(Duration::from_secs(3600))]
    {
        control.obey(command).await.unwrap();
    }
    let inventory = control.inventory().await.unwrap();
    assert_eq!(inventory, service.simulator.inventory());
    assert_eq!((inventory.machines, inventory.calls[&Operation::Create]), (1, 1));
    assert_eq!(inventory.most_at_once[&Operation::Create], 1);
    assert!(matches!(client.describe().await, Err(BackendError::Unreachable(_))));
    control.obey(Command::Heal).await.unwrap();
    control
        .obey(Command::Inject {
            operation: Operation::Describe,
            fault: Fault::After(BackendError::Unauthorized("as ordered".into())),
            times: 1,
        })
        .await
        .unwrap();
    assert_eq!(client.describe().await, Err(BackendError::Unauthorized("as ordered".into())));
    let objects = control.objects().await.unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!((objects[0].tag, objects[0].kind, &*objects[0].id), (tag, ObjectKind::Machine, id.as_str()));
    assert_eq!(control.machine_spec(tag).await.unwrap().unwrap().tag, tag);
    let id: RequestId = "from-the-door".parse().unwrap();
    request::scope(id.clone(), client.describe()).await.unwrap();
    assert_eq!(control.last_request(Operation::Describe).await.unwrap(), Some(id));
    let endless = Command::Inject { operation: Operation::Create, fault: Fault::Hang, times: usize::MAX };
    assert!(matches!(control.obey(endless).await, Err(BackendError::Refused(_))));
}

#[tokio::test]
async fn every_command_arrives() {
    let service = Service::of(Simulator::default());
    let (client, control) = (service.client(), service.control());
    let spec = spec();
    let tag = spec.tag;
    let detail = "as ordered".to_owned();
    let period = Duration::from_secs(3600);
    for command in [
        Command::Appear(Box::new(spec)),
        Command::RememberLists,
        Command::MachineFails { tag, detail: detail.clone() },
        Command::GuestPowersOff(tag),
        Command::MachineFlaps { tag, period },
        Command::VolumeFails { tag, detail: detail.clone() },
        Command::NetworkFails { tag, detail },
        Command::VanishVolume(tag),
        Command::VanishNetwork(tag),
        Command::Delays(Delays { boot: period, ..Delays::default() }),
        Command::IdempotentCreate(false),
        Command::ListingLag(period),
        Command::SpoilLists(3),
    ] {
        control.obey(command).await.unwrap();
    }
    let listing = client.machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (0, 3), "late and spoiled");
    control.obey(Command::StaleLists(1)).await.unwrap();
    assert_eq!(client.machines().await.unwrap().objects.len(), 1, "as remembered");
    service.simulator.change(|behaviour| {
        assert!(!behaviour.idempotent_create);
        assert_eq!(behaviour.delays.boot, period);
    });
    control.obey(Command::Heal).await.unwrap();
    control.obey(Command::Garble { tag, garbled: true }).await.unwrap();
    let listing = client.machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (0, 1));
    control.obey(Command::Vanish(tag)).await.unwrap();
    assert_eq!(service.simulator.machine_count(), 0);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_and_no_other() {
    let service = Service::of(Simulator::default());
    let client = service.client();
    client.describe().await.unwrap();
    for hostile in [&[0xff; 12][..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut line = UnixStream::connect(service.socket()).await.unwrap();
        line.write_all(hostile).await.unwrap();
        let mut answer = Vec::new();
        // It may be closed with our bytes unread.
        let _ = line.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }
    let mut line = UnixStream::connect(service.socket()).await.unwrap();
    let nonsense = b"{\"call\": \"explode\"}";
    let head = [&(nonsense.len() as u32).to_be_bytes()[..], &7_u64.to_be_bytes()].concat();
    line.write_all(&[&head[..], nonsense].concat()).await.unwrap();
    let length = line.read_u32().await.unwrap();
    assert_eq!(line.read_u64().await.unwrap(), 7);
    let mut answer = vec![0; length as usize];
    line.read_exact(&mut answer).await.unwrap();
    let answer: Result<(), BackendError> = serde_json::from_slice(&answer).unwrap();
    assert!(matches!(answer, Err(BackendError::Refused(_))), "{answer:?}");
    client.describe().await.unwrap();
}

/// Simulates a service that answers a call with these bytes.
async fn stranger(answer: Vec<u8>) -> (tempfile::TempDir, SimulatorClient) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("stranger.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let (mut line, _) = listener.accept().await.unwrap();
        let _ = line.read(&mut [0; 4096]).await;
        let _ = line.write_all(&answer).await;
        // Until the other side has had enough.
        let _ = line.read_to_end(&mut Vec::new()).await;
    });
    (directory, SimulatorClient::new(socket))
}

#[tokio::test]
async fn answers_of_strangers_are_read_in_bounds() {
    let frame =
        |number: u64, body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], &number.to_be_bytes(), body].concat();
    let (_directory, client) = stranger([0xff; 12].to_vec()).await;
    assert!(matches!(client.describe().await, Err(BackendError::Unreachable(_))));
    for body in [&b""[..], b"[]", b"{\"Ok\": 7}", b"\xff\xff"] {
        let (_directory, client) = stranger(frame(0, body)).await;
        let answer = client.describe().await;
        assert!(matches!(answer, Err(BackendError::Failed(_))), "{answer:?}");
    }
    // An answer to what nobody asked comes first.
    let other = frame(99, b"{}");
    let (_directory, client) = stranger([other, frame(0, b"{\"Err\": {\"capacity\": \"full\"}}")].concat()).await;
    assert_eq!(client.describe().await, Err(BackendError::Capacity("full".into())));
}

#[tokio::test]
async fn twenty_thousand_machines_fit_into_an_answer() {
    let service = Service::of(Simulator::default());
    for _ in 0..20_000 {
        service.simulator.appear(spec()).unwrap();
    }
    let client = service.client();
    assert_eq!(client.machines().await.unwrap().objects.len(), 20_000);
    assert_eq!(service.control().objects().await.unwrap().len(), 20_000);
}
