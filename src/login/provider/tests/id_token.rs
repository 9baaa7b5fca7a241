use serde_json::json;

use super::{Rig, remove};
use crate::login::provider::{
    ProviderError,
    algorithm::SigningAlgorithm,
    hostile::{Script, Signer, Signing},
};

#[tokio::test]
async fn a_good_provider_signs_people_in() {
    let rig = Rig::new();
    let finished = rig.sign_in().await.unwrap();
    let claims = &finished.signed_in.claims;
    assert_eq!((&*claims.identity.issuer, &*claims.identity.subject), (&*rig.hostile.issuer, "subject-of-anna"));
    assert_eq!(claims.preferred_username.as_deref(), Some("anna"));
    assert_eq!(claims.all["groups"], json!(["teachers", "class-3b"]));
    assert_eq!(finished.signed_in.sid.as_deref(), Some("session-one"));
    assert!(finished.signed_in.refresh_token.is_some());
    assert_eq!(finished.next.as_str(), "/account");
}

#[tokio::test]
async fn every_usual_way_of_signing_is_taken() {
    let rig = Rig::new();
    for signer in [Signer::rsa("a"), Signer::pss("b"), Signer::es256("c"), Signer::ed25519("d")] {
        let algorithm = signer.algorithm();
        rig.hostile.rotate(signer);
        rig.clock.advance(3600);
        let signed_in = rig.sign_in().await;
        assert!(signed_in.is_ok(), "{algorithm}: {signed_in:?}");
    }
}

#[tokio::test]
async fn a1_an_unsigned_token_is_refused() {
    let rig = Rig::new();
    rig.refuses("alg none", |script| script.signing = Signing::NotAtAll).await;
    for name in ["None", "NONE", "nOnE", ""] {
        let unsigned = move |script: &mut Script| {
            script.signing = Signing::NotAtAll;
            script.header = Box::new(move |header| header["alg"] = json!(name));
        };
        rig.refuses(name, unsigned).await;
    }
    let claimed = |script: &mut Script| {
        script.signing = Signing::NotAtAll;
        script.header = Box::new(|header| header["alg"] = json!("RS256"));
    };
    rig.refuses("an empty signature that says RS256", claimed).await;
}

#[tokio::test]
async fn a2_a_public_key_is_never_a_shared_one() {
    let rig = Rig::new();
    let public = rig.hostile.public_bytes();
    let secret = crate::login::provider::hostile::CLIENT_SECRET.as_bytes().to_vec();
    for (what, key) in [("the public key", public), ("the client's secret", secret), ("nothing", Vec::new())] {
        rig.refuses(what, |script| script.signing = Signing::SharedKey(key)).await;
    }
}

#[tokio::test]
async fn a2_an_algorithm_that_is_not_configured_is_refused() {
    let rig = Rig::with(|config| config.signing_algorithms = vec![SigningAlgorithm::Es256]);
    assert!(matches!(rig.sign_in().await, Err(ProviderError::Untrusted { .. })));
    rig.hostile.rotate(Signer::es256("ec"));
    rig.clock.advance(3600);
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn a2_no_other_algorithm_is_taken_whatever_the_header_says() {
    let rig = Rig::new();
    for name in
        ["HS256", "HS512", "RS1", "RS512", "ES256", "ES512", "ES256K", "EdDSA", "RSA-OAEP", "dir", "A128KW", "x"]
    {
        rig.refuses(name, |script| script.header = Box::new(move |header| header["alg"] = json!(name))).await;
    }
    for odd in [json!(null), json!(7), json!(["RS256"])] {
        let what = odd.to_string();
        rig.refuses(&what, |script| script.header = Box::new(move |header| header["alg"] = odd.clone())).await;
    }
}

#[tokio::test]
async fn a3_a_wrong_signature_is_refused() {
    for signer in [Signer::rsa("first"), Signer::pss("first"), Signer::es256("first"), Signer::ed25519("first")] {
        let rig = Rig::new();
        let algorithm = signer.algorithm();
        rig.hostile.rotate(signer);
        let error = rig.refuses(algorithm, |script| script.signing = Signing::Broken).await;
        assert!(matches!(error, ProviderError::Untrusted { what: "ID token", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a3_a_strangers_key_under_the_right_name_is_refused() {
    let rig = Rig::new();
    for stranger in [Signer::other_rsa("first"), Signer::es256("first")] {
        rig.refuses("a stranger's key", |script| script.signing = Signing::Stranger(Box::new(stranger))).await;
    }
}

#[tokio::test]
async fn a4_a_token_for_somebody_else_is_refused() {
    let rig = Rig::new();
    for audience in [json!("other"), json!(["other"]), json!([]), json!(""), json!(["other", "third"]), json!({})] {
        rig.refuses_id_token(&audience.to_string(), move |claims| claims["aud"] = audience.clone()).await;
    }
    rig.refuses_id_token("no aud", |claims| remove(claims, "aud")).await;
    rig.refuses_id_token("a wrong azp", |claims| claims["azp"] = json!("other")).await;
    rig.refuses_id_token("several, no azp", |claims| claims["aud"] = json!(["tombolo", "other"])).await;
    let both = |claims: &mut serde_json::Value| {
        claims["aud"] = json!(["tombolo", "other"]);
        claims["azp"] = json!("other");
    };
    rig.refuses_id_token("several, azp of another", both).await;

    rig.hostile.play(|script| {
        script.id_token = Box::new(|claims| {
            claims["aud"] = json!(["other", "tombolo"]);
            claims["azp"] = json!("tombolo");
        });
    });
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn a5_a_token_of_another_issuer_is_refused() {
    let rig = Rig::new();
    let slash = format!("{}/", rig.hostile.issuer);
    for issuer in ["https://evil.example", "", &slash] {
        let issuer = issuer.to_owned();
        rig.refuses_id_token(&issuer.clone(), move |claims| claims["iss"] = json!(issuer)).await;
    }
    rig.refuses_id_token("no iss", |claims| remove(claims, "iss")).await;
}

#[tokio::test]
async fn a6_the_nonce_must_be_ours() {
    let rig = Rig::new();
    rig.refuses_id_token("no nonce", |claims| remove(claims, "nonce")).await;
    rig.refuses_id_token("an empty nonce", |claims| claims["nonce"] = json!("")).await;
    let error = rig.refuses_id_token("a made-up nonce", |claims| claims["nonce"] = json!("x".repeat(43))).await;
    assert!(error.to_string().contains("nonce"), "{error}");
}

#[tokio::test]
async fn a6_a_token_of_an_earlier_sign_in_is_refused() {
    let rig = Rig::new();
    let earlier = rig.sign_in().await.unwrap().signed_in.id_token;
    let error = rig.refuses("an earlier token", |script| {
        script.token_answer = Box::new(move |answer| answer["id_token"] = json!(earlier));
    });
    assert!(matches!(error.await, ProviderError::Untrusted { .. }));
}

#[tokio::test]
async fn a7_a_token_must_hold_now_and_say_so() {
    let rig = Rig::new();
    let now = rig.clock.now();
    for name in ["exp", "iat", "sub"] {
        rig.refuses_id_token(name, move |claims| remove(claims, name)).await;
    }
    for (what, name, value) in [
        ("expired", "exp", json!(now - 120)),
        ("expired long ago", "exp", json!(0)),
        ("an end that is no moment", "exp", json!("tomorrow")),
        ("an end beyond all time", "exp", json!(1e300)),
        ("an end before all time", "exp", json!(-1e300)),
        ("an end in the year 30000", "exp", json!(884_541_340_800_i64)),
        ("made beyond all time", "iat", json!(i64::MAX)),
        ("made in the future", "iat", json!(now + 120)),
        ("made long ago", "iat", json!(now - 3600)),
        ("holds later", "nbf", json!(now + 120)),
        ("nobody", "sub", json!("")),
        ("a subject that is no text", "sub", json!(7)),
        ("a subject too long", "sub", json!("s".repeat(256))),
        ("a subject with a line break", "sub", json!("a\nb")),
    ] {
        rig.refuses_id_token(what, move |claims| claims[name] = value.clone()).await;
    }
    // Clocks may differ a little.
    rig.hostile.play(|script| {
        script.id_token = Box::new(move |claims| {
            claims["exp"] = json!(now - 20);
            claims["iat"] = json!(now + 20);
        });
    });
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn a7_a_sign_in_at_the_provider_may_have_to_be_recent() {
    let rig = Rig::with(|config| config.max_age = Some(600));
    assert!(rig.begin().await.location.contains("max_age=600"));
    rig.refuses_id_token("no auth_time", |claims| remove(claims, "auth_time")).await;
    let long_ago = rig.clock.now() - 1000;
    rig.refuses_id_token("an old auth_time", move |claims| claims["auth_time"] = json!(long_ago)).await;
}

#[tokio::test]
async fn a8_a_header_points_to_no_key() {
    let rig = Rig::new();
    let evil = Signer::other_rsa("evil");
    let public = evil.public();
    let signing = move |header: serde_json::Value| {
        move |script: &mut Script| {
            script.signing = Signing::Stranger(Box::new(Signer::other_rsa("evil")));
            script.header = Box::new(move |sent| {
                for (name, value) in header.as_object().unwrap() {
                    sent[name] = value.clone();
                }
            });
        }
    };
    for header in [
        json!({"jwk": public}),
        json!({"kid": "evil", "jwk": public}),
        json!({"jku": format!("{}/evil-jwks", rig.hostile.issuer)}),
        json!({"x5u": format!("{}/evil-cert", rig.hostile.issuer)}),
        json!({"x5c": ["MIIB"]}),
        json!({"kid": "../../dev/null"}),
        json!({"kid": "first' or '1'='1"}),
        json!({"kid": format!("{}/evil-jwks", rig.hostile.issuer)}),
        json!({"kid": ["first"]}),
        json!({"crit": ["b64"], "b64": false}),
    ] {
        rig.refuses(&header.to_string(), signing(header.clone())).await;
    }
    assert_eq!(rig.hostile.requests("/evil-jwks") + rig.hostile.requests("/evil-cert"), 0);

    // Beside a good signature they do no harm, and are asked for nothing either.
    let jku = format!("{}/evil-jwks", rig.hostile.issuer);
    rig.hostile.play(|script| script.header = Box::new(move |header| header["jku"] = json!(jku)));
    rig.sign_in().await.unwrap();
    assert_eq!(rig.hostile.requests("/evil-jwks"), 0);
}

#[tokio::test]
async fn a8_a_token_without_a_key_name_must_fit_one_key_only() {
    let rig = Rig::new();
    let nameless = |script: &mut Script| script.header = Box::new(|header| remove(header, "kid"));
    rig.hostile.play(nameless);
    rig.sign_in().await.unwrap();
    rig.hostile.add_key(Signer::es256("second"));
    rig.clock.advance(3600);
    rig.sign_in().await.unwrap();
    rig.hostile.add_key(Signer::es256("third"));
    rig.clock.advance(3600);
    rig.refuses("one of several", nameless).await;
}

#[tokio::test]
async fn a8_what_asks_for_more_than_a_signature_is_refused() {
    let rig = Rig::new();
    for header in
        [json!({"crit": ["exp"]}), json!({"cty": "JWT"}), json!({"typ": "at+jwt"}), json!({"typ": "logout+jwt"})]
    {
        let change = header.clone();
        rig.refuses(&header.to_string(), |script| {
            script.header = Box::new(move |sent| {
                for (name, value) in change.as_object().unwrap() {
                    sent[name] = value.clone();
                }
            });
        })
        .await;
    }
}

#[tokio::test]
async fn a9_hashes_that_are_there_must_be_right() {
    let rig = Rig::new();
    for name in ["at_hash", "c_hash"] {
        for wrong in [json!("AAAAAAAAAAAAAAAAAAAAAA"), json!(""), json!(7), json!(null)] {
            rig.refuses_id_token(&format!("{name} {wrong}"), move |claims| claims[name] = wrong.clone()).await;
        }
    }
    // In the code flow they may be missing: the token comes from the provider itself.
    rig.hostile.play(|script| {
        script.id_token = Box::new(|claims| {
            remove(claims, "at_hash");
            remove(claims, "c_hash");
        });
    });
    rig.sign_in().await.unwrap();
}

#[tokio::test]
async fn a9_an_access_token_that_was_exchanged_is_refused() {
    let rig = Rig::new();
    let other = rig.hostile.opaque_token();
    let exchanged = move |script: &mut Script| {
        script.token_answer = Box::new(move |answer| answer["access_token"] = json!(other));
    };
    let error = rig.refuses("another access token", exchanged).await;
    assert!(error.to_string().contains("at_hash"), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_id_token_signs_nobody_in() {
    let rig = Rig::new();
    rig.refuses("no id_token", |script| script.token_answer = Box::new(|answer| remove(answer, "id_token"))).await;
    for kind in ["mac", "DPoP", ""] {
        rig.refuses(kind, |script| {
            script.token_answer = Box::new(move |answer| answer["token_type"] = json!(kind));
        })
        .await;
    }
}
