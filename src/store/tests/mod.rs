//! The same story on SQLite and on a real PostgreSQL: what is written is read back, and nothing is lost between
//! writers.

mod cached;
mod device;
mod event;
mod idempotency;
mod ledger;
mod migration;
mod offer;
pub(crate) mod postgres;
mod quota;
mod reservation;
mod schema;
mod selection;
mod speed;

use std::collections::BTreeMap;

use backend::IntentTag;
use marketplace::{
    Appliance, ApplianceDraft, ApplianceVersion, Architecture, PublicationTime, Requirements, VersionDraft,
};
use occi_schema::{AttributeName, Value, well_known};
use postgres::Postgres;
use uuid::Uuid;

use super::{
    Db, DbConnection, StoreError, Timestamp, appliance,
    entity::{self, Entity, EntityId, EntityState, Facts},
    intent, member,
    saga::{self, Claim, NewSaga, Position, SagaState},
};

fn sqlite(directory: &tempfile::TempDir) -> Db {
    Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let address = directory.path().join("t.sqlite").to_str().unwrap().to_owned();
    let former = migration::entity_of_before(&address);
    migration::entity_is_found(&sqlite(&directory), former).await;
    migration::back_and_forth(&address).unwrap();
    entities_and_sagas(&sqlite(&directory)).await;
    appliances(&sqlite(&directory)).await;
    one_claim_each(&sqlite(&directory)).await;
    only_what_is_due_is_claimed(&sqlite(&directory)).await;
    selection::selections(&sqlite(&directory)).await;
    cached::nothing_is_stale(&sqlite(&directory), &sqlite(&directory)).await;
    migration::down_and_up(&address);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_holds_on_postgresql() {
    let postgres = Postgres::start();
    let former = tokio::task::block_in_place(|| {
        postgres.await_start();
        migration::entity_of_before(&postgres.address())
    });
    let db = tokio::task::block_in_place(|| postgres.open());
    migration::entity_is_found(&db, former).await;
    tokio::task::block_in_place(|| migration::back_and_forth(&postgres.address())).unwrap();
    let db = tokio::task::block_in_place(|| postgres.open());
    entities_and_sagas(&db).await;
    appliances(&db).await;
    one_claim_each(&db).await;
    only_what_is_due_is_claimed(&db).await;
    selection::selections(&db).await;
    // A second replica migrates nothing and sees the same.
    let replica = tokio::task::block_in_place(|| postgres.open());
    assert!(!replica.read(|connection| appliance::offered(connection, None)).await.unwrap().is_empty());
    cached::nothing_is_stale(&db, &replica).await;
    tokio::task::block_in_place(|| migration::down_and_up(&postgres.address()));
}

fn entity(project: member::ProjectId) -> Entity {
    let cores: AttributeName = well_known::attribute::CORES.clone();
    let title = well_known::attribute::TITLE.clone();
    Entity {
        id: EntityId(Uuid::now_v7()),
        project,
        kind: well_known::COMPUTE.clone(),
        mixins: vec![well_known::SMALL.clone()],
        attributes: BTreeMap::from([(cores, Value::Integer(2)), (title, Value::from("教室 \"1\"\n"))]),
        state: EntityState::Inactive,
        state_message: Some("accepted".into()),
        site: "lab".into(),
        placement: serde_json::json!({"site": "lab"}),
        specification: serde_json::json!({"memory_mib": 1024}),
        backend_id: None,
        facts: Facts::default(),
        source: None,
        target: None,
        version: 1,
        updated_at: Timestamp::now(),
    }
}

async fn project(db: &Db, name: &'static str) -> member::ProjectId {
    db.write(move |connection| member::ensure_project(connection, name)).await.unwrap()
}

async fn entities_and_sagas(db: &Db) {
    let project = project(db, "p").await;
    let stranger = self::project(db, "q").await;
    let new = entity(project);
    let (id, tag) = (new.id, IntentTag(Uuid::now_v7()));
    let first = NewSaga { parameters: 1.into(), ..new_saga("provision", id) };
    let second = NewSaga { id: Uuid::now_v7(), name: "removal", blocked_by: Some(first.id), ..first.clone() };
    let (expected, blocked) = (new.clone(), second.id);
    db.write(move |connection| {
        entity::insert(connection, &new)?;
        intent::insert(connection, tag, id, first.id, "lab")?;
        saga::insert(connection, &first)?;
        saga::insert(connection, &second)
    })
    .await
    .unwrap();

    let found = db.read(move |connection| entity::find(connection, project, id)).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    assert!(db.read(move |connection| entity::find(connection, stranger, id)).await.unwrap().is_none());

    let machine: backend::MachineId = "vm-1".parse().unwrap();
    db.write(move |connection| {
        intent::settle(connection, tag, Some(machine.as_str()))?;
        entity::set_backend_id(connection, id, Some(machine.as_str()))?;
        entity::set_state(connection, id, EntityState::Active, None)
    })
    .await
    .unwrap();
    let found = db.read(|connection| entity::with_backend_id_at(connection, "lab", None, 10)).await.unwrap();
    assert_eq!((found.len(), found[0].state, found[0].version), (1, EntityState::Active, 3));

    let claim = Claim { owner: "me", site: "lab", operation: "create", priority: 0, most: 10 };
    let mine = claim.clone();
    let mut claimed = db.write(move |connection| saga::claim(connection, &mine)).await.unwrap();
    let held = claimed.pop().unwrap();
    assert!(claimed.is_empty() && held.id != blocked, "a blocked saga waits");
    db.write(move |connection| saga::request_cancel(connection, held.id)).await.unwrap();
    assert!(db.read(move |connection| saga::is_cancelled(connection, held.id)).await.unwrap());
    let stale = db.write(move |connection| saga::check_fence(connection, held.id, held.fence - 1)).await;
    assert!(matches!(stale, Err(StoreError::Fenced(_))));
    db.write(move |connection| {
        let line = |event| saga::Line { step: "step", event, detail: None };
        saga::log(connection, held.id, [line("begin")])?;
        saga::log(connection, held.id, [line("done")])?;
        saga::advance(connection, &held, &Position { state: SagaState::Done, step: 1, error: None, asks: false })
    })
    .await
    .unwrap();
    let next = db.write(move |connection| saga::claim(connection, &claim)).await.unwrap();
    assert_eq!(next.first().map(|saga| saga.id), Some(blocked), "the end of one is the turn of the next");
    assert_eq!(db.read(move |connection| saga::events(connection, id)).await.unwrap().len(), 2);

    db.write(move |connection| entity::request_removal(connection, id)).await.unwrap();
    assert!(db.read(move |connection| entity::find(connection, project, id)).await.unwrap().is_none());
    db.write(move |connection| entity::remove(connection, id)).await.unwrap();
    assert!(db.read(|connection| saga::unfinished(connection, 10)).await.unwrap().is_empty(), "they go with it");
}

async fn only_what_is_due_is_claimed(db: &Db) {
    let new = entity(project(db, "due").await);
    let id = new.id;
    let saga = |operation| NewSaga { site: "due".into(), operation, ..new_saga("provision", id) };
    let (first, second) = (saga("remove"), saga("create"));
    let sagas = [second.clone(), NewSaga { blocked_by: Some(first.id), ..saga("power") }, saga("remove"), first];
    db.write(move |connection| {
        entity::insert(connection, &new)?;
        sagas.iter().try_for_each(|saga| saga::insert(connection, saga))
    })
    .await
    .unwrap();
    let due = async || db.read(|connection| saga::due(connection, "due")).await.unwrap();
    assert_eq!(due().await, ["create", "remove"], "each once, and nothing that is blocked");
    let claim = Claim { owner: "me", site: "due", operation: "create", priority: 0, most: 10 };
    let held = db.write(move |connection| saga::claim(connection, &claim)).await.unwrap().remove(0);
    assert_eq!(due().await, ["remove"], "nor what is held");
    assert_eq!(held.id, second.id);
    let lines = db
        .write(move |connection| {
            let line = |event| saga::Line { step: "step", event, detail: Some(event) };
            let position = Position { state: SagaState::Running, step: 1, error: None, asks: true };
            saga::advance(connection, &held, &position)?;
            saga::log(connection, held.id, [line("begin")])?;
            saga::log(connection, held.id, [line("done"), line("again")])?;
            let found = saga::unfinished_of(connection, id)?.into_iter().find(|found| found.id == held.id);
            let found = found.unwrap();
            assert!(found.asked_at.is_some() && found.begun_at.is_some() && found.step == 1);
            assert_eq!(found.priority, saga::PRIORITY_BEGUN);
            saga::events(connection, id)
        })
        .await
        .unwrap();
    let events: Vec<&str> = lines.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(events, ["begin", "done", "again"]);
    db.write(move |connection| entity::remove(connection, id)).await.unwrap();
}

async fn appliances(db: &Db) {
    let appliance = |title: &str| {
        let draft =
            ApplianceDraft { name: "debian".into(), title: title.into(), publisher: "us".into(), ..Default::default() };
        Appliance::try_from(draft).unwrap()
    };
    let version = |label: &str, published_at: i64| {
        ApplianceVersion::try_from(VersionDraft {
            label: label.into(),
            image: disk_image::ContentDigest::from_bytes([7; 32]),
            image_bytes: 1 << 33,
            requirements: Requirements {
                architecture: Architecture::X86_64,
                cores: 1,
                memory_mib: 64,
                disk_bytes: 1 << 33,
            },
            published_at: PublicationTime(published_at),
            withdrawn: false,
        })
        .unwrap()
    };
    for (title, label, at) in [("Old", "1", 1), ("New", "2", 2)] {
        let (appliance, version) = (appliance(title), version(label, at));
        db.write(move |connection| appliance::publish(connection, &appliance, &version)).await.unwrap();
    }
    let (again, same) = (appliance("New"), version("2", 3));
    let twice = db.write(move |connection| appliance::publish(connection, &again, &same)).await;
    assert!(twice.unwrap_err().is_duplicate());
    let offered = db.read(|connection| appliance::offered(connection, None)).await.unwrap();
    assert_eq!((offered[0].appliance.title(), offered[0].version.clone()), ("New", version("2", 2)));
    let name = offered[0].appliance.name().clone();
    let withdrawn = db.write(move |connection| appliance::withdraw(connection, &name, Some("2"))).await.unwrap();
    assert_eq!(withdrawn, 1);
    assert_eq!(
        db.read(|connection| appliance::offered(connection, None)).await.unwrap()[0].version.label().as_str(),
        "1"
    );
    assert_eq!(db.read(appliance::oldest_offered).await.unwrap().as_deref(), Some("debian"));
}

fn new_saga(name: &'static str, entity: EntityId) -> NewSaga {
    NewSaga {
        id: Uuid::now_v7(),
        name,
        entity,
        blocked_by: None,
        parameters: serde_json::Value::Null,
        site: "lab".into(),
        operation: "create",
        priority: 0,
        expires_at: None,
        request_id: None,
        trail: None,
    }
}

/// Many claim at once; each saga has one owner.
async fn one_claim_each(db: &Db) {
    const SAGAS: usize = 40;
    let project = project(db, "p").await;
    for _ in 0..SAGAS {
        let new = entity(project);
        db.write(move |connection| {
            entity::insert(connection, &new)?;
            saga::insert(connection, &new_saga("x", new.id))
        })
        .await
        .unwrap();
    }
    let workers = (0..8).map(|worker| {
        let db = db.clone();
        tokio::spawn(async move {
            let (owner, mut mine) = (format!("worker {worker}"), Vec::new());
            loop {
                let owner = owner.clone();
                let claim = move |connection: &mut DbConnection| {
                    let operation = "create";
                    saga::claim(connection, &Claim { owner: &owner, site: "lab", operation, priority: 0, most: 3 })
                };
                let claimed = db.write_locking(claim).await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|saga| saga.id));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((count, all.len()), (SAGAS, SAGAS));
}
