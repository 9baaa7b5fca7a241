//! A store, simulated sites, and an engine that can be killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backend::{
    Backend, IntentTag,
    simulator::{Behaviour, Simulator},
};
use disk_image::ContentDigest;
use image_store::ImageStore;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Tally;
use crate::{
    dispatch::{
        Dispatch, Order, Policy, Site, Sites, Trial,
        saga::{Moment, When},
    },
    store::{
        Db,
        entity::{self, Entity, EntityId, EntityState},
        event,
        member::{self, ProjectId},
        orphan, replica, saga,
    },
};

/// How long all sagas may take to end.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a world is made of.
#[derive(Clone)]
pub struct Setting {
    /// Names of the sites; each is a simulator of its own.
    pub sites: Vec<&'static str>,
    /// How each behaves at the beginning.
    pub behaviour: Behaviour,
    pub policy: Policy,
    /// How long a site may keep from us what it was asked for.
    pub sighting: Duration,
    /// Every step and undo is done twice.
    pub twice: bool,
    /// A database that is there already; a file of the world's own if there is none.
    pub database: Option<String>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            sites: vec!["lab"],
            behaviour: Behaviour { idempotent_create: false, ..Behaviour::default() },
            policy: Policy::default(),
            sighting: Duration::from_millis(600),
            twice: false,
            database: None,
        }
    }
}

/// When the engine dies.
#[derive(Clone, Default)]
pub struct Death(Arc<DeathInner>);

#[derive(Default)]
struct DeathInner {
    /// At this moment, when it comes for the first time.
    at: std::sync::Mutex<Option<String>>,
    /// After so many moments; none if 0.
    countdown: AtomicUsize,
    died: Notify,
}

impl Death {
    pub fn at(&self, moment: &Moment) {
        *self.0.at.lock().unwrap() = Some(moment.name());
    }

    pub fn after(&self, moments: usize) {
        self.0.countdown.store(moments, Ordering::SeqCst);
    }

    pub async fn comes(&self) {
        self.0.died.notified().await;
    }

    fn strikes(&self, moment: &Moment) -> bool {
        let named = self.0.at.lock().unwrap().take_if(|name| *name == moment.name()).is_some();
        let counted =
            self.0.countdown.load(Ordering::SeqCst) > 0 && self.0.countdown.fetch_sub(1, Ordering::SeqCst) == 1;
        if named || counted {
            self.0.died.notify_one();
        }
        named || counted
    }
}

pub struct World {
    pub db: Db,
    pub death: Death,
    pub project: ProjectId,
    pub image: ContentDigest,
    pub dispatch: Dispatch,
    /// Everything that was ever accepted, and whether it was accepted to go.
    pub accepted: BTreeMap<EntityId, bool>,
    pub kills: usize,
    setting: Setting,
    simulators: BTreeMap<&'static str, Simulator>,
    directory: tempfile::TempDir,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    pub async fn new(setting: Setting) -> Self {
        // In memory where there is such a place: what is tested is not the disk.
        let memory = PathBuf::from("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
        let address =
            setting.database.clone().unwrap_or_else(|| directory.path().join("t.sqlite").display().to_string());
        let db = tokio::task::spawn_blocking(move || Db::open(&address).unwrap()).await.unwrap();
        let path = directory.path().join("image.raw");
        std::fs::write(&path, [7; 4096]).unwrap();
        let store = ImageStore::open(directory.path().join("images")).unwrap();
        let image = store.import(disk_image::open(&path, None).unwrap().as_ref(), &|_, _| ()).unwrap().digest;
        let simulators: BTreeMap<_, _> =
            setting.sites.iter().map(|site| (*site, Simulator::new(setting.behaviour.clone()))).collect();
        let project = db.write(|connection| member::ensure_project(connection, "p")).await.unwrap();
        let (death, shutdown) = (Death::default(), CancellationToken::new());
        let (dispatch, running) = start(&db, &setting, &simulators, &directory, &death, &shutdown);
        Self {
            db,
            death,
            project,
            image,
            dispatch,
            accepted: BTreeMap::new(),
            kills: 0,
            setting,
            simulators,
            directory,
            shutdown,
            running,
        }
    }

    /// The simulator of the only site, or of the first one.
    pub fn simulator(&self) -> &Simulator {
        self.simulators.values().next().unwrap()
    }

    pub fn simulator_of(&self, site: &str) -> &Simulator {
        &self.simulators[site]
    }

    /// Everything dies where it stands, as by `kill -9`, and begins anew.
    pub async fn kill(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
        self.kills += 1;
        self.begin_anew().await;
    }

    async fn begin_anew(&mut self) {
        // Nobody else is alive here: what a restart on SQLite does at once, other replicas on PostgreSQL do when the
        // beat has stood still.
        self.db.write(replica::forget_all).await.unwrap();
        self.shutdown = CancellationToken::new();
        (self.dispatch, self.running) =
            start(&self.db, &self.setting, &self.simulators, &self.directory, &self.death, &self.shutdown);
    }

    /// Ends in good order, and begins anew with another policy.
    pub async fn restart_with(&mut self, policy: Policy) {
        self.stop().await;
        self.setting.policy = policy;
        self.begin_anew().await;
    }

    pub async fn stop(&mut self) {
        self.shutdown.cancel();
        tokio::select! {
            _ = &mut self.running => {}
            // It struck after all was written; the dead do not end by themselves.
            () = self.death.comes() => self.running.abort(),
        }
    }

    pub async fn find(&self, id: EntityId) -> Option<Entity> {
        self.db.read(move |connection| entity::find_for_dispatch(connection, id)).await.unwrap()
    }

    pub async fn tag(&self, id: EntityId) -> IntentTag {
        Order::of(&self.find(id).await.unwrap()).unwrap().tag()
    }

    pub async fn unfinished(&self) -> Vec<saga::Saga> {
        self.db.read(|connection| saga::unfinished(connection, 10_000)).await.unwrap()
    }

    /// Waits until no saga is left; kills what dies meanwhile.
    pub async fn settle(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let died = tokio::time::timeout(Duration::from_millis(20), self.death.comes()).await.is_ok();
            if died {
                self.kill().await;
            }
            let left = self.unfinished().await;
            if left.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "sagas do not end: {left:#?}");
        }
    }

    /// Waits until the entity is as wanted.
    pub async fn await_entity(&self, id: EntityId, wanted: impl Fn(Option<&Entity>) -> bool) -> Option<Entity> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.find(id).await;
            if wanted(found.as_ref()) {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "this is not what was expected: {found:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the entity is in the state.
    pub async fn await_state(&self, id: EntityId, state: EntityState) -> Entity {
        self.await_entity(id, |found| found.is_some_and(|found| found.state == state)).await.unwrap()
    }

    pub async fn orphans(&self) -> Vec<orphan::Orphan> {
        self.db.read(|connection| orphan::all(connection, 10_000)).await.unwrap()
    }

    /// What has been written about the entity: the kinds of its events, in order.
    pub async fn events(&self, id: EntityId) -> Vec<String> {
        self.seal().await;
        let events = self.db.read(|connection| event::after(connection, None, 0, 100_000)).await.unwrap();
        events.into_iter().filter(|event| event.entity == Some(id)).map(|event| event.kind).collect()
    }

    async fn seal(&self) {
        while self.db.write_locking(|connection| event::seal(connection, 1000)).await.unwrap() > 0 {}
    }

    /// Heals every site, waits until all is at rest, and checks I1 to I5.
    pub async fn check(mut self) -> Tally {
        self.simulators.values().for_each(Simulator::heal);
        self.settle().await;
        let mut tally = Tally { runs: 1, kills: self.kills, ..Tally::default() };
        // I1: what was accepted has come to its end, and what was to go is gone.
        let mut owned = BTreeSet::new();
        for (id, is_to_go) in self.accepted.clone() {
            let found = self.find(id).await;
            let is_lost = match &found {
                None => !is_to_go,
                Some(_) if is_to_go => true,
                Some(entity) => entity.state == EntityState::Error && entity.state_message.is_none(),
            };
            if is_lost {
                tally.lost += 1;
                let log = self.db.read(move |connection| saga::events(connection, id)).await.unwrap();
                eprintln!("lost: {id} {found:#?}\n{log:?}");
            }
            if let Some(entity) = found
                && let Some(backend_id) = entity.backend_id
            {
                owned.insert((entity.site.clone(), backend_id));
            }
        }
        for (site, simulator) in &self.simulators {
            // I2: nothing was made twice.
            let duplicates = simulator.duplicates();
            tally.duplicates += duplicates.len();
            if !duplicates.is_empty() {
                eprintln!("twice at {site}: {duplicates:?} of {:?}", simulator.objects());
            }
            // I3: whatever is there belongs to somebody.
            for object in simulator.objects() {
                if !owned.contains(&((*site).to_owned(), object.id.clone())) {
                    tally.orphans += 1;
                    eprintln!("nobody's at {site}: {object:?}");
                }
            }
        }
        // I4 and I5: the log tells what is reserved, entity by entity, and what is reserved is what is there.
        self.seal().await;
        let verified = self.db.read(event::verify).await.unwrap();
        assert!(verified.is_good(), "{verified:#?}");
        self.stop().await;
        tally
    }
}

fn start(
    db: &Db,
    setting: &Setting,
    simulators: &BTreeMap<&'static str, Simulator>,
    directory: &tempfile::TempDir,
    death: &Death,
    shutdown: &CancellationToken,
) -> (Dispatch, JoinHandle<()>) {
    let images = Arc::new(ImageStore::open(directory.path().join("images")).unwrap());
    let site = |(name, simulator): (&&'static str, &Simulator)| {
        let backend = Arc::new(simulator.clone()) as Arc<dyn Backend>;
        Site::new(*name, backend).with_sighting_delay(setting.sighting)
    };
    let death = death.clone();
    let trial = Trial { dies: Some(Arc::new(move |moment: &Moment| death.strikes(moment))), twice: setting.twice };
    let sites = Sites::new(simulators.iter().map(site));
    let dispatch = Dispatch::new(db, sites, &images, setting.policy.clone(), trial);
    let running = dispatch.run(db, shutdown);
    (dispatch, running)
}

/// All moments at which a process may die in these steps.
pub fn moments(saga: &str, steps: &[&'static str], undoing: bool) -> Vec<Moment> {
    let all = steps
        .iter()
        .flat_map(|step| When::ALL.into_iter().map(|when| Moment { saga: saga.to_owned(), step, undoing, when }));
    all.collect()
}
