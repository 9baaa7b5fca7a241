use super::{BASE, NAME, Rig};
use crate::login::{
    provider::{ProviderConfig, ProviderError, Providers, Unconfirmed, hostile::Script},
    secret::Secret,
};

/// What must never be in an error: all tokens, codes and secrets of the hostile provider begin so.
const CANARY: &str = "canary";

fn is_silent(error: &(impl std::fmt::Display + std::fmt::Debug)) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains("eyJ"), "a token is in {text}");
    }
}

#[tokio::test]
async fn a47_no_error_holds_a_token_a_code_or_a_secret() {
    let misdeeds: [fn(&mut Script); 8] = [
        |script| script.id_token = Box::new(|claims| claims["nonce"] = serde_json::json!("x")),
        |script| script.id_token = Box::new(|claims| claims["at_hash"] = serde_json::json!("x")),
        |script| script.token_answer = Box::new(|answer| answer["id_token"] = answer["access_token"].clone()),
        |script| script.token_answer = Box::new(|answer| answer["expires_in"] = answer["access_token"].clone()),
        |script| script.token_answer = Box::new(|answer| answer["token_type"] = answer["access_token"].clone()),
        |script| script.token_answer = Box::new(|answer| *answer = serde_json::json!([answer["access_token"]])),
        |script| script.userinfo_status = 500,
        |script| script.outage = Some(500),
    ];
    let rig = Rig::new();
    for misdeed in misdeeds {
        rig.hostile.behave();
        let begun = rig.begin().await;
        let answer = rig.hostile.visit(&begun.location);
        let person = rig.sign_in().await.unwrap();
        rig.hostile.play(misdeed);
        is_silent(&rig.finish(&begun, &answer).await.unwrap_err());
        let refresh_token = person.signed_in.refresh_token.clone().unwrap();
        let identity = &person.signed_in.claims.identity;
        let confirmed = rig.providers.confirm(NAME, identity, &refresh_token).await;
        if let Err(Unconfirmed::Ended(reason) | Unconfirmed::Away { reason, .. }) = &confirmed {
            is_silent(reason);
        }
        is_silent(&format!("{begun:?} {answer:?} {person:?} {confirmed:?}"));
        rig.hostile.behave();
        rig.clock.advance(10);
    }
    let token = rig.hostile.token("logout+jwt", &serde_json::json!({"jti": "canary"}));
    is_silent(&rig.providers.logout_token(NAME, &token).await.unwrap_err());
}

fn refused(configured: &[ProviderConfig]) -> ProviderError {
    let made = Providers::new(configured, None, &Secret::from_bytes([1; 32]));
    made.map(|_| panic!("it is taken")).unwrap_err()
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused_with_words() {
    let rig = Rig::new();
    let good = rig.hostile.config(NAME);
    let changes: [fn(&mut ProviderConfig); 9] = [
        |config| config.name = "School".to_owned(),
        |config| config.name = String::new(),
        |config| config.name = "../x".to_owned(),
        |config| config.client_id = String::new(),
        |config| config.signing_algorithms = Vec::new(),
        |config| config.allow_http = false,
        |config| config.issuer = "http://id.school.example".to_owned(),
        |config| config.client_secret_file = Some("/nonexistent".into()),
        |config| config.client_secret = Some(String::new().into()),
    ];
    for change in changes {
        let mut config = good.clone();
        change(&mut config);
        let error = refused(&[config]);
        assert!(matches!(error, ProviderError::Misconfigured { .. }), "{error:?}");
        is_silent(&error);
    }
    let twin = ProviderConfig { name: "twin".to_owned(), ..good.clone() };
    refused(&[good.clone(), twin]);
    let namesake = ProviderConfig { issuer: "https://id.school.example".to_owned(), ..good.clone() };
    refused(&[good, namesake]);
    assert!(matches!(rig.providers.begin("no", BASE, &Default::default()).await, Err(ProviderError::Unknown { .. })));
}

#[tokio::test]
async fn providers_are_listed_with_what_people_call_them() {
    let rig = Rig::new();
    let named = ProviderConfig {
        name: "ministry".to_owned(),
        title: "Ministry of Education".to_owned(),
        issuer: "https://id.ministry.example".to_owned(),
        ..rig.hostile.config(NAME)
    };
    let configured = [rig.hostile.config(NAME), named];
    let listed = Providers::new(&configured, None, &Secret::from_bytes([1; 32])).unwrap().listed();
    let names: Vec<_> = listed.iter().map(|one| (&*one.name, &*one.title)).collect();
    assert_eq!(names, [(NAME, NAME), ("ministry", "Ministry of Education")]);
    assert!(Providers::new(&[], None, &Secret::from_bytes([1; 32])).unwrap().listed().is_empty());
}

#[tokio::test]
async fn a_client_secret_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{}\n", crate::login::provider::hostile::CLIENT_SECRET)).unwrap();
    let rig = Rig::with(|config| {
        config.client_secret = None;
        config.client_secret_file = Some(file);
    });
    rig.sign_in().await.unwrap();
}
