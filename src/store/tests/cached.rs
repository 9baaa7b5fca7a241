//! What is kept in memory is never older than what anybody has been told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use occi_schema::Mixin;

use super::{entity as compute, project};
use crate::{
    login::{Credentials, authenticate, issue},
    store::{Cached, Db, StoreError, Topic, entity, token, user_mixin},
};

/// `other` is the same database as another process has it.
pub async fn nothing_is_stale(db: &Db, other: &Db) {
    mixins(db, other).await;
    tokens(db, other).await;
}

async fn mixins(db: &Db, other: &Db) {
    let project = project(db, "cached").await;
    let cached: Arc<Cached<&str, usize>> = Arc::new(Cached::new(Topic::Catalogue, 2));
    let reads = Arc::new(AtomicUsize::new(0));
    let count = |db: Db, key: &'static str| {
        let (cached, reads) = (Arc::clone(&cached), Arc::clone(&reads));
        async move {
            let read = move |connection: &mut _| {
                reads.fetch_add(1, Ordering::Relaxed);
                user_mixin::list(connection, project).map(|mixins| mixins.len())
            };
            *cached.get::<StoreError, _>(&db, key, read).await.unwrap()
        }
    };
    assert_eq!((count(db.clone(), "a").await, count(db.clone(), "a").await), (0, 0));
    let other_work = compute(project);
    other.write(move |connection| entity::insert(connection, &other_work)).await.unwrap();
    assert_eq!((count(db.clone(), "a").await, reads.load(Ordering::Relaxed)), (0, 1), "nothing of the topic changed");

    for number in 1..=50 {
        let writer = if number % 2 == 0 { db } else { other };
        let define = move |connection: &mut _| {
            let id = format!("http://example.org/cached#m{number}").parse().unwrap();
            user_mixin::insert(connection, project, &Mixin::tag(id, format!("/m{number}/")))
        };
        // Others read meanwhile, so that readings and writings fall between each other.
        let meanwhile = futures_util::future::join_all((0..4).map(|_| count(db.clone(), "a")));
        let (written, seen) = tokio::join!(writer.write(define), meanwhile);
        written.unwrap();
        assert!(seen.iter().all(|seen| *seen == number || *seen + 1 == number));
        assert_eq!(count(db.clone(), "a").await, number, "what was acknowledged is seen");
    }
    let before = reads.load(Ordering::Relaxed);
    for key in ["a", "b", "c", "d", "d"] {
        assert_eq!(count(db.clone(), key).await, 50);
    }
    assert_eq!(reads.load(Ordering::Relaxed), before + 3, "bounded, but kept");
}

async fn tokens(db: &Db, other: &Db) {
    let is_known = |db: Db, secret: String| async move {
        authenticate(&db, &Credentials { user: None, secret, project: None }).await.unwrap().is_some()
    };
    let issued = issue(db, "ann", "cached", Duration::from_secs(60)).await.unwrap();
    let (id, secret) = (issued.id, issued.to_string());
    for _ in 0..2 {
        assert!(is_known(db.clone(), secret.clone()).await && is_known(other.clone(), secret.clone()).await);
    }
    assert!(db.write(move |connection| token::revoke(connection, id)).await.unwrap());
    assert!(!is_known(db.clone(), secret.clone()).await);
    assert!(!is_known(other.clone(), secret).await, "revoked for every process at once");
    let unknown = issue(other, "bob", "cached", Duration::ZERO).await.unwrap().to_string();
    assert!(!is_known(db.clone(), unknown.clone()).await && !is_known(db.clone(), unknown).await);
}
