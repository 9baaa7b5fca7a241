//! Creates: refused, lost, and found again.

use backend::{Architecture, Backend, BackendError, IntentTag, MachineJoins, MachineSpec};
use disk_image::ContentDigest;
use serde_json::json;

use crate::recorded::{Reply, Service, server};

fn spec() -> MachineSpec {
    MachineSpec {
        tag: IntentTag(uuid::Uuid::now_v7()),
        name: "one".into(),
        hostname: Some("one.example".into()),
        cores: 1,
        memory_mib: 100,
        disk_bytes: 1 << 20,
        architecture: Architecture::X86_64,
        image: ContentDigest::from_bytes([0x5a; 32]),
        ssh_keys: Vec::new(),
        user_data: None,
        joins: MachineJoins::default(),
    }
}

#[tokio::test]
async fn a_create_asks_for_the_smallest_flavor_that_holds_it_and_carries_its_tag() {
    let wanted = spec();
    let tag = wanted.tag.to_string();
    let service = Service::start(move |request, recorded| {
        let is_made = recorded.count("POST", "/v2.1/servers") > 0;
        if request.is("POST", "/v2.1/servers") {
            return Some(Reply::Json(202, json!({ "server": { "id": server(7, &tag)["id"] } })));
        }
        let is_list = request.is("GET", "/v2.1/servers/detail") && is_made;
        is_list.then(|| Reply::Json(200, json!({ "servers": [server(7, &tag)] })))
    })
    .await;
    let backend = service.backend();
    let machine = backend.create(&wanted).await.unwrap();
    assert_eq!(machine.tag, wanted.tag);
    assert_eq!(backend.create(&wanted).await.unwrap().id, machine.id);
    let posts: Vec<_> =
        service.recorded.requests().into_iter().filter(|request| request.is("POST", "/v2.1/servers")).collect();
    assert_eq!(posts.len(), 1);
    let asked = &posts[0].body["server"];
    assert_eq!(asked["flavorRef"], "t-small");
    assert_eq!(asked["metadata"]["tombolo_tag"], wanted.tag.to_string());
    assert_eq!(asked["tags"], json!(["tombolo", format!("tombolo-{}", wanted.tag)]));
    assert_eq!(asked["hostname"], "one");
    assert_eq!(asked["networks"], "none");
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_by_its_tag() {
    for (status, lost) in [(0, true), (503, false), (500, false)] {
        let wanted = spec();
        let tag = wanted.tag.to_string();
        let service = Service::start(move |request, recorded| {
            if request.is("POST", "/v2.1/servers") {
                let words = json!({ "computeFault": { "code": status, "message": "broken" } });
                return Some(if lost { Reply::Nothing } else { Reply::Json(status, words) });
            }
            let is_made = recorded.count("POST", "/v2.1/servers") > 0;
            let is_list = request.is("GET", "/v2.1/servers/detail") && is_made;
            is_list.then(|| Reply::Json(200, json!({ "servers": [server(7, &tag)] })))
        })
        .await;
        let machine = service.backend().create(&wanted).await.unwrap();
        assert_eq!(machine.tag, wanted.tag, "{status}");
        assert_eq!(service.count("POST", "/v2.1/servers"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_create_that_was_lost_before_nova_had_it_may_be_tried_again() {
    let service = Service::start(|request, _| request.is("POST", "/v2.1/servers").then_some(Reply::Nothing)).await;
    let lost = service.backend().create(&spec()).await;
    assert!(matches!(lost, Err(BackendError::Unreachable(_))), "{lost:?}");
    assert_eq!(service.count("POST", "/v2.1/servers"), 1);
}

#[tokio::test]
async fn a_quota_is_no_room_and_nonsense_is_refused() {
    for (status, name, words, is_quota) in [
        (403, "forbidden", "Quota exceeded for cores, ram: Requested 512, 9000000, but already used 3", true),
        (400, "badRequest", "Can not find requested image", false),
        (403, "forbidden", "Policy doesn't allow os_compute_api:servers:create to be performed.", false),
    ] {
        let service = Service::start(move |request, _| {
            let refusal = json!({ name: { "code": status, "message": words } });
            request.is("POST", "/v2.1/servers").then_some(Reply::Json(status, refusal))
        })
        .await;
        match service.backend().create(&spec()).await {
            Err(BackendError::Capacity(why)) if is_quota => assert!(why.contains("cores"), "{why}"),
            Err(BackendError::Refused(why)) if !is_quota => assert!(why.contains(words), "{why}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_no_flavor_holds_is_refused_with_the_largest_named() {
    let service = Service::start(|_, _| None).await;
    let refused = service.backend().create(&MachineSpec { cores: 64, ..spec() }).await;
    assert!(matches!(&refused, Err(BackendError::Refused(why)) if why.contains("t.small")), "{refused:?}");
    let too_long = MachineSpec { user_data: Some(vec![b'#'; 50_000]), ..spec() };
    let refused = service.backend().create(&too_long).await;
    assert!(matches!(&refused, Err(BackendError::Refused(why)) if why.contains("65535")), "{refused:?}");
    assert_eq!(service.count("POST", "/v2.1/servers"), 0);
}
