//! What is reserved is what the log tells, project by project and entity by entity.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use uuid::Uuid;

use super::{
    event::{seal_all, verify},
    project,
};
use crate::store::{
    Db, StoreError,
    entity::EntityId,
    event::{self, NewEvent},
    member::ProjectId,
    reservation::{self, Usage},
};

fn machine(cores: i64) -> Usage {
    Usage { machines: 1, cores, memory_mib: 512 * cores, disk_bytes: 1 << 40, addresses: 0 }
}

fn event(project: ProjectId, entity: EntityId, usage: Usage) -> NewEvent {
    NewEvent { kind: "test.usage", project: Some(project), entity: Some(entity), usage, ..NewEvent::default() }
}

async fn make(db: &Db, project: ProjectId, usage: Usage) -> EntityId {
    let entity = EntityId(Uuid::now_v7());
    db.write(move |connection| {
        reservation::make(connection, entity, project, None, "lab", usage)?;
        event::record(connection, &event(project, entity, usage))
    })
    .await
    .unwrap();
    entity
}

async fn change(db: &Db, project: ProjectId, entity: EntityId, usage: Option<Usage>) -> Usage {
    db.write(move |connection| {
        let difference = match usage {
            Some(usage) => reservation::change(connection, entity, usage)?,
            None => reservation::release(connection, entity)?,
        };
        event::record(connection, &event(project, entity, difference))?;
        Ok(difference)
    })
    .await
    .unwrap()
}

/// The log and the reservations tell the same, and this.
async fn taken(db: &Db) -> BTreeMap<ProjectId, Usage> {
    let verification = verify(db).await;
    assert!(verification.is_good(), "{verification:?}");
    let reserved: BTreeMap<_, _> = db.read(reservation::by_project).await.unwrap().into_iter().collect();
    assert_eq!(verification.usage, reserved);
    reserved
}

pub async fn usage_is_what_the_log_tells(db: &Db) {
    let [one, two] = [project(db, "u1").await, project(db, "u2").await];
    let first = make(db, one, machine(2)).await;
    let second = make(db, one, machine(4)).await;
    make(db, two, machine(1)).await;
    let both = Usage { machines: 2, cores: 6, memory_mib: 3072, disk_bytes: 2 << 40, addresses: 0 };
    assert_eq!(taken(db).await, BTreeMap::from([(one, both), (two, machine(1))]));
    // Also when some of it is sealed.
    db.write(|connection| event::seal(connection, 2)).await.unwrap();
    assert_eq!(taken(db).await[&one], both);

    let less = Usage { cores: -1, memory_mib: -512, ..Usage::default() };
    assert_eq!(change(db, one, first, Some(machine(1))).await, less);
    assert_eq!(change(db, one, first, Some(machine(1))).await, Usage::default());
    assert_eq!(taken(db).await[&one].cores, 5);
    let twice = db.write(move |c| reservation::make(c, first, one, None, "lab", machine(9))).await;
    assert!(twice.unwrap_err().is_duplicate());

    assert_eq!(change(db, one, second, None).await, machine(4).negative());
    assert_eq!(change(db, one, second, None).await, Usage::default(), "there is nothing any more");
    assert_eq!(change(db, one, second, Some(machine(4))).await, Usage::default());
    change(db, one, first, None).await;
    seal_all(db).await;
    assert_eq!(taken(db).await, BTreeMap::from([(two, machine(1))]));
    differences_are_named(db, two).await;
}

async fn differences_are_named(db: &Db, project: ProjectId) {
    let entity = EntityId(Uuid::now_v7());
    db.write(move |connection| reservation::make(connection, entity, project, None, "lab", machine(3))).await.unwrap();
    let verification = verify(db).await;
    assert!(verification.faults.is_empty() && !verification.is_good());
    let [difference] = verification.differences[..] else { panic!("{verification:?}") };
    assert_eq!((difference.project, difference.entity), (project, Some(entity)));
    assert_eq!((difference.replayed, difference.reserved), (Usage::default(), machine(3)));
    assert!(difference.to_string().contains(&entity.to_string()));
    let undo = format!("DELETE FROM reservations WHERE entity_id = '{entity}'");
    db.write(move |connection| Ok::<_, StoreError>(connection.batch_execute(&undo)?)).await.unwrap();
    taken(db).await;
}
