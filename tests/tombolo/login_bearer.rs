//! The provider's own access tokens at the OCCI door.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    browser::Browser,
    provider::{ANNA, CLIENT_ID, Provider},
    provider_rig::{Program, ask, field},
    school::School,
    server::Answer,
};

/// For whom the provider makes access tokens that are to open the door.
const AUDIENCE: &str = "https://tombolo.example/";

async fn status(school: &School, token: &str, project: &str) -> StatusCode {
    let request = school.server.request("GET", "/compute/").bearer_auth(token).header("X-Project", project);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn access_tokens_of_the_provider_open_the_door() {
    let of_provider = format!("audiences = [\"{AUDIENCE}\"]\nintrospection = true");
    let school = School::with(&of_provider, "").await;
    let provider = &school.provider;
    // Nobody has ever signed in here: the rules decide on what the token says.
    let jwt = provider.access_token("ben", "script", Some(AUDIENCE)).await;
    assert_eq!(school.status(&jwt).await, StatusCode::OK, "{}", school.server.log());
    let opaque = provider.access_token("anna", "tombolo", None).await;
    let several =
        Answer::of(school.server.request("GET", "/compute/").bearer_auth(&opaque).send().await.unwrap()).await;
    assert!(several.status.is_client_error(), "{}", several.status);
    for words in ["X-Project", "class-3b", "staff-room"] {
        assert!(several.body.contains(words), "{words}: {}", several.body);
    }
    assert_eq!(status(&school, &opaque, "class-3b").await, StatusCode::OK);
    assert_eq!(status(&school, &opaque, "class-4a").await, StatusCode::FORBIDDEN);
    let x_auth = school.server.request("GET", "/compute/").header("X-Auth-Token", &jwt).send().await.unwrap();
    assert_eq!(x_auth.status(), StatusCode::OK);

    // Made for somebody else's service, by somebody else's provider, or for somebody whom no rule knows.
    let elsewhere = provider.access_token("ben", "script", Some("https://other.example/")).await;
    assert_eq!(school.status(&elsewhere).await, StatusCode::UNAUTHORIZED);
    let strange = Provider::start().access_token("ben", "script", Some(AUDIENCE)).await;
    assert_eq!(school.status(&strange).await, StatusCode::UNAUTHORIZED);
    let of_carl = provider.access_token("carl", "script", Some(AUDIENCE)).await;
    assert!(school.status(&of_carl).await.is_client_error());
    assert_eq!(school.ask_database("SELECT count(*) FROM app_tokens"), "0");
}

#[tokio::test]
async fn a4_tokens_for_another_client_open_nothing() {
    // The same, where the configuration names no audience: only what is made for Tombolo itself counts.
    let school = School::with("introspection = true", "").await;
    let jwt = school.provider.access_token("ben", "script", Some(AUDIENCE)).await;
    assert_eq!(school.status(&jwt).await, StatusCode::UNAUTHORIZED);
    let opaque = school.provider.access_token("ben", "script", None).await;
    assert_eq!(school.status(&opaque).await, StatusCode::UNAUTHORIZED);
    let own = school.provider.access_token("ben", "tombolo", None).await;
    assert_eq!(school.status(&own).await, StatusCode::OK, "the control: {}", school.server.log());
}

/// An ID token says who somebody is; it is shown around, and must open nothing.
#[tokio::test]
async fn a4_browser_an_id_token_is_no_access_token() {
    let school = School::with("introspection = true", "").await;
    let program = Program::start().await;
    let callback = format!("{}/callback", program.base);
    school.provider.change_client(&json!({ "redirect_uris": [callback] })).await;
    let mut program = program;
    let verifier = "v".repeat(64);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let browser = Browser::open();
    browser
        .visit(&format!(
            "{}/auth?response_type=code&client_id={CLIENT_ID}&redirect_uri={callback}&scope=openid+profile+email\
             &state=s1&nonce=n1&code_challenge={challenge}&code_challenge_method=S256",
            school.provider.issuer
        ))
        .await;
    browser.sign_in_at_provider(ANNA).await;
    let request = program.next("/callback").await;
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", field(&request, "code")),
        ("redirect_uri", &callback),
        ("code_verifier", &verifier),
    ];
    let (code, tokens) = ask(&school.provider, "/token", &exchange).await;
    assert_eq!(code, 200, "{tokens}");
    let text = |name: &str| tokens[name].as_str().unwrap();
    assert_eq!(status(&school, text("access_token"), "class-3b").await, StatusCode::OK, "the control");
    assert_eq!(status(&school, text("id_token"), "class-3b").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&school, text("refresh_token"), "class-3b").await, StatusCode::UNAUTHORIZED);
}
