//! Sessions end.

use super::*;
use crate::store::{Timestamp, user};

#[actix_web::test]
async fn signing_out_ends_the_session_here_and_leads_to_the_providers() {
    let rig = Rig::new().await;
    rig.hostile.play(|script| {
        script.discovery = Box::new(|document| {
            let place = format!("{}/end", document["issuer"].as_str().unwrap());
            document["end_session_endpoint"] = json!(place);
        });
    });
    let mut anna = rig.signed_in().await;
    let before = anna.cookies.clone();
    let token = anna.get("/account").await.form_token();
    let page = anna.post("/logout", &[("form_token", &token)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    let onward = page.between("content=\"0; url=", "\"");
    assert!(onward.starts_with(&format!("{}/end?", rig.hostile.issuer)), "{onward}");
    assert!(onward.contains("id_token_hint=") && onward.contains("post_logout_redirect_uri="), "{onward}");
    anna.cookies = before;
    assert_eq!(anna.get("/account").await.location.as_deref(), Some("/login"), "who has kept the cookie is out, too");
    assert_eq!(anna.get("/compute/").await.status, 401);
}

#[actix_web::test]
async fn a_provider_ends_sessions_by_its_logout_token_once() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    let mut admin = rig.browser();
    let link = rig.link().await;
    let token = admin.get(&link).await.form_token();
    admin.post(&link, &[("form_token", &token)]).await;
    let send = async |token: &str| {
        let request = rig.browser().form("/login/backchannel/school", &[("logout_token", token)]);
        Page::of(request.send().await.unwrap()).await
    };
    let mut wrong = rig.hostile.logout_claims();
    wrong["aud"] = json!("another client");
    for refused in ["", "rubbish", &rig.hostile.token("logout+jwt", &wrong)] {
        let page = send(refused).await;
        assert_eq!(page.status, 400, "{}", page.body);
        assert_eq!(page.header("cache-control"), "no-store");
    }
    assert_eq!(anna.get("/account").await.status, 200);
    let mut other = rig.hostile.logout_claims();
    (other["sub"], other["jti"]) = (json!("somebody else"), json!("another"));
    assert_eq!(send(&rig.hostile.token("logout+jwt", &other)).await.status, 200);
    assert_eq!(anna.get("/account").await.status, 200, "it was not for them");
    let good = rig.hostile.token("logout+jwt", &rig.hostile.logout_claims());
    assert_eq!(send(&good).await.status, 200);
    assert_eq!(anna.get("/account").await.location.as_deref(), Some("/login"));
    assert_eq!(admin.get("/account").await.status, 200, "others stay");
    rig.sign_in(&mut anna, "/account").await;
    assert_eq!(send(&good).await.status, 400, "it counts once");
    assert_eq!(anna.get("/account").await.status, 200);
}

/// As if the provider had been asked so many seconds ago.
async fn age(rig: &Rig, seconds: u64) {
    let told = rig.db.write(move |connection| {
        let anna = user::find_by_name(connection, "anna")?.unwrap();
        let told_at = Timestamp::now().minus(Duration::from_secs(seconds));
        let valid_until = Timestamp::now().plus(Duration::from_secs(3600));
        let token = crate::store::confirmation::RefreshToken::Unchanged;
        crate::store::confirmation::put(connection, anna.id, "school", &token, told_at, valid_until)
    });
    told.await.unwrap();
}

#[actix_web::test]
async fn a48_the_providers_word_is_asked_for_again_and_counts() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    age(&rig, 60).await;
    rig.hostile.play(|script| {
        script.person.insert("groups".into(), json!(["class-3b"]));
    });
    assert_eq!(anna.get("/compute/").await.status, 401, "the role is gone, at the first use after a minute");
    assert_eq!(anna.get("/account").await.status, 200, "they are still known");
}

#[actix_web::test]
async fn a10_a_provider_that_says_no_ends_the_session() {
    for misdeed in ["refused", "another person"] {
        let rig = Rig::new().await;
        let mut anna = rig.signed_in().await;
        age(&rig, 60).await;
        rig.hostile.play(|script| {
            if misdeed == "refused" {
                script.token_error = Some(("invalid_grant".into(), "gone".into()));
            } else {
                script.subject = "somebody else".into();
            }
        });
        let seen = anna.get("/account").await;
        assert_eq!(seen.location.as_deref(), Some("/login"), "{misdeed}");
        assert_eq!(rig.sessions().await, 0, "{misdeed}");
    }
}

#[actix_web::test]
async fn f31_a_provider_that_is_away_when_asked_again_changes_nothing() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    age(&rig, 60).await;
    rig.hostile.play(|script| script.outage = Some(503));
    assert_eq!(anna.get("/compute/").await.status, 200);
    assert_eq!(anna.get("/account").await.status, 200);
}
