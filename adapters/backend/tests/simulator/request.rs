use backend::request::{self, RequestId};

#[test]
fn only_ids_that_need_no_quoting_are_ids() {
    let longest = "x".repeat(128);
    for good in ["7", "a-b_c.d/e:f=g+h", "0190b6a2-7b1e-7c5f-a6b5-000000000000", longest.as_str()] {
        assert_eq!(good.parse::<RequestId>().unwrap().to_string(), good);
    }
    let too_long = "x".repeat(129);
    for wrong in ["", " ", "a b", "a\nb", "a\0", "\"", "a\\b", "a,b", "a;b", "é", "\u{7f}", too_long.as_str()] {
        assert!(wrong.parse::<RequestId>().is_err(), "{wrong:?}");
        assert!(serde_json::from_value::<RequestId>(wrong.into()).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_request_is_known_in_its_scope_alone() {
    let (outer, inner): (RequestId, RequestId) = ("outer".parse().unwrap(), "inner".parse().unwrap());
    assert_eq!(request::current(), None);
    let seen = request::scope(outer.clone(), async {
        let within = request::scope(inner.clone(), async { request::current() }).await;
        let elsewhere = tokio::spawn(async { request::current() }).await.unwrap();
        (request::current(), within, elsewhere)
    });
    assert_eq!(seen.await, (Some(outer), Some(inner), None));
    assert_eq!(request::current(), None);
}
