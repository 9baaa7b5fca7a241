//! Reading needs one right, changing another: method by method.

use occi_schema::{CategoryId, CategoryReference, Limits, MediaType, parse};

use super::{BASE, Yard, action, forbidden, request, rights, storage};
use crate::{
    broker::{Address, Membership, Page, Selected},
    login::Principal,
    store::{Db, entity::EntityClass},
};

const TAG: &str = "http://example.org/tags#mine";

fn mixin() -> Vec<CategoryReference> {
    let text = "Category: mine; scheme=\"http://example.org/tags#\"; class=\"mixin\"; location=\"/mine/\"\n";
    parse::mixins(MediaType::TextPlain, &[], text.as_bytes(), &Limits::default()).unwrap()
}

async fn yard() -> (tempfile::TempDir, Yard, Principal) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
    let yard = Yard::over(db).await;
    let ann = yard.principal("ann", "class", "read operate").await;
    (directory, yard, ann)
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let (_directory, yard, ann) = yard().await;
    let broker = &yard.broker;
    let id = broker.make(&ann, &storage(1)).await.unwrap();
    broker.define_mixins(&ann, &mixin(), BASE).await.unwrap();
    let tag: CategoryId = TAG.parse().unwrap();
    let all = Selected::default();

    let reader = Principal { rights: rights("read"), ..ann.clone() };
    let words = forbidden(broker.make(&reader, &storage(1)).await);
    assert!(words.contains("ann may not make") && words.contains("it has read;"), "{words}");
    let address = Address { kind: None, path: None, base_url: BASE };
    forbidden(broker.create(&reader, address, &[storage(1), storage(1)], None).await);
    forbidden(broker.update(&reader, id, &request("storage", "occi.core.title=\"x\""), BASE).await);
    forbidden(broker.replace(&reader, id, &request("storage", "occi.core.title=\"x\""), BASE).await);
    forbidden(broker.act(&reader, id, "offline", &action("storage", "offline"), None).await);
    forbidden(broker.act_on_all(&reader, &all, "offline", &action("storage", "offline"), None).await);
    for membership in [Membership::Join, Membership::Leave, Membership::Become] {
        forbidden(broker.change_members(&reader, &tag, &[id], membership).await);
    }
    forbidden(broker.define_mixins(&reader, &mixin(), BASE).await);
    forbidden(broker.undefine_mixins(&reader, &mixin()).await);
    forbidden(broker.delete(&reader, id).await);
    forbidden(broker.delete_named(&reader, &[id]).await);
    forbidden(broker.delete_all(&reader, &all).await);

    assert_eq!(broker.show(&reader, id).await.unwrap().id, format!("urn:uuid:{id}"));
    let page = Page { skip: 0, most: 10 };
    assert_eq!(broker.page(&reader, &all, page).await.unwrap().len(), 1, "nothing was made, nothing removed");
    broker.listing(&reader, &all, EntityClass::Resources).await.unwrap();
    broker.events(&reader, Some(0), 10).await.unwrap();
    broker.quota(&reader).await.unwrap();
    assert!(broker.present_to(&reader).await.unwrap().model.category(&tag).is_some());

    // The same with the right to it.
    broker.update(&ann, id, &request("storage", "occi.core.title=\"x\""), BASE).await.unwrap();
    broker.change_members(&ann, &tag, &[id], Membership::Join).await.unwrap();
    broker.undefine_mixins(&ann, &mixin()).await.unwrap();
    broker.delete(&ann, id).await.unwrap();
}

#[tokio::test]
async fn who_may_not_read_sees_nothing() {
    let (_directory, yard, ann) = yard().await;
    let broker = &yard.broker;
    let id = broker.make(&ann, &storage(1)).await.unwrap();
    for without in ["", "manage"] {
        let blind = Principal { rights: rights(without), ..ann.clone() };
        let all = Selected::default();
        let words = forbidden(broker.show(&blind, id).await);
        assert!(words.contains("may not see") && words.contains("right read"), "{words}");
        forbidden(broker.page(&blind, &all, Page { skip: 0, most: 10 }).await);
        forbidden(broker.listing(&blind, &all, EntityClass::Resources).await.map(|_| ()));
        forbidden(broker.events(&blind, Some(0), 10).await);
        forbidden(broker.quota(&blind).await);
        forbidden(broker.present_to(&blind).await.map(|_| ()));
        forbidden(broker.make(&blind, &storage(1)).await);
    }
}
