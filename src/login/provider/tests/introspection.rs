use serde_json::json;

use super::{Rig, remove};
use crate::login::provider::{Clock, ProviderError, Providers, hostile::Hostile};

fn rig() -> Rig {
    Rig::with(|config| config.introspection = true)
}

#[tokio::test]
async fn a_token_that_only_its_provider_can_read_is_asked_about() {
    let rig = rig();
    let token = rig.hostile.opaque_token();
    let bearer = rig.providers.bearer(&token).await.unwrap().unwrap();
    assert_eq!(bearer.claims.identity.subject, "subject-of-anna");
    assert_eq!(bearer.claims.all["groups"], json!(["teachers", "class-3b"]));
    assert_eq!(rig.providers.bearer("canary-access-unknown").await.unwrap(), None);
}

#[tokio::test]
async fn nobody_is_asked_unless_that_is_configured() {
    let rig = Rig::new();
    assert_eq!(rig.providers.bearer(&rig.hostile.opaque_token()).await.unwrap(), None);
    assert_eq!(rig.hostile.requests("/introspect"), 0);
}

#[tokio::test]
async fn an_answer_must_say_that_the_token_is_for_us_and_holds() {
    let now = Clock::default().now();
    for (what, name, value) in [
        ("inactive", "active", json!(false)),
        ("active as a text", "active", json!("true")),
        ("another client's", "client_id", json!("other")),
        ("another audience", "aud", json!("other")),
        ("another issuer", "iss", json!("https://evil.example")),
        ("expired", "exp", json!(now - 120)),
        ("a refresh token", "token_type", json!("refresh_token")),
        ("bound to a key", "token_type", json!("DPoP")),
        ("bound to a certificate", "cnf", json!({"x5t#S256": "x"})),
        ("nobody", "sub", json!(null)),
    ] {
        let rig = rig();
        assert!(rig.providers.bearer(&rig.hostile.opaque_token()).await.unwrap().is_some(), "before {what}");
        rig.hostile.play(|script| script.introspection = Box::new(move |said| said[name] = value.clone()));
        assert_eq!(rig.providers.bearer(&rig.hostile.opaque_token()).await.unwrap(), None, "{what}");
    }
    for name in ["active", "sub", "token_type", "client_id"] {
        let rig = rig();
        rig.hostile.play(|script| script.introspection = Box::new(move |said| remove(said, name)));
        assert_eq!(rig.providers.bearer(&rig.hostile.opaque_token()).await.unwrap(), None, "without {name}");
    }
}

#[tokio::test]
async fn answers_are_kept_for_a_while_both_good_and_bad() {
    let rig = rig();
    let good = rig.hostile.opaque_token();
    for token in [&*good, "canary-access-unknown"] {
        for _ in 0..10 {
            rig.providers.bearer(token).await.unwrap();
        }
    }
    assert_eq!(rig.hostile.requests("/introspect"), 2);
    rig.clock.advance(10);
    for token in [&*good, "canary-access-unknown"] {
        rig.providers.bearer(token).await.unwrap();
    }
    assert_eq!(rig.hostile.requests("/introspect"), 3, "the bad one is asked about again, the good one is not");
}

#[tokio::test]
async fn a_provider_that_is_away_is_no_verdict() {
    let rig = rig();
    let token = rig.hostile.opaque_token();
    rig.hostile.play(|script| script.outage = Some(503));
    assert!(matches!(rig.providers.bearer(&token).await, Err(ProviderError::Away { .. })));
    rig.hostile.behave();
    rig.clock.advance(10);
    assert!(rig.providers.bearer(&token).await.unwrap().is_some());
}

#[tokio::test]
async fn two_providers_cannot_both_be_asked() {
    let clock = Clock::default();
    let (one, two) = (Hostile::start(&clock), Hostile::start(&clock));
    let (mut first, mut second) = (one.config("one"), two.config("two"));
    (first.introspection, second.introspection) = (true, true);
    let secret = crate::login::secret::Secret::from_bytes([1; 32]);
    assert!(Providers::new(&[first.clone(), second.clone()], None, &secret).is_err());
    second.introspection = false;
    let both = Providers::new(&[first, second], None, &secret).unwrap();
    // A token of the second one is no business of the first.
    both.bearer(&two.token("at+jwt", &two.access_claims())).await.unwrap().unwrap();
    assert_eq!(one.requests("/introspect"), 0);
}
