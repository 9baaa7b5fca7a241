use serde_json::json;

use super::{NAME, Rig, remove};
use crate::login::{
    identity::Identity,
    provider::{
        SignedIn, Unconfirmed,
        hostile::{Script, Signing},
    },
};

async fn confirm(rig: &Rig, signed_in: &SignedIn) -> Result<SignedIn, Unconfirmed> {
    let token = signed_in.refresh_token.clone().unwrap();
    rig.providers.confirm(NAME, &signed_in.claims.identity, &token).await
}

async fn signed_in(rig: &Rig) -> SignedIn {
    rig.hostile.behave();
    rig.sign_in().await.unwrap().signed_in
}

async fn ends(what: &str, misdeed: impl FnOnce(&mut Script)) {
    let rig = Rig::new();
    let person = signed_in(&rig).await;
    let person = confirm(&rig, &person).await.unwrap_or_else(|error| panic!("before {what}: {error:?}"));
    rig.hostile.play(misdeed);
    let confirmed = confirm(&rig, &person).await;
    assert!(matches!(confirmed, Err(Unconfirmed::Ended(_))), "{what}: {confirmed:?}");
}

#[tokio::test]
async fn a_person_is_confirmed_with_what_is_said_now() {
    let rig = Rig::new();
    let person = signed_in(&rig).await;
    rig.hostile.play(|script| drop(script.person.insert("groups".to_owned(), json!(["class-3b"]))));
    let again = confirm(&rig, &person).await.unwrap();
    assert_eq!(again.claims.identity, person.claims.identity);
    assert_eq!(again.claims.all["groups"], json!(["class-3b"]));
    assert_ne!(again.refresh_token, person.refresh_token);
    confirm(&rig, &again).await.unwrap();
}

#[tokio::test]
async fn a10_a_refresh_for_somebody_else_ends_the_session() {
    ends("another subject", |script| script.subject = "subject-of-mallory".to_owned()).await;
    ends("another subject in the ID token", |script| {
        script.id_token = Box::new(|claims| claims["sub"] = json!("subject-of-mallory"));
    })
    .await;
    ends("another subject in userinfo", |script| {
        script.userinfo = Box::new(|said| said["sub"] = json!("subject-of-mallory"));
    })
    .await;
    ends("another subject in userinfo alone", |script| {
        script.token_answer = Box::new(|answer| remove(answer, "id_token"));
        script.userinfo = Box::new(|said| said["sub"] = json!("subject-of-mallory"));
    })
    .await;
}

#[tokio::test]
async fn a10_a_refresh_from_another_issuer_ends_the_session() {
    ends("another issuer", |script| script.id_token = Box::new(|claims| claims["iss"] = json!("https://evil.example")))
        .await;
    ends("another client's", |script| script.id_token = Box::new(|claims| claims["aud"] = json!("other"))).await;
    ends("a wrong signature", |script| script.signing = Signing::Broken).await;

    let rig = Rig::new();
    let person = signed_in(&rig).await;
    let elsewhere = Identity::new("https://other.example", "subject-of-anna").unwrap();
    let asked = rig.providers.confirm(NAME, &elsewhere, person.refresh_token.as_ref().unwrap()).await;
    assert!(matches!(asked, Err(Unconfirmed::Ended(_))), "{asked:?}");
    assert!(confirm(&rig, &person).await.is_ok(), "the token was not spent for that");
}

#[tokio::test]
async fn a_person_who_is_gone_at_the_provider_is_not_confirmed() {
    ends("a refused refresh", |script| {
        script.token_error = Some(("invalid_grant".to_owned(), "the account is disabled".to_owned()));
    })
    .await;
    ends("a refused access token", |script| script.userinfo_status = 401).await;
}

#[tokio::test]
async fn f31_a_provider_that_is_away_ends_nothing() {
    let rig = Rig::new();
    for (what, misdeed) in [
        ("an outage", (|script: &mut Script| script.outage = Some(503)) as fn(&mut Script)),
        ("a redirect", |script| script.outage = Some(302)),
        ("our own fault", |script| script.token_error = Some(("invalid_client".to_owned(), String::new()))),
        ("an overload", |script| script.token_error = Some(("temporarily_unavailable".to_owned(), String::new()))),
    ] {
        let person = signed_in(&rig).await;
        rig.hostile.play(misdeed);
        let confirmed = confirm(&rig, &person).await;
        assert!(matches!(confirmed, Err(Unconfirmed::Away { refresh_token: None, .. })), "{what}: {confirmed:?}");
        rig.hostile.behave();
        confirm(&rig, &person).await.unwrap();
    }
}

#[tokio::test]
async fn f31_a_provider_that_leaves_half_way_costs_nobody_their_refresh_token() {
    let rig = Rig::new();
    let person = signed_in(&rig).await;
    rig.hostile.play(|script| script.userinfo_status = 503);
    let Err(Unconfirmed::Away { refresh_token: Some(new), .. }) = confirm(&rig, &person).await else {
        panic!("the new token is lost")
    };
    rig.hostile.behave();
    assert!(matches!(confirm(&rig, &person).await, Err(Unconfirmed::Ended(_))), "the old one was spent");
    rig.providers.confirm(NAME, &person.claims.identity, &new).await.unwrap();
}

#[tokio::test]
async fn a_refresh_needs_no_id_token_where_there_is_userinfo() {
    let rig = Rig::new();
    let person = signed_in(&rig).await;
    rig.hostile.play(|script| script.token_answer = Box::new(|answer| remove(answer, "id_token")));
    let again = confirm(&rig, &person).await.unwrap();
    assert_eq!((again.claims.identity, &*again.id_token), (person.claims.identity, ""));
}
