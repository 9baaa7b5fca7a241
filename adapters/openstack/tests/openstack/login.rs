//! Tokens: got once, renewed in time and when they are refused, and not begged for.

use std::sync::atomic::{AtomicBool, Ordering};

use backend::{Backend, BackendError, IntentTag};
use futures_util::future::join_all;
use serde_json::json;

use crate::recorded::{Reply, Service};

fn tag() -> IntentTag {
    IntentTag(uuid::Uuid::now_v7())
}

#[tokio::test]
async fn many_calls_at_once_log_in_once() {
    let service = Service::start(|_, _| None).await;
    let backend = service.backend();
    let found = join_all((0..20).map(|_| backend.find_by_tag(tag()))).await;
    assert!(found.into_iter().all(|found| found == Ok(None)));
    assert_eq!(service.logins(), 1);
}

#[tokio::test]
async fn a_token_at_its_end_is_renewed_before_it_is_used() {
    let service = Service::with(0, "2.103", |_, _| None).await;
    let backend = service.backend();
    backend.machines().await.unwrap();
    let before = service.logins();
    backend.machines().await.unwrap();
    assert!(service.logins() > before);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    static REVOKED: AtomicBool = AtomicBool::new(false);
    let service = Service::start(|request, _| {
        let refused = REVOKED.load(Ordering::Relaxed) && request.token.as_deref() == Some("token-1");
        refused.then(|| Reply::Json(401, json!({ "error": { "code": 401, "message": "unauthorized" } })))
    })
    .await;
    let backend = service.backend();
    backend.machines().await.unwrap();
    REVOKED.store(true, Ordering::Relaxed);
    let found = join_all((0..10).map(|_| backend.find_by_tag(tag()))).await;
    assert!(found.into_iter().all(|found| found == Ok(None)));
    assert_eq!(service.logins(), 2);
}

#[tokio::test]
async fn refused_credentials_are_tried_once_and_not_by_every_call() {
    let service = Service::start(|request, _| {
        let words = "The request you have made requires authentication.";
        request
            .is("POST", "/v3/auth/tokens")
            .then(|| Reply::Json(401, json!({ "error": { "code": 401, "message": words, "title": "Unauthorized" } })))
    })
    .await;
    let backend = service.backend();
    for _ in 0..10 {
        let refused = backend.machines().await;
        assert!(matches!(&refused, Err(BackendError::Unauthorized(why)) if why.contains("requires authentication")));
    }
    assert_eq!(service.logins(), 1);
}

#[tokio::test]
async fn a_service_that_refuses_every_token_causes_no_storm_of_logins() {
    let service = Service::start(|request, _| {
        let is_refused = request.token.is_some() && !request.is("GET", "/v2.1/");
        is_refused.then(|| Reply::Json(401, json!({ "error": { "message": "no" } })))
    })
    .await;
    let backend = service.backend();
    for _ in 0..10 {
        assert!(matches!(backend.machines().await, Err(BackendError::Unauthorized(_))));
    }
    assert_eq!(service.logins(), 1);
}
