//! Nobody takes more than they may, however many ask at once; and nobody is refused who may.

use futures_util::future::join_all;

use super::{Yard, forbidden, on_both, project, request, storage};
use crate::{
    broker::{BrokerError, Repeatable, tests::BASE},
    store::{
        Db,
        quota::{self, Limits, Whose},
        reservation::{self, Usage},
    },
};

const GIB: i64 = 1 << 30;

fn disk(gib: i64) -> Limits {
    Limits { disk_bytes: Some(gib * GIB), ..Limits::default() }
}

async fn limit(db: &Db, name: &'static str, whose: Whose, limits: Limits) {
    let project = project(db, name).await;
    db.write(move |connection| quota::set(connection, project, whose, limits)).await.unwrap();
}

async fn taken(db: &Db, name: &'static str) -> Usage {
    let project = project(db, name).await;
    db.read(move |connection| reservation::taken(connection, project, None)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_take_exactly_what_they_may() {
    on_both(async |db| {
        let yard = Yard::over(db.clone()).await;
        limit(&db, "class", Whose::Project, disk(8)).await;
        limit(&db, "free", Whose::Project, disk(1000)).await;
        let ann = yard.principal("ann", "class", "read operate").await;
        let others = yard.principal("bob", "free", "read operate").await;
        let asked = (0..40).map(|number| {
            let (broker, ann, others) = (yard.broker.clone(), ann.clone(), others.clone());
            // Those of another project are not in the way of these.
            let who = if number % 4 == 3 { others } else { ann };
            tokio::spawn(async move { (number % 4 == 3, broker.make(&who, &storage(1)).await) })
        });
        let mut made = [0, 0];
        for outcome in join_all(asked.collect::<Vec<_>>()).await {
            match outcome.unwrap() {
                (is_other, Ok(_)) => made[usize::from(is_other)] += 1,
                (false, refused) => {
                    let words = forbidden(refused);
                    assert!(
                        words.contains("project class") && words.contains("limited to 8589934592 bytes"),
                        "{words}"
                    );
                }
                (true, refused) => panic!("{refused:?}"),
            }
        }
        assert_eq!(made, [8, 10]);
        assert_eq!((taken(&db, "class").await.disk_bytes, taken(&db, "free").await.disk_bytes), (8 * GIB, 10 * GIB));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_the_project_for_each_member_and_for_one() {
    on_both(async |db| {
        let yard = Yard::over(db.clone()).await;
        let ann = yard.principal("ann", "class", "read operate").await;
        let bob = yard.principal("bob", "class", "read operate").await;
        let make = async |who: &crate::login::Principal, gib: u32| yard.broker.make(who, &storage(gib)).await;
        make(&ann, 100).await.unwrap();
        assert_eq!(taken(&db, "class").await.disk_bytes, 100 * GIB, "without a limit there is none");
        limit(&db, "class", Whose::EachMember, disk(110)).await;
        limit(&db, "class", Whose::Member(bob.user), disk(5)).await;
        let words = forbidden(make(&ann, 11).await);
        for part in ["disk for you are limited to 118111600640 bytes", "107374182400 bytes are taken", "manager"] {
            assert!(words.contains(part), "{words}");
        }
        make(&ann, 10).await.unwrap();
        forbidden(make(&bob, 6).await);
        make(&bob, 5).await.unwrap();
        limit(&db, "class", Whose::Project, disk(116)).await;
        limit(&db, "class", Whose::Member(bob.user), Limits::default()).await;
        assert!(forbidden(make(&bob, 2).await).contains("the whole project"));
        let last = make(&bob, 1).await.unwrap();
        // What is given back can be taken again.
        yard.broker.delete(&bob, last).await.unwrap();
        assert_eq!(taken(&db, "class").await.disk_bytes, 115 * GIB);
        make(&bob, 1).await.unwrap();
        // Who has more than a new limit allows keeps it, and what takes nothing of it is not refused.
        limit(&db, "class", Whose::Project, disk(1)).await;
        forbidden(make(&ann, 1).await);
        yard.broker.make(&ann, &request("network", "")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_of_one_request_count_together_and_a_repeated_one_once() {
    on_both(async |db| {
        let yard = Yard::over(db.clone()).await;
        let ann = yard.principal("ann", "class", "read operate").await;
        limit(&db, "class", Whose::Project, disk(3)).await;
        let address = super::Address { kind: None, path: None, base_url: BASE };
        let four = vec![storage(1); 4];
        forbidden(yard.broker.create(&ann, address, &four, None).await);
        assert_eq!(taken(&db, "class").await, Usage::default(), "all or nothing");
        let key = Repeatable::new("once", [b"the same".as_slice()]).unwrap();
        let first = yard.broker.create(&ann, address, &four[..3], Some(&key)).await.unwrap();
        let second = yard.broker.create(&ann, address, &four[..3], Some(&key)).await.unwrap();
        assert_eq!(first, second, "an answer that was given is given again, limit or not");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grows_counts_for_whom_it_was_made_for() {
    on_both(async |db| {
        let yard = Yard::over(db.clone()).await;
        let ann = yard.principal("ann", "class", "read operate").await;
        let bob = yard.principal("bob", "class", "read operate").await;
        let volume = yard.broker.make(&ann, &storage(10)).await.unwrap();
        // As if its site had made it.
        db.write(move |connection| {
            for saga in crate::store::saga::unfinished_of(connection, volume)? {
                crate::store::saga::drop_if_waiting(connection, saga.id, "made")?;
            }
            crate::store::entity::set_backend_id(connection, volume, Some("volume-1"))
        })
        .await
        .unwrap();
        limit(&db, "class", Whose::Member(ann.user), disk(15)).await;
        let larger = |gib: u32| request("storage", &format!("occi.storage.size={gib}.0"));
        let words = forbidden(yard.broker.update(&bob, volume, &larger(16), BASE).await);
        assert!(words.contains("5368709120") || words.contains("6442450944"), "{words}");
        assert_eq!(taken(&db, "class").await.disk_bytes, 10 * GIB);
        match yard.broker.update(&bob, volume, &larger(15), BASE).await {
            Ok(_) => {}
            Err(BrokerError::Forbidden(words)) => panic!("{words}"),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(taken(&db, "class").await.disk_bytes, 15 * GIB);
        let own = db.read({
            let (project, user) = (ann.project, ann.user);
            move |connection| reservation::taken(connection, project, Some(user))
        });
        assert_eq!(own.await.unwrap().disk_bytes, 15 * GIB, "it is still ann's");
    })
    .await;
}
