use std::collections::HashMap;

use url::Url;

use super::{BASE, NAME, Rig, providers};
use crate::login::{
    local_path::LocalPath,
    provider::{Begun, CallbackAnswer, Clock, ProviderError, hostile::Hostile},
};

fn query(begun: &Begun) -> HashMap<String, String> {
    Url::parse(&begun.location).unwrap().query_pairs().into_owned().collect()
}

fn is_unrequested<T: std::fmt::Debug>(result: &Result<T, ProviderError>) -> bool {
    matches!(result, Err(ProviderError::Unrequested { .. }))
}

#[tokio::test]
async fn a11_each_sign_in_has_a_state_a_nonce_and_a_challenge_of_its_own() {
    let rig = Rig::new();
    let (one, two) = (query(&rig.begin().await), query(&rig.begin().await));
    for name in ["state", "nonce", "code_challenge"] {
        assert!(one[name].len() >= 43, "{name}");
        assert_ne!(one[name], two[name], "{name}");
    }
    assert_eq!(one["code_challenge_method"], "S256");
    assert_eq!(one["redirect_uri"], format!("{BASE}/login/callback/{NAME}"));
    assert_eq!(one["scope"], "openid profile email offline_access");
}

#[tokio::test]
async fn a11_the_state_must_be_that_of_this_browser() {
    let rig = Rig::new();
    let (mine, other) = (rig.begin().await, rig.begin().await);
    let good = rig.hostile.visit(&mine.location);
    let of_other = rig.hostile.visit(&other.location);
    for (what, state) in [("none", None), ("empty", Some(String::new())), ("another's", of_other.state.clone())] {
        let answer = CallbackAnswer { state, ..good.clone() };
        assert!(is_unrequested(&rig.finish(&mine, &answer).await), "{what}");
    }
    assert!(is_unrequested(&rig.finish(&mine, &of_other).await), "an attacker's whole answer");
    assert_eq!(rig.hostile.requests("/token"), 0, "no code was spent for a stranger");
    rig.finish(&mine, &good).await.unwrap();
}

#[tokio::test]
async fn a11_the_cookie_must_be_ours() {
    let rig = Rig::new();
    let begun = rig.begin().await;
    let answer = rig.hostile.visit(&begun.location);
    let mut changed = begun.cookie.clone();
    changed.replace_range(50..51, if &changed[50..51] == "A" { "B" } else { "A" });
    for cookie in ["", "AAAA", &changed, &begun.cookie[1..]] {
        let finished = rig.providers.finish(NAME, BASE, cookie, &answer).await;
        assert!(is_unrequested(&finished), "{cookie}");
    }
    rig.finish(&begun, &answer).await.unwrap();
}

#[tokio::test]
async fn a11_a_sign_in_is_finished_within_ten_minutes_under_the_address_where_it_began() {
    let rig = Rig::new();
    let begun = rig.begin().await;
    let answer = rig.hostile.visit(&begun.location);
    let elsewhere = rig.providers.finish(NAME, "https://evil.example", &begun.cookie, &answer).await;
    assert!(is_unrequested(&elsewhere));
    rig.clock.advance(601);
    assert!(is_unrequested(&rig.finish(&begun, &answer).await));

    let begun = rig.begin().await;
    let answer = rig.hostile.visit(&begun.location);
    rig.clock.advance(590);
    rig.finish(&begun, &answer).await.unwrap();
}

#[tokio::test]
async fn a11_a_code_counts_once() {
    let rig = Rig::new();
    let begun = rig.begin().await;
    let answer = rig.hostile.visit(&begun.location);
    let first = rig.finish(&begun, &answer).await.unwrap();
    assert!(matches!(rig.finish(&begun, &answer).await, Err(ProviderError::Refused { .. })));
    // Even with a provider that gives twice, the same sign-in spends the same thing.
    let again = rig.hostile.visit(&begun.location);
    let second = rig.finish(&begun, &again).await.unwrap();
    assert_eq!(first.spent, second.spent);
    assert!(first.spent.expires_at > rig.clock.now());
    assert_ne!(rig.sign_in().await.unwrap().spent.key, first.spent.key);
}

#[tokio::test]
async fn a11_a_stolen_code_is_worth_nothing_without_the_verifier() {
    let rig = Rig::new();
    let (mine, theirs) = (rig.begin().await, rig.begin().await);
    let stolen = rig.hostile.visit(&theirs.location).code;
    let answer = CallbackAnswer { code: stolen, ..rig.hostile.visit(&mine.location) };
    assert!(matches!(rig.finish(&mine, &answer).await, Err(ProviderError::Refused { .. })));
}

#[tokio::test]
async fn a11_an_answer_without_a_code_signs_nobody_in() {
    let rig = Rig::new();
    let begun = rig.begin().await;
    let good = rig.hostile.visit(&begun.location);
    for code in [None, Some(String::new()), Some("c".repeat(5000))] {
        assert!(is_unrequested(&rig.finish(&begun, &CallbackAnswer { code, ..good.clone() }).await));
    }
    rig.finish(&begun, &good).await.unwrap();
}

#[tokio::test]
async fn a5_the_answer_names_its_issuer_where_the_provider_says_that_it_does() {
    let rig = Rig::new();
    rig.hostile.play(|script| {
        script.discovery = Box::new(|document| {
            document["authorization_response_iss_parameter_supported"] = serde_json::json!(true);
        });
    });
    let begun = rig.begin().await;
    let good = rig.hostile.visit(&begun.location);
    for iss in [None, Some("https://evil.example".to_owned()), Some(format!("{}/", rig.hostile.issuer))] {
        assert!(is_unrequested(&rig.finish(&begun, &CallbackAnswer { iss, ..good.clone() }).await));
    }
    let iss = Some(rig.hostile.issuer.clone());
    rig.finish(&begun, &CallbackAnswer { iss, ..good }).await.unwrap();
}

#[tokio::test]
async fn a5_an_answer_of_one_provider_is_not_taken_for_another() {
    let clock = Clock::default();
    let (honest, evil) = (Hostile::start(&clock), Hostile::start(&clock));
    let both = providers(&[honest.config("honest"), evil.config("evil")], &clock);
    let next = LocalPath::default();
    let begun = both.begin("honest", BASE, &next).await.unwrap();
    let answer = honest.visit(&begun.location);

    // The browser is led to the other's door with the code of the first.
    let mixed = both.finish("evil", BASE, &begun.cookie, &answer).await;
    assert!(is_unrequested(&mixed), "{mixed:?}");
    // The evil one says that the answer is its own.
    let iss = Some(evil.issuer.clone());
    let named = both.finish("honest", BASE, &begun.cookie, &CallbackAnswer { iss, ..answer.clone() }).await;
    assert!(is_unrequested(&named), "{named:?}");
    assert_eq!(evil.requests("/token") + honest.requests("/token"), 0, "the code went nowhere");
    both.finish("honest", BASE, &begun.cookie, &answer).await.unwrap();
}

#[tokio::test]
async fn a5_a_token_of_one_provider_is_not_taken_for_another() {
    let clock = Clock::default();
    let (honest, evil) = (Hostile::start(&clock), Hostile::start(&clock));
    let both = providers(&[honest.config("honest"), evil.config("evil")], &clock);
    // The same key, so that only the issuer tells them apart.
    let issuer = honest.issuer.clone();
    evil.play(move |script| script.id_token = Box::new(move |claims| claims["iss"] = serde_json::json!(issuer)));
    let begun = both.begin("evil", BASE, &LocalPath::default()).await.unwrap();
    let answer = evil.visit(&begun.location);
    let finished = both.finish("evil", BASE, &begun.cookie, &answer).await;
    assert!(matches!(finished, Err(ProviderError::Untrusted { .. })), "{finished:?}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_provider_s_own_words_cut_short() {
    let rig = Rig::new();
    let begun = rig.begin().await;
    let state = rig.hostile.visit(&begun.location).state;
    let words = format!("\r\n{}", "no ".repeat(1000));
    let (error, error_description) = (Some("access_denied".to_owned()), Some(words));
    let answer = CallbackAnswer { state, error, error_description, ..CallbackAnswer::default() };
    let refused = rig.finish(&begun, &answer).await.unwrap_err();
    let ProviderError::Refused { error, description, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(error, "access_denied");
    assert_eq!(description.as_ref().unwrap().chars().count(), 200);
    assert!(!refused.to_string().contains(char::is_control));
}

#[tokio::test]
async fn where_somebody_wanted_to_go_comes_back() {
    let rig = Rig::new();
    let next = LocalPath::or_account(Some("/invitation/abc"));
    let begun = rig.providers.begin(NAME, BASE, &next).await.unwrap();
    let answer = rig.hostile.visit(&begun.location);
    assert_eq!(rig.finish(&begun, &answer).await.unwrap().next, next);
}

#[tokio::test]
async fn a_public_address_takes_the_place_of_what_the_browser_says() {
    let clock = Clock::default();
    let hostile = Hostile::start(&clock);
    let secret = crate::login::secret::Secret::from_bytes([1; 32]);
    let configured = [hostile.config(NAME)];
    let providers =
        crate::login::provider::Providers::new(&configured, Some("https://public.example/"), &secret).unwrap();
    let begun = providers.begin(NAME, "https://evil.example", &LocalPath::default()).await.unwrap();
    assert_eq!(query(&begun)["redirect_uri"], format!("https://public.example/login/callback/{NAME}"));
}
