use serde_json::{Value, json};

use super::{NAME, Rig, providers, remove};
use crate::login::provider::{
    Clock,
    algorithm::SigningAlgorithm,
    hostile::{Hostile, Signer, compact, hs256},
};

async fn opens(rig: &Rig, token: &str) -> bool {
    rig.providers.bearer(token).await.unwrap().is_some()
}

#[tokio::test]
async fn an_access_token_for_us_names_its_bearer() {
    let rig = Rig::new();
    let token = rig.hostile.token("at+jwt", &rig.hostile.access_claims());
    let bearer = rig.providers.bearer(&token).await.unwrap().unwrap();
    assert_eq!((&*bearer.provider, &*bearer.claims.identity.subject), (NAME, "subject-of-anna"));
    assert_eq!(bearer.expires_at, rig.clock.now() + crate::login::provider::hostile::LASTS);
    assert!(opens(&rig, &rig.hostile.token("JWT", &rig.hostile.access_claims())).await);
    assert!(opens(&rig, &rig.hostile.token("application/at+jwt", &rig.hostile.access_claims())).await);
}

#[tokio::test]
async fn what_a_token_does_not_say_of_a_person_is_asked_for() {
    let rig = Rig::new();
    let mut claims = rig.hostile.access_claims();
    claims["scope"] = json!("openid occi");
    let token = rig.hostile.token("at+jwt", &claims);
    let bearer = rig.providers.bearer(&token).await.unwrap().unwrap();
    assert_eq!(bearer.claims.all["groups"], json!(["teachers", "class-3b"]));
    rig.hostile.play(|script| script.userinfo_status = 401);
    claims["jti"] = json!("two");
    assert!(!opens(&rig, &rig.hostile.token("at+jwt", &claims)).await, "the provider took it back");
}

#[tokio::test]
async fn a_token_that_is_not_for_us_or_not_now_opens_nothing() {
    let rig = Rig::new();
    let now = rig.clock.now();
    for (what, name, value) in [
        ("another's", "aud", json!("other")),
        ("nobody's", "aud", json!([])),
        ("another issuer's", "iss", json!("https://evil.example")),
        ("expired", "exp", json!(now - 120)),
        ("made in the future", "iat", json!(now + 120)),
        ("not yet", "nbf", json!(now + 120)),
        ("without anybody", "sub", json!(7)),
        ("bound to a key", "cnf", json!({"jkt": "x"})),
    ] {
        let mut claims = rig.hostile.access_claims();
        claims[name] = value;
        assert!(!opens(&rig, &rig.hostile.token("at+jwt", &claims)).await, "{what}");
    }
    for name in ["aud", "iss", "exp", "sub"] {
        let mut claims = rig.hostile.access_claims();
        remove(&mut claims, name);
        assert!(!opens(&rig, &rig.hostile.token("at+jwt", &claims)).await, "without {name}");
    }
    let mut claims = rig.hostile.access_claims();
    claims["aud"] = json!(["other", "tombolo"]);
    assert!(opens(&rig, &rig.hostile.token("at+jwt", &claims)).await);
}

#[tokio::test]
async fn a_token_for_whom_we_stand_in_opens() {
    let token = |rig: &Rig| {
        let mut claims = rig.hostile.access_claims();
        claims["aud"] = json!("https://occi.school.example");
        rig.hostile.token("at+jwt", &claims)
    };
    let rig = Rig::new();
    assert!(!opens(&rig, &token(&rig)).await);
    let rig = Rig::with(|config| config.audiences = vec!["https://occi.school.example".to_owned()]);
    assert!(opens(&rig, &token(&rig)).await);
}

#[tokio::test]
async fn an_id_token_opens_nothing() {
    let rig = Rig::new();
    let person = rig.sign_in().await.unwrap().signed_in;
    assert!(!opens(&rig, &person.id_token).await, "one of a sign-in");
    // Without what usually tells them apart.
    assert!(!opens(&rig, &rig.hostile.token("JWT", &rig.hostile.id_claims())).await, "a bare one");
    for (name, value) in [
        ("nonce", json!("x")),
        ("at_hash", json!("x")),
        ("events", json!({})),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
    ] {
        let mut claims = rig.hostile.access_claims();
        claims[name] = value;
        assert!(!opens(&rig, &rig.hostile.token("JWT", &claims)).await, "{name}");
    }
    for kind in ["logout+jwt", "dpop+jwt", "secevent+jwt", "x"] {
        assert!(!opens(&rig, &rig.hostile.token(kind, &rig.hostile.access_claims())).await, "{kind}");
    }
    assert!(!opens(&rig, &rig.hostile.token("logout+jwt", &rig.hostile.logout_claims())).await);
}

#[tokio::test]
async fn a1_a2_a3_a_bearer_token_must_be_signed_by_its_provider() {
    let rig = Rig::new();
    let claims = rig.hostile.access_claims();
    let header = |algorithm: &str| json!({"alg": algorithm, "kid": "first", "typ": "at+jwt"});
    let stranger = Signer::other_rsa("first");
    let good = rig.hostile.token("at+jwt", &claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let public = rig.hostile.public_bytes();
    for (what, token) in [
        ("alg none", compact(&header("none"), &claims, |_| Vec::new())),
        ("no signature", compact(&header("RS256"), &claims, |_| Vec::new())),
        ("the public key as a shared one", compact(&header("HS256"), &claims, |message| hs256(&public, message))),
        ("a stranger's", stranger.token(&header("RS256"), &claims)),
        ("another algorithm", stranger.token(&header("ES256"), &claims)),
        ("a wrong signature", format!("{message}.{}", signature.chars().rev().collect::<String>())),
        ("a part too few", message.to_owned()),
        ("a part too many", format!("{good}.x")),
    ] {
        assert!(!opens(&rig, &token).await, "{what}");
    }
    assert!(opens(&rig, &good).await);
}

#[tokio::test]
async fn a2_a_bearer_token_is_signed_as_configured() {
    let rig = Rig::with(|config| config.signing_algorithms = vec![SigningAlgorithm::Es256]);
    let claims = rig.hostile.access_claims();
    assert!(!opens(&rig, &rig.hostile.token("at+jwt", &claims)).await);
    let logout = rig.hostile.token("logout+jwt", &rig.hostile.logout_claims());
    assert!(rig.providers.logout_token(NAME, &logout).await.is_err());
    rig.hostile.rotate(Signer::es256("second"));
    assert!(opens(&rig, &rig.hostile.token("at+jwt", &claims)).await);
}

#[tokio::test]
async fn a8_a_bearer_token_s_header_asks_for_a_signature_only() {
    let rig = Rig::new();
    let signer = Signer::rsa("first");
    let claims = rig.hostile.access_claims();
    let good = json!({"alg": "RS256", "kid": "first", "typ": "at+jwt"});
    assert!(opens(&rig, &signer.token(&good, &claims)).await);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("kid", json!("../first")),
    ] {
        let mut header = good.clone();
        header[name] = value;
        assert!(!opens(&rig, &signer.token(&header, &claims)).await, "{name}");
    }
    // What points to another key is not looked at.
    let mut header = good.clone();
    header["jku"] = json!(format!("{}/evil-jwks", rig.hostile.issuer));
    header["jwk"] = Signer::other_rsa("evil").public();
    assert!(opens(&rig, &signer.token(&header, &claims)).await);
    assert!(!opens(&rig, &Signer::other_rsa("first").token(&header, &claims)).await);
    assert_eq!(rig.hostile.requests("/evil-jwks"), 0);
}

#[tokio::test]
async fn nonsense_opens_nothing_and_asks_nobody() {
    let rig = Rig::with(|config| config.introspection = true);
    let long = "a".repeat(20_000);
    for token in ["", "a", "..", "a.b.c", "tok en tok en tok en", "token-with-\u{e9}-in-it-and-more", &long] {
        assert!(!opens(&rig, token).await, "{token}");
    }
    let stranger = json!({"iss": "https://evil.example", "sub": "x"});
    assert!(!opens(&rig, &rig.hostile.token("at+jwt", &stranger)).await);
    assert_eq!(rig.hostile.requests("/introspect"), 0);
    assert_eq!(rig.hostile.requests("/jwks"), 0);
}

#[tokio::test]
async fn bearer_tokens_can_be_switched_off() {
    let rig = Rig::with(|config| config.bearer = false);
    assert!(!opens(&rig, &rig.hostile.token("at+jwt", &rig.hostile.access_claims())).await);
}

#[tokio::test]
async fn a_token_is_checked_by_its_own_provider() {
    let clock = Clock::default();
    let (one, two) = (Hostile::start(&clock), Hostile::start(&clock));
    let both = providers(&[one.config("one"), two.config("two")], &clock);
    two.rotate(Signer::es256("second"));
    let bearer = both.bearer(&two.token("at+jwt", &two.access_claims())).await.unwrap().unwrap();
    assert_eq!(bearer.provider, "two");
    // One signs what would be the other's.
    assert_eq!(both.bearer(&one.token("at+jwt", &two.access_claims())).await.unwrap(), None);
}

#[tokio::test]
async fn a48_what_a_token_is_worth_is_believed_for_thirty_seconds() {
    let rig = Rig::new();
    let mut claims = rig.hostile.access_claims();
    claims["scope"] = json!("openid");
    let token = rig.hostile.token("at+jwt", &claims);
    for _ in 0..10 {
        assert!(opens(&rig, &token).await);
    }
    assert_eq!(rig.hostile.requests("/userinfo"), 1);
    rig.hostile.play(|script| script.userinfo_status = 401);
    rig.clock.advance(29);
    assert!(opens(&rig, &token).await);
    rig.clock.advance(1);
    assert!(!opens(&rig, &token).await);
}

#[tokio::test]
async fn a_token_ends_when_it_says_even_if_it_was_seen_a_moment_ago() {
    let rig = Rig::new();
    let mut claims: Value = rig.hostile.access_claims();
    claims["exp"] = json!(rig.clock.now() + 10 - 60);
    let token = rig.hostile.token("at+jwt", &claims);
    assert!(opens(&rig, &token).await, "clocks may differ");
    rig.clock.advance(11);
    assert!(!opens(&rig, &token).await);
}
