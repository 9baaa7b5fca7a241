//! Limits are found, for a project, for each of its members, for one of them.

use uuid::Uuid;

use super::project;
use crate::store::{
    Db,
    entity::EntityId,
    member::{self, ProjectId, UserId},
    quota::{self, Limits, Whose},
    reservation::{self, Usage},
};

fn machines(most: i64) -> Limits {
    Limits { machines: Some(most), ..Limits::default() }
}

async fn applying(db: &Db, project: ProjectId, user: UserId) -> (Limits, Limits) {
    let found = db.read(move |c| quota::applying(c, project, Some(user))).await.unwrap();
    (found.project, found.member)
}

pub async fn limits_are_found(db: &Db) {
    let [one, two] = [project(db, "q1").await, project(db, "q2").await];
    let user = async |name: &'static str| db.write(move |c| member::ensure_user(c, name)).await.unwrap();
    let (ann, bob) = (user("ann-q").await, user("bob-q").await);
    let none = Limits::default();
    assert_eq!(applying(db, one, ann).await, (none, none));
    let set = async |whose: Whose, limits: Limits| db.write(move |c| quota::set(c, one, whose, limits)).await.unwrap();
    set(Whose::Project, machines(9)).await;
    set(Whose::EachMember, machines(2)).await;
    set(Whose::Member(bob), machines(5)).await;
    assert_eq!(applying(db, one, ann).await, (machines(9), machines(2)));
    assert_eq!(applying(db, one, bob).await, (machines(9), machines(5)));
    assert_eq!(applying(db, two, bob).await, (none, none), "another project");
    // One who is free of what limits the others.
    set(Whose::Member(bob), none).await;
    assert_eq!(applying(db, one, bob).await, (machines(9), none));
    assert!(db.write(move |c| quota::unset(c, one, Whose::Member(bob))).await.unwrap());
    assert_eq!(applying(db, one, bob).await, (machines(9), machines(2)));
    set(Whose::EachMember, none).await;
    assert_eq!(applying(db, one, ann).await, (machines(9), none));
    assert_eq!(machines(3).left(Usage { machines: 5, cores: 1, ..Usage::default() }), machines(0));
    what_is_put_aside_comes_back(db, one, ann).await;
}

async fn what_is_put_aside_comes_back(db: &Db, project: ProjectId, user: UserId) {
    let (entity, machine) = (EntityId(Uuid::now_v7()), Usage { machines: 1, cores: 2, ..Usage::default() });
    let taken = async || db.read(move |c| reservation::taken(c, project, Some(user))).await.unwrap();
    db.write(move |c| reservation::make(c, entity, project, Some(user), "lab", machine)).await.unwrap();
    assert_eq!(taken().await, machine);
    assert_eq!(db.write(move |c| reservation::put_aside(c, entity)).await.unwrap(), machine.negative());
    assert_eq!(taken().await, Usage::default());
    assert_eq!(db.read(move |c| reservation::of_entity(c, entity)).await.unwrap(), None);
    let changed = db.write(move |c| reservation::change(c, entity, machine)).await.unwrap();
    assert_eq!(changed, Usage::default(), "nothing is reserved for it");
    db.write(move |c| reservation::resume(c, entity, project, "lab", machine)).await.unwrap();
    assert_eq!(taken().await, machine, "for the same user");
    db.write(move |c| reservation::put_aside(c, entity)).await.unwrap();
    assert_eq!(db.write(move |c| reservation::release(c, entity)).await.unwrap(), Usage::default());
    assert_eq!(db.read(move |c| reservation::owner(c, entity)).await.unwrap(), None, "no trace is left");
}
