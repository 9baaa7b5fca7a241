//! Lists: page by page, object by object, and never from another host.

use backend::{Backend, BackendError};
use serde_json::{Value, json};

use crate::recorded::{Recorded, Reply, Request, Service, server};

const TAG: &str = "0193c2b0-0000-7000-8000-000000000001";

fn marker(request: &Request) -> Option<u32> {
    request.path.split(['?', '&']).find_map(|part| part.strip_prefix("marker=")).and_then(|text| text.parse().ok())
}

fn is_list(request: &Request) -> bool {
    request.is("GET", "/v2.1/servers/detail") && (request.path.contains("tags=") || marker(request).is_some())
}

fn page(request: &Request, last: u32, link: impl Fn(u32) -> String) -> Value {
    let page = marker(request).unwrap_or(0);
    let servers: Vec<Value> = (0..500).map(|number| server(page * 500 + number, TAG)).collect();
    match page == last {
        true => json!({ "servers": servers }),
        false => json!({ "servers": servers, "servers_links": [{ "rel": "next", "href": link(page + 1) }] }),
    }
}

#[tokio::test]
async fn ten_thousand_machines_come_in_pages_whose_links_name_another_host() {
    let service = Service::start(|request, _: &Recorded| {
        let link = |next| format!("https://elsewhere.invalid/v2.1/servers/detail?limit=500&marker={next}");
        is_list(request).then(|| Reply::Json(200, page(request, 19, link)))
    })
    .await;
    let listing = service.backend().machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (10_000, 0));
    // One call for each page, and one for machines that Nova does not find by their tags yet.
    assert_eq!(service.count("GET", "/v2.1/servers/detail"), 21);
}

#[tokio::test]
async fn relative_links_are_followed_and_circles_are_not() {
    let service = Service::start(|request, _| {
        let link = |next| format!("/v2.1/servers/detail?marker={}", next % 2);
        is_list(request).then(|| Reply::Json(200, page(request, 99, link)))
    })
    .await;
    let circle = service.backend().machines().await;
    assert!(matches!(&circle, Err(BackendError::Failed(why)) if why.contains("circle")), "{circle:?}");
}

#[tokio::test]
async fn a_malformed_machine_costs_itself() {
    let service = Service::start(|request, _| {
        is_list(request).then(|| {
            let mut giant = server(3, TAG);
            giant["name"] = "x".repeat(2000).into();
            let mut nameless = server(4, TAG);
            nameless["id"] = "../../etc".into();
            let mut text = format!("{{\"servers\": [{}, ", server(1, TAG)).into_bytes();
            text.extend(b"{\"id\": \"");
            text.extend([0xff, 0xfe]);
            text.extend(b"\"}, {\"id\": NaN}, 7, ");
            text.extend(format!("{giant}, {nameless}, {}]}}", server(2, TAG)).into_bytes());
            Reply::Bytes(text)
        })
    })
    .await;
    let listing = service.backend().machines().await.unwrap();
    assert_eq!((listing.objects.len(), listing.unreadable_count()), (2, 5), "{:?}", listing.unreadable);
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_a_failure() {
    for text in ["[]", "{}", "{\"servers\": {}}", "{\"servers\": [", "nothing"] {
        let service = Service::start(move |request, _| is_list(request).then(|| Reply::Bytes(text.into()))).await;
        let answer = service.backend().machines().await;
        assert!(matches!(answer, Err(BackendError::Failed(_))), "{text}: {answer:?}");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits_and_asks_again() {
    let service = Service::start(|request, recorded| {
        let is_first = recorded.count("GET", "/v2.1/servers/detail") == 1;
        (is_list(request) && is_first).then(|| {
            let words = json!({ "overLimit": { "code": 429, "message": "too many" } });
            Reply::Headed(429, "Retry-After", "0".into(), words)
        })
    })
    .await;
    assert!(service.backend().machines().await.unwrap().objects.is_empty());
    assert_eq!(service.count("GET", "/v2.1/servers/detail"), 3);
}

#[tokio::test]
async fn an_older_nova_is_named() {
    let service = Service::with(3600, "2.40", |_, _| None).await;
    let answer = service.backend().machines().await;
    let named = matches!(&answer, Err(BackendError::Unsupported(why)) if why.contains("2.53") && why.contains("Pike"));
    assert!(named, "{answer:?}");
}
