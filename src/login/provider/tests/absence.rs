use serde_json::json;

use super::{BASE, NAME, Rig};
use crate::login::{
    local_path::LocalPath,
    provider::{ProviderError, hostile::Signer},
};

#[tokio::test]
async fn f31_keys_outlive_their_provider_for_a_day() {
    let rig = Rig::new();
    rig.sign_in().await.unwrap();
    let mut claims = rig.hostile.access_claims();
    claims["exp"] = json!(rig.clock.now() + 100_000);
    let token = rig.hostile.token("at+jwt", &claims);
    rig.hostile.stop().await;
    for seconds in [0, 3_601, 40_000, 40_000] {
        rig.clock.advance(seconds);
        assert!(rig.providers.bearer(&token).await.unwrap().is_some(), "after {seconds} more seconds");
    }
    rig.clock.advance(4_000);
    assert!(matches!(rig.providers.bearer(&token).await, Err(ProviderError::Away { .. })));
}

#[tokio::test]
async fn f31_an_absent_provider_is_told_apart_and_costs_one_question() {
    let rig = Rig::new();
    rig.hostile.play(|script| script.outage = Some(503));
    for _ in 0..5 {
        let begun = rig.providers.begin(NAME, BASE, &LocalPath::default()).await;
        let error = begun.unwrap_err();
        assert!(matches!(error, ProviderError::Away { .. }) && error.is_passing(), "{error:?}");
        assert!(error.to_string().contains("try again"), "{error}");
    }
    assert_eq!(rig.hostile.requests("/.well-known/openid-configuration"), 1);
    rig.hostile.behave();
    rig.clock.advance(10);
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn f32_keys_that_were_rotated_are_fetched_at_once() {
    let rig = Rig::new();
    rig.sign_in().await.unwrap();
    rig.hostile.rotate(Signer::es256("second"));
    rig.sign_in().await.unwrap();
    assert_eq!(rig.hostile.requests("/jwks"), 2);
}

#[tokio::test]
async fn f32_unknown_key_names_make_us_ask_twice_a_minute_at_most() {
    let rig = Rig::new();
    rig.sign_in().await.unwrap();
    for n in 0..100 {
        let name = format!("unknown-{n}");
        let signer = Signer::other_rsa(&name);
        let token = signer.token(&json!({"alg": "RS256", "kid": name, "typ": "at+jwt"}), &rig.hostile.access_claims());
        assert_eq!(rig.providers.bearer(&token).await.unwrap(), None);
    }
    assert_eq!(rig.hostile.requests("/jwks"), 2);
    rig.clock.advance(30);
    rig.hostile.rotate(Signer::es256("second"));
    rig.sign_in().await.unwrap();
    assert_eq!(rig.hostile.requests("/jwks"), 3);
}

#[tokio::test]
async fn f32_a_key_that_was_withdrawn_signs_nothing_after_an_hour() {
    let rig = Rig::new();
    let mut claims = rig.hostile.access_claims();
    claims["exp"] = json!(rig.clock.now() + 100_000);
    let token = rig.hostile.token("at+jwt", &claims);
    assert!(rig.providers.bearer(&token).await.unwrap().is_some());
    rig.hostile.rotate(Signer::es256("second"));
    rig.clock.advance(3_600);
    assert_eq!(rig.providers.bearer(&token).await.unwrap(), None);
}

#[tokio::test]
async fn a_document_that_is_wrong_is_refused_with_words() {
    for (what, change) in [
        ("another issuer", ("issuer", json!("https://evil.example"))),
        ("a key address in the clear", ("jwks_uri", json!("http://169.254.169.254/latest/meta-data"))),
        ("a token address elsewhere on this host", ("token_endpoint", json!("http://localhost:1/token"))),
        ("no PKCE", ("code_challenge_methods_supported", json!(["plain"]))),
        ("an endless document", ("ui_locales_supported", json!("x".repeat(300 << 10)))),
        ("no token endpoint", ("token_endpoint", json!(null))),
    ] {
        let rig = Rig::new();
        let (name, value) = change;
        rig.hostile.play(|script| script.discovery = Box::new(move |document| document[name] = value.clone()));
        let begun = rig.providers.begin(NAME, BASE, &LocalPath::default()).await;
        assert!(matches!(begun, Err(ProviderError::Unfit { .. })), "{what}: {begun:?}");
        rig.hostile.behave();
        rig.clock.advance(10);
        rig.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let rig = Rig::new();
    rig.hostile.play(|script| script.outage = Some(302));
    let begun = rig.providers.begin(NAME, BASE, &LocalPath::default()).await;
    assert!(matches!(&begun, Err(ProviderError::Unfit { problem, .. }) if problem.contains("redirects")), "{begun:?}");
}

#[tokio::test]
async fn keys_that_are_too_many_or_none_are_refused() {
    for keys in [json!({"keys": []}), json!({}), json!([]), json!({"keys": vec![Signer::rsa("first").public(); 65]})] {
        let rig = Rig::new();
        rig.hostile.play(|script| script.keys = Box::new(move |document| *document = keys.clone()));
        let signed_in = rig.sign_in().await;
        assert!(matches!(signed_in, Err(ProviderError::Unfit { .. })), "{signed_in:?}");
    }
}
