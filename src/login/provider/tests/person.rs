use serde_json::json;

use super::{Rig, remove};
use crate::login::provider::{
    ProviderError,
    hostile::{Signer, Signing},
};

#[tokio::test]
async fn a7_userinfo_must_be_about_the_same_person() {
    let rig = Rig::new();
    for subject in [json!("somebody-else"), json!(""), json!(null), json!(7)] {
        let what = subject.to_string();
        let error =
            rig.refuses(&what, |script| script.userinfo = Box::new(move |said| said["sub"] = subject.clone())).await;
        assert!(matches!(error, ProviderError::Untrusted { .. }), "{error:?}");
    }
    rig.refuses("no sub", |script| script.userinfo = Box::new(|said| remove(said, "sub"))).await;
}

#[tokio::test]
async fn what_userinfo_says_changes_nothing_that_was_signed() {
    let rig = Rig::new();
    rig.hostile.play(|script| {
        script.userinfo = Box::new(|said| {
            said["iss"] = json!("https://evil.example");
            said["aud"] = json!("other");
            said["sid"] = json!("another-session");
        });
    });
    let signed_in = rig.sign_in().await.unwrap().signed_in;
    assert_eq!(signed_in.claims.all["iss"], json!(rig.hostile.issuer));
    assert_eq!(signed_in.claims.all["aud"], json!("tombolo"));
    assert_eq!(signed_in.sid.as_deref(), Some("session-one"));
}

#[tokio::test]
async fn signed_userinfo_is_checked() {
    let rig = Rig::new();
    rig.hostile.play(|script| script.userinfo_signing = Some(Signing::Well));
    assert_eq!(rig.sign_in().await.unwrap().signed_in.claims.preferred_username.as_deref(), Some("anna"));
    for (what, change) in [("another issuer", ("iss", "https://evil.example")), ("another client", ("aud", "other"))] {
        rig.refuses(what, |script| {
            script.userinfo_signing = Some(Signing::Well);
            script.userinfo = Box::new(move |said| said[change.0] = json!(change.1));
        })
        .await;
    }
    let stranger = Signer::other_rsa("first");
    for signing in
        [Signing::NotAtAll, Signing::Broken, Signing::Stranger(Box::new(stranger)), Signing::SharedKey(b"key".to_vec())]
    {
        let error = rig.refuses("a badly signed answer", |script| script.userinfo_signing = Some(signing)).await;
        assert!(matches!(error, ProviderError::Untrusted { what: "answer about a person", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_tell_about_the_person_signs_nobody_in() {
    let rig = Rig::new();
    for status in [401, 403, 404, 500, 302] {
        rig.refuses(&status.to_string(), |script| script.userinfo_status = status).await;
    }
}

#[tokio::test]
async fn userinfo_can_be_left_out() {
    let rig = Rig::with(|config| config.userinfo = false);
    rig.hostile.play(|script| script.userinfo_status = 500);
    let claims = rig.sign_in().await.unwrap().signed_in.claims;
    assert_eq!((claims.name, rig.hostile.requests("/userinfo")), (None, 0));
}

#[tokio::test]
async fn a18_a_flood_of_groups_is_refused_with_words() {
    let rig = Rig::new();
    let groups = |count: usize, name: &str| json!((0..count).map(|n| format!("{name}{n}")).collect::<Vec<_>>());
    let short = groups(100_000, "g");
    let error = rig.refuses("10^5 groups", |script| {
        script.person.insert("groups".to_owned(), short);
    });
    let error = error.await;
    assert!(matches!(error, ProviderError::Claims { .. }), "{error:?}");
    assert!(error.to_string().contains("let the provider send only the groups"), "{error}");

    // Longer than any answer may be: it is not even read to its end.
    let long = groups(100_000, "a-group-with-a-long-name-");
    let error = rig.refuses("10^5 long groups", |script| {
        script.person.insert("groups".to_owned(), long);
    });
    let error = error.await;
    assert!(error.to_string().contains("longer than"), "{error}");

    let in_token = groups(100_000, "g");
    rig.refuses("10^5 groups in the token", |script| {
        script.id_token = Box::new(move |claims| claims["groups"] = in_token.clone());
    })
    .await;

    // A big school is not a flood.
    let many = groups(2_000, "class-");
    rig.hostile.play(|script| drop(script.person.insert("groups".to_owned(), many)));
    let claims = rig.sign_in().await.unwrap().signed_in.claims;
    assert_eq!(claims.all["groups"].as_array().unwrap().len(), 2_000);
}

#[tokio::test]
async fn a19_who_somebody_is_never_comes_from_an_e_mail_address() {
    let rig = Rig::new();
    let anna = rig.sign_in().await.unwrap().signed_in.claims;
    rig.hostile.play(|script| {
        script.subject = "subject-of-mallory".to_owned();
        script.person.insert("email_verified".to_owned(), json!(true));
    });
    let mallory = rig.sign_in().await.unwrap().signed_in.claims;
    assert_eq!((&anna.email, &anna.preferred_username), (&mallory.email, &mallory.preferred_username));
    assert_ne!(anna.identity, mallory.identity);

    rig.hostile.behave();
    rig.hostile.play(|script| drop(script.person.insert("email".to_owned(), json!("changed@school.example"))));
    assert_eq!(rig.sign_in().await.unwrap().signed_in.claims.identity, anna.identity);
}
