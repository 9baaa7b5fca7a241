use std::time::Duration;

use backend::BackendError;
use backend_http::{Method, Mode};
use fault_proxy::{Answer, Fault, Times, Which};

use crate::{LONG, Rig};

fn text(answer: &backend_http::Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

#[tokio::test]
async fn without_orders_everything_passes_by_both_ways() {
    for rig in [Rig::forward().await, Rig::reverse().await] {
        let answer = rig.post("servers?limit=2", "hello").await.unwrap();
        assert_eq!(text(&answer), "call 1 of /servers?limit=2: hello");
        assert_eq!(answer.header("x-kept"), Some("yes"));
        assert_eq!(text(&rig.get("chunked").await.unwrap()), "call 2 of /chunked: ");
        assert_eq!(rig.proxy.count(&Which::any()), 2);
        let seen = rig.proxy.seen(&Which::of("POST").to("limit=2").saying("ell"));
        assert_eq!((seen.len(), seen[0].faulty, seen[0].request.path()), (1, false, "/servers"));
        assert_eq!(seen[0].request.authority(), rig.service.authority());
    }
}

#[tokio::test]
async fn only_what_is_meant_is_struck_and_only_so_often() {
    let rig = Rig::forward().await;
    rig.proxy.order(
        Which::of("POST").path_ending("/servers").saying("name"),
        Fault::Refuse(Answer::trouble(500)),
        Times::Next(2),
    );
    for (path, body) in [("servers/7", "name"), ("servers", "other")] {
        assert_eq!(rig.post(path, body).await.unwrap().status, 200);
    }
    assert_eq!(rig.get("servers").await.unwrap().status, 200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(rig.post("servers", "name").await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);
    assert_eq!((rig.service.calls(), rig.proxy.orders_left()), (4, 0));
}

#[tokio::test]
async fn a_lost_answer_is_the_answer_of_something_done() {
    let rig = Rig::forward().await;
    for fault in [Fault::LoseAnswer, Fault::Truncate(3)] {
        rig.proxy.order(Which::of("POST"), fault, Times::Next(1));
        let lost = rig.post("chunked", "").await;
        assert!(matches!(lost, Err(BackendError::Unreachable(_))), "{lost:?}");
    }
    rig.proxy.order(Which::of("POST"), Fault::Replace(Answer::trouble(503)), Times::Next(1));
    assert_eq!(rig.post("servers", "").await.unwrap().status, 503);
    assert_eq!(rig.service.calls(), 3);
    rig.proxy.order(Which::of("POST"), Fault::Cut, Times::Next(1));
    assert!(matches!(rig.post("servers", "").await, Err(BackendError::Unreachable(_))));
    assert_eq!(rig.service.calls(), 3, "and this one was not done");
}

#[tokio::test]
async fn answers_are_changed() {
    let rig = Rig::forward().await;
    let louder = |body: Vec<u8>| body.to_ascii_uppercase();
    rig.proxy.order(Which::any().path_ending("/chunked"), Fault::body(louder), Times::Always);
    for call in 1..3 {
        let answer = rig.get("chunked").await.unwrap();
        assert_eq!(text(&answer), format!("CALL {call} OF /CHUNKED: "));
        assert_eq!(answer.header("x-kept"), Some("yes"));
    }
    rig.proxy.heal().await.unwrap();
    assert_eq!(text(&rig.get("chunked").await.unwrap()), "call 3 of /chunked: ");
}

#[tokio::test]
async fn old_answers_are_those_from_before_the_order() {
    let rig = Rig::forward().await;
    for _ in 0..2 {
        rig.get("servers").await.unwrap();
    }
    rig.proxy.order(Which::any(), Fault::Replay, Times::Always);
    for _ in 0..2 {
        let answer = rig.get("servers").await.unwrap();
        assert_eq!((text(&answer), answer.header("x-kept")), ("call 2 of /servers: ", Some("yes")));
    }
    assert_eq!(text(&rig.get("others").await.unwrap()), "call 3 of /others: ", "nobody had asked that");
    rig.proxy.heal().await.unwrap();
    assert_eq!(text(&rig.get("servers").await.unwrap()), "call 4 of /servers: ");
}

#[tokio::test]
async fn who_is_not_answered_gives_up_in_its_own_time() {
    let rig = Rig::forward().await;
    for (fault, calls) in [(Fault::Silence, 0), (Fault::Drip, 1)] {
        rig.proxy.order(Which::any(), fault, Times::Always);
        let request = rig.caller.request(Method::GET, rig.base.join("servers").unwrap());
        let answer = rig.caller.send(request, Mode::Look, Duration::from_millis(300)).await;
        assert!(matches!(answer, Err(BackendError::Unreachable(_))), "{answer:?}");
        assert_eq!(rig.service.calls(), calls);
        rig.proxy.heal().await.unwrap();
    }
    let request = rig.caller.request(Method::GET, rig.base.join("servers").unwrap());
    rig.caller.send(request, Mode::Look, LONG).await.unwrap();
}
