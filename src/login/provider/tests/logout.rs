use serde_json::json;
use url::Url;

use super::{BASE, NAME, Rig, remove};
use crate::login::provider::{
    ProviderError,
    hostile::{Signer, compact},
};

#[tokio::test]
async fn a_provider_ends_sessions() {
    let rig = Rig::new();
    for kind in ["logout+jwt", "JWT"] {
        let token = rig.hostile.token(kind, &rig.hostile.logout_claims());
        let ended = rig.providers.logout_token(NAME, &token).await.unwrap();
        assert_eq!(ended.issuer, rig.hostile.issuer);
        assert_eq!((ended.subject.as_deref(), ended.sid.as_deref()), (Some("subject-of-anna"), Some("session-one")));
        assert!(ended.spent.expires_at > rig.clock.now() + 120);
    }
}

#[tokio::test]
async fn a_logout_may_name_the_person_or_the_session() {
    let rig = Rig::new();
    for (gone, subject, sid) in [("sid", Some("subject-of-anna"), None), ("sub", None, Some("session-one"))] {
        let mut claims = rig.hostile.logout_claims();
        remove(&mut claims, gone);
        let ended = rig.providers.logout_token(NAME, &rig.hostile.token("logout+jwt", &claims)).await.unwrap();
        assert_eq!((ended.subject.as_deref(), ended.sid.as_deref()), (subject, sid));
    }
}

#[tokio::test]
async fn a_logout_counts_once() {
    let rig = Rig::new();
    let mut claims = rig.hostile.logout_claims();
    let ended = |claims: &serde_json::Value| {
        let token = rig.hostile.token("logout+jwt", claims);
        let providers = rig.providers.clone();
        async move { providers.logout_token(NAME, &token).await.unwrap().spent.key }
    };
    let first = ended(&claims).await;
    claims["exp"] = json!(rig.clock.now() + 200);
    assert_eq!(ended(&claims).await, first);
    claims["jti"] = json!("logout-two");
    assert_ne!(ended(&claims).await, first);
}

#[tokio::test]
async fn whatever_is_no_logout_of_this_provider_ends_nothing() {
    let rig = Rig::new();
    let now = rig.clock.now();
    for (what, name, value) in [
        ("another's", "aud", json!("other")),
        ("another issuer's", "iss", json!("https://evil.example")),
        ("expired", "exp", json!(now - 120)),
        ("made long ago", "iat", json!(now - 3600)),
        ("made in the future", "iat", json!(now + 120)),
        ("with a nonce", "nonce", json!("x")),
        ("another event", "events", json!({"http://schemas.openid.net/event/other": {}})),
        ("no event", "events", json!({})),
        ("an event that is no object", "events", json!({"http://schemas.openid.net/event/backchannel-logout": 1})),
        ("events as a list", "events", json!(["http://schemas.openid.net/event/backchannel-logout"])),
        ("a name that is none", "sub", json!(["subject-of-anna"])),
        ("a session that is none", "sid", json!("")),
        ("an endless jti", "jti", json!("x".repeat(300))),
    ] {
        let mut claims = rig.hostile.logout_claims();
        claims[name] = value;
        let ended = rig.providers.logout_token(NAME, &rig.hostile.token("logout+jwt", &claims)).await;
        assert!(matches!(ended, Err(ProviderError::Untrusted { .. })), "{what}: {ended:?}");
    }
    for name in ["iss", "aud", "iat", "exp", "jti", "events"] {
        let mut claims = rig.hostile.logout_claims();
        remove(&mut claims, name);
        let ended = rig.providers.logout_token(NAME, &rig.hostile.token("logout+jwt", &claims)).await;
        assert!(matches!(ended, Err(ProviderError::Untrusted { .. })), "without {name}: {ended:?}");
    }
    let mut claims = rig.hostile.logout_claims();
    remove(&mut claims, "sub");
    remove(&mut claims, "sid");
    assert!(rig.providers.logout_token(NAME, &rig.hostile.token("logout+jwt", &claims)).await.is_err());
}

#[tokio::test]
async fn a1_a3_a_logout_must_be_signed_by_the_provider() {
    let rig = Rig::new();
    let claims = rig.hostile.logout_claims();
    let header = |algorithm: &str| json!({"alg": algorithm, "kid": "first", "typ": "logout+jwt"});
    let long = rig.hostile.token("logout+jwt", &json!({"iss": "x".repeat(20_000)}));
    for token in [
        compact(&header("none"), &claims, |_| Vec::new()),
        Signer::other_rsa("first").token(&header("RS256"), &claims),
        rig.hostile.token("at+jwt", &claims),
        rig.hostile.token("JWT", &rig.hostile.id_claims()),
        "nonsense".to_owned(),
        long,
    ] {
        let ended = rig.providers.logout_token(NAME, &token).await;
        assert!(matches!(ended, Err(ProviderError::Untrusted { .. })), "{token}: {ended:?}");
    }
    rig.providers.logout_token(NAME, &rig.hostile.token("logout+jwt", &claims)).await.unwrap();
}

#[tokio::test]
async fn back_channel_logout_can_be_switched_off() {
    let rig = Rig::with(|config| config.back_channel_logout = false);
    let token = rig.hostile.token("logout+jwt", &rig.hostile.logout_claims());
    assert!(rig.providers.logout_token(NAME, &token).await.is_err());
}

#[tokio::test]
async fn signing_out_goes_on_at_the_provider() {
    let rig = Rig::new();
    let address = rig.providers.end_session(NAME, Some("a.b.c"), BASE).await.unwrap();
    let query: Vec<_> = Url::parse(&address).unwrap().query_pairs().into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        query,
        [
            pair("lang", "en"),
            pair("id_token_hint", "a.b.c"),
            pair("client_id", "tombolo"),
            pair("post_logout_redirect_uri", "https://tombolo.example/login"),
        ]
    );
    assert!(!rig.providers.end_session(NAME, None, BASE).await.unwrap().contains("id_token_hint"));
    assert_eq!(rig.providers.end_session("nobody", None, BASE).await, None);

    let rig = Rig::new();
    rig.hostile.play(|script| script.discovery = Box::new(|document| remove(document, "end_session_endpoint")));
    assert_eq!(rig.providers.end_session(NAME, None, BASE).await, None);
}
