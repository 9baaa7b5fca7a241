//! Sagas against a simulated site: every failure, every repetition, every interruption ends in one machine or none.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backend::{
    Architecture, Backend, BackendError, IntentTag, MachineSpec,
    simulator::{Behaviour, Delays, Fault, Operation, Simulator},
};
use disk_image::ContentDigest;
use image_store::ImageStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Dispatch, Order, Policy, PowerAction, Site, Sites, Trial, policy};
use crate::store::{
    Db, StoreError, Timestamp,
    entity::{self, Entity, EntityId, EntityState, Facts},
    member, replica,
    saga::{self, Claim},
};

struct Yard {
    directory: tempfile::TempDir,
    db: Db,
    simulator: Simulator,
    image: ContentDigest,
    dispatch: Dispatch,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Yard {
    async fn new(delays: Delays) -> Self {
        Self::open(delays, CancellationToken::new()).await
    }

    /// Where nothing runs: what is accepted stays accepted.
    async fn asleep() -> Self {
        let ended = CancellationToken::new();
        ended.cancel();
        Self::open(Delays::default(), ended).await
    }

    async fn open(delays: Delays, shutdown: CancellationToken) -> Self {
        let simulator = Simulator::new(Behaviour { delays, ..Behaviour::default() });
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        let path = directory.path().join("image.raw");
        std::fs::write(&path, [7; 4096]).unwrap();
        let store = ImageStore::open(directory.path().join("images")).unwrap();
        let image = store.import(disk_image::open(&path, None).unwrap().as_ref(), &|_, _| ()).unwrap().digest;
        let (dispatch, running) = start(&directory, &db, &simulator, &shutdown).await;
        Self { directory, db, simulator, image, dispatch, shutdown, running }
    }

    /// Accepts a machine, as the broker does.
    async fn order(&self) -> (EntityId, IntentTag) {
        let (id, tag) = (EntityId(Uuid::now_v7()), IntentTag(Uuid::now_v7()));
        let spec = MachineSpec {
            tag,
            name: "one".into(),
            hostname: None,
            cores: 1,
            memory_mib: 64,
            disk_bytes: 4096,
            architecture: Architecture::X86_64,
            image: self.image,
            ssh_keys: Vec::new(),
            user_data: None,
            joins: backend::MachineJoins::default(),
        };
        let order = Order::Machine(spec);
        let planner = self.dispatch.planner();
        self.db
            .write(move |connection| {
                let entity = Entity {
                    id,
                    project: member::ensure_project(connection, "p")?,
                    kind: occi_schema::well_known::COMPUTE.clone(),
                    mixins: Vec::new(),
                    attributes: BTreeMap::new(),
                    state: EntityState::Inactive,
                    state_message: Some("accepted".into()),
                    site: "lab".into(),
                    placement: serde_json::Value::Null,
                    specification: order.to_json().unwrap(),
                    backend_id: None,
                    source: None,
                    target: None,
                    facts: Facts::default(),
                    version: 1,
                    updated_at: Timestamp::now(),
                };
                entity::insert(connection, &entity)?;
                planner.plan_making(connection, &entity, &order)
            })
            .await
            .unwrap();
        self.dispatch.wake("lab", policy::Operation::Create);
        (id, tag)
    }

    async fn find(&self, id: EntityId) -> Option<Entity> {
        self.db.read(move |connection| entity::find_for_dispatch(connection, id)).await.unwrap()
    }

    /// Waits until no saga is left, and shows the entity.
    async fn settle(&self, id: EntityId) -> Option<Entity> {
        for _ in 0..3000 {
            let left = self.db.read(move |connection| saga::unfinished_of(connection, id)).await.unwrap();
            if left.is_empty() {
                return self.find(id).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("sagas do not end: {:?}", self.find(id).await);
    }

    async fn act(&self, id: EntityId, action: PowerAction) {
        let (planner, entity) = (self.dispatch.planner(), self.find(id).await.unwrap());
        self.db.write(move |connection| planner.plan_power(connection, &entity, action)).await.unwrap();
        self.dispatch.wake("lab", policy::Operation::Power);
    }

    async fn remove(&self, id: EntityId) {
        let planner = self.dispatch.planner();
        self.db.write(move |connection| planner.plan_removal(connection, id)).await.unwrap();
        self.dispatch.wake_cancelled();
    }

    /// Lets everything that runs die where it stands, as `kill -9` does, and starts anew.
    async fn crash(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
        self.shutdown.cancel();
        self.db.write(replica::forget_all).await.unwrap();
        self.shutdown = CancellationToken::new();
        let (dispatch, running) = start(&self.directory, &self.db, &self.simulator, &self.shutdown).await;
        (self.dispatch, self.running) = (dispatch, running);
    }
}

async fn start(
    directory: &tempfile::TempDir,
    db: &Db,
    simulator: &Simulator,
    shutdown: &CancellationToken,
) -> (Dispatch, JoinHandle<()>) {
    let images = Arc::new(ImageStore::open(directory.path().join("images")).unwrap());
    let sites = Sites::new([Site::new("lab", Arc::new(simulator.clone()) as Arc<dyn Backend>)]);
    let dispatch = Dispatch::new(db, sites, &images, Policy::default(), Trial::default());
    let running = dispatch.run(db, shutdown);
    (dispatch, running)
}

fn failed() -> BackendError {
    BackendError::Failed("out of luck".into())
}

fn refused() -> BackendError {
    BackendError::Refused("out of luck".into())
}

fn unreachable() -> BackendError {
    BackendError::Unreachable("no answer".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_is_made_and_removed() {
    let yard = Yard::new(Delays::default()).await;
    let (id, _) = yard.order().await;
    let entity = yard.settle(id).await.unwrap();
    assert_eq!((entity.state, entity.state_message.as_deref()), (EntityState::Active, None));
    assert_eq!(entity.facts.endpoints.len(), 1);
    let logged = yard.db.read(move |connection| saga::events(connection, id)).await.unwrap();
    let expected = ["deliver image", "create machine", "boot"].map(|step| [(step, "begin"), (step, "done")]).concat();
    let expected: Vec<_> = expected.into_iter().chain([("", "done")]).collect();
    let logged: Vec<_> = logged.iter().map(|(step, event)| (step.as_str(), event.as_str())).collect();
    assert_eq!(logged, expected, "before and after every step");
    yard.act(id, PowerAction::Stop(backend::StopMethod::Graceful)).await;
    assert_eq!(yard.settle(id).await.unwrap().state, EntityState::Inactive);
    yard.act(id, PowerAction::Start).await;
    assert_eq!(yard.settle(id).await.unwrap().state, EntityState::Active);
    yard.remove(id).await;
    assert!(yard.settle(id).await.is_none());
    assert_eq!(yard.simulator.machine_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_failure_of_any_step_is_undone_and_told() {
    for operation in [Operation::ProvideImage, Operation::Create, Operation::Machine] {
        let yard = Yard::new(Delays::default()).await;
        yard.simulator.inject(operation, Fault::Before(refused()), 1);
        let (id, _) = yard.order().await;
        let entity = yard.settle(id).await.unwrap();
        assert_eq!(entity.state, EntityState::Error, "{operation:?}");
        assert!(entity.state_message.unwrap().contains("out of luck"), "{operation:?}");
        assert_eq!((yard.simulator.machine_count(), entity.backend_id), (0, None), "{operation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_of_any_step_passes() {
    for operation in [Operation::ProvideImage, Operation::Create, Operation::Machine] {
        let yard = Yard::new(Delays::default()).await;
        // What failed may succeed as well as what could not be reached.
        yard.simulator.inject(operation, Fault::Before(unreachable()), 1);
        yard.simulator.inject(operation, Fault::Before(failed()), 1);
        let (id, _) = yard.order().await;
        let entity = yard.settle(id).await.unwrap();
        assert_eq!((entity.state, yard.simulator.machine_count()), (EntityState::Active, 1), "{operation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_machine() {
    let yard = Yard::new(Delays::default()).await;
    yard.simulator.inject(Operation::Create, Fault::AnswerLost, 1);
    let (id, tag) = yard.order().await;
    let entity = yard.settle(id).await.unwrap();
    assert_eq!(entity.state, EntityState::Active);
    assert_eq!(yard.simulator.machine_count(), 1);
    assert_eq!(yard.simulator.find_by_tag(tag).await.unwrap().unwrap().id.as_str(), entity.backend_id.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_fails_is_tried_until_it_succeeds() {
    let yard = Yard::new(Delays::default()).await;
    yard.simulator.inject(Operation::Machine, Fault::Before(refused()), 1);
    yard.simulator.inject(Operation::Delete, Fault::Before(failed()), 3);
    let (id, _) = yard.order().await;
    let entity = yard.settle(id).await.unwrap();
    assert_eq!((entity.state, yard.simulator.machine_count()), (EntityState::Error, 0));
    assert!(entity.state_message.unwrap().contains("out of luck"), "the first reason is the one that counts");
    assert_eq!(yard.simulator.calls(Operation::Delete), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_never_given_up() {
    let yard = Yard::new(Delays::default()).await;
    let (id, _) = yard.order().await;
    yard.settle(id).await.unwrap();
    yard.simulator.inject(Operation::Delete, Fault::Before(failed()), 2);
    yard.simulator.inject(Operation::Delete, Fault::AnswerLost, 1);
    yard.remove(id).await;
    assert!(yard.settle(id).await.is_none());
    assert_eq!(yard.simulator.machine_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_on_the_way_cancels_and_leaves_nothing() {
    for millis in [0, 5, 30, 80, 200] {
        let pause = Duration::from_millis(40);
        let delays = Delays { call: pause, image: pause, boot: Duration::from_secs(3600), ..Delays::default() };
        let yard = Yard::new(delays).await;
        let (id, _) = yard.order().await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        yard.remove(id).await;
        assert!(yard.settle(id).await.is_none(), "after {millis} ms");
        assert_eq!(yard.simulator.machine_count(), 0, "after {millis} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_anywhere_loses_and_doubles_nothing() {
    let pause = Duration::from_millis(15);
    for millis in (0..150).step_by(10) {
        let mut yard = Yard::new(Delays { call: pause, boot: pause, ..Delays::default() }).await;
        let (id, tag) = yard.order().await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        yard.crash().await;
        let entity = yard.settle(id).await.unwrap();
        assert_eq!((entity.state, yard.simulator.machine_count()), (EntityState::Active, 1), "after {millis} ms");
        assert!(yard.simulator.find_by_tag(tag).await.unwrap().is_some());
        yard.remove(id).await;
        tokio::time::sleep(Duration::from_millis(millis / 3)).await;
        yard.crash().await;
        assert!(yard.settle(id).await.is_none());
        assert_eq!(yard.simulator.machine_count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_lease_writes_no_more() {
    let yard = Yard::asleep().await;
    yard.order().await;
    let claim = Claim { owner: "somebody", site: "lab", operation: "create", priority: 0, most: 10 };
    let take = || {
        let claim = claim.clone();
        yard.db.write(move |connection| saga::claim(connection, &claim))
    };
    let paused = take().await.unwrap().pop().unwrap();
    assert!(take().await.unwrap().is_empty(), "a held saga is not given away");
    yard.db.write(|connection| saga::release(connection, "somebody")).await.unwrap();
    let owner = take().await.unwrap().pop().unwrap();
    let write = |held: saga::Saga| {
        yard.db.write(move |connection| {
            saga::check_fence(connection, held.id, held.fence)?;
            entity::set_message(connection, held.entity, Some("written"))
        })
    };
    assert!(matches!(write(paused).await, Err(StoreError::Fenced(_))));
    write(owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_the_site_is_seen() {
    let yard = Yard::new(Delays::default()).await;
    let (id, tag) = yard.order().await;
    yard.settle(id).await.unwrap();
    yard.simulator.guest_powers_off(tag);
    wait_for_state(&yard, id, EntityState::Inactive).await;
    yard.simulator.vanish(tag);
    wait_for_state(&yard, id, EntityState::Error).await;
    assert!(yard.find(id).await.unwrap().state_message.unwrap().contains("vanished"));
    yard.remove(id).await;
    assert!(yard.settle(id).await.is_none());
}

async fn wait_for_state(yard: &Yard, id: EntityId, state: EntityState) {
    for _ in 0..1500 {
        if yard.find(id).await.unwrap().state == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{state:?} was expected: {:?}", yard.find(id).await);
}
