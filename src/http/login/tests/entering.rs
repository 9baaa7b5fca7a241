//! Who comes in, and how.

use super::*;
use crate::http::login::cookie;

#[actix_web::test]
async fn a_provider_lets_people_in_and_their_account_shows_what_they_have() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let page = browser.get("/account").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/login")));
    let page = browser.get("/login").await;
    assert!(page.body.contains("Sign in with School"), "{}", page.body);
    assert!(!page.body.contains("type=\"password\""), "nobody has a password here");
    let page = rig.sign_in(&mut browser, "/account").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/account")), "{}", page.body);
    let page = browser.get("/account").await;
    assert_eq!(page.status, 200);
    for text in ["Your account", "anna", "Projects", "Quota", "Tokens", "class-3b", "manager", "Sign out"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert_eq!(browser.get("/login?next=/account").await.location.as_deref(), Some("/account"), "already in");
}

#[actix_web::test]
async fn a11_an_answer_of_the_provider_counts_once_and_in_one_browser() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let there = browser.get("/login/start?provider=school").await.location.unwrap();
    let back = rig.come_back(&there);
    let held = browser.cookies.clone();
    // In another browser, which has no cookie or that of its own sign-in.
    let mut other = rig.browser();
    assert_eq!(other.get(&back).await.status, 400);
    other.get("/login/start?provider=school").await;
    assert_eq!(other.get(&back).await.status, 400);
    assert_eq!((rig.sessions().await, rig.spent().await), (0, 0));
    // The control, and the same once more.
    assert_eq!(browser.get(&back).await.status, 303);
    browser.cookies = held;
    let page = browser.get(&back).await;
    assert!(matches!(page.status, 400 | 403 | 502), "{}", page.body);
    assert_eq!((rig.sessions().await, rig.spent().await), (1, 1));
}

#[actix_web::test]
async fn a12_nobody_is_led_elsewhere_after_signing_in() {
    let rig = Rig::new().await;
    for next in [
        "//evil.example",
        "/%5Cevil.example",
        "%2F%2Fevil.example",
        "https:evil.example",
        "https://evil.example",
        "/%0d%0aLocation:https://evil.example",
        "/%252fevil.example",
        "/..//evil.example",
        "javascript:alert(1)",
    ] {
        let mut browser = rig.browser();
        let page = rig.sign_in(&mut browser, next).await;
        assert_eq!((page.status, page.location.as_deref()), (303, Some("/account")), "{next}");
        let page = browser.get(&format!("/login?next={next}")).await;
        assert_eq!(page.location.as_deref(), Some("/account"), "{next}");
        let page = rig.browser().get(&format!("/login?next={next}")).await;
        assert!(!page.body.contains("evil") && !page.body.contains("javascript:"), "{next}: {}", page.body);
    }
    let mut browser = rig.browser();
    let page = rig.sign_in(&mut browser, "/invitation/abc").await;
    assert_eq!(page.location.as_deref(), Some("/invitation/abc"), "the control");
}

#[actix_web::test]
async fn a14_every_sign_in_has_a_session_of_its_own() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    // Somebody has slipped in a session of their choice, and one that lives.
    let theirs = rig.signed_in().await.cookies[cookie::SESSION].clone();
    for fixed in ["A".repeat(43), theirs] {
        browser.cookies.insert(cookie::SESSION.into(), fixed.clone());
        let page = rig.sign_in(&mut browser, "/account").await;
        assert_eq!(page.status, 303, "{}", page.body);
        let cookie = page.set_cookies.iter().find(|set| set.starts_with(cookie::SESSION)).unwrap();
        for flag in ["; Path=/;", "; Secure;", "; HttpOnly;", "; SameSite=Lax;"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        let new = browser.cookies[cookie::SESSION].clone();
        assert_ne!(new, fixed);
        browser.cookies.insert(cookie::SESSION.into(), fixed);
        assert_eq!(browser.get("/account").await.location.as_deref(), Some("/login"), "the former one is void");
        browser.cookies.insert(cookie::SESSION.into(), new);
        assert_eq!(browser.get("/account").await.status, 200);
    }
}

#[actix_web::test]
async fn a14_the_database_has_no_sessions_secret() {
    let rig = Rig::new().await;
    let browser = rig.signed_in().await;
    let secret = browser.cookies[cookie::SESSION].clone();
    let stored = std::fs::read(rig._directory.path().join("t.sqlite")).unwrap();
    let log = std::fs::read(rig._directory.path().join("t.sqlite-wal")).unwrap_or_default();
    let has =
        |needle: &str| [&stored, &log].iter().any(|bytes| bytes.windows(needle.len()).any(|w| w == needle.as_bytes()));
    assert!(!has(&secret) && !has("canary-"), "the session's secret or a token of the provider is in the database");
    assert!(has("class-3b"), "the control");
}

#[actix_web::test]
async fn f31_a_provider_that_is_away_keeps_newcomers_out_and_nobody_else() {
    let rig = Rig::new().await;
    let mut inside = rig.signed_in().await;
    rig.hostile.play(|script| script.outage = Some(503));
    rig.hostile.stop().await;
    assert_eq!(inside.get("/account").await.status, 200);
    assert_eq!(inside.get("/compute/").await.status, 200);
    // A provider whose documents are not known yet: the same server, started while it is away.
    let late = Rig::new().await;
    late.hostile.stop().await;
    let page = late.browser().get("/login/start?provider=school").await;
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(page.body.contains("School does not answer at present"), "{}", page.body);
    assert!(page.body.contains("Sign in with School"));
}

#[actix_web::test]
async fn a_link_lets_in_once_and_not_by_being_looked_at() {
    let rig = Rig::new().await;
    let link = rig.link().await;
    let mut browser = rig.browser();
    for _ in 0..3 {
        let page = browser.get(&link).await;
        assert!(page.status == 200 && page.body.contains("Sign in as admin"), "{}", page.body);
    }
    let token = browser.get(&link).await.form_token();
    assert_eq!(rig.browser().post(&link, &[("form_token", &token)]).await.status, 403, "another browser's form");
    let page = browser.post(&link, &[("form_token", &token)]).await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/account")), "{}", page.body);
    let page = browser.get("/account").await;
    assert!(page.body.contains("federation-admin") && page.body.contains("default"), "{}", page.body);
    let mut other = rig.browser();
    assert_eq!(other.get(&link).await.status, 404, "it was used");
    let first = rig.link().await;
    let second = rig.link().await;
    assert_eq!(other.get(&first).await.status, 404, "a new one makes the old one void");
    assert_eq!(other.get(&second).await.status, 200);
}

#[actix_web::test]
async fn a_password_lets_in_and_tells_nothing_when_it_is_wrong() {
    let rig = Rig::new().await;
    rig.local_user("ben", "correct horse battery").await;
    let mut browser = rig.browser();
    let page = browser.get("/login?next=/account").await;
    let token = page.form_token();
    let mut answers = Vec::new();
    for (user, password) in [("ben", "wrong horse battery"), ("nobody", "correct horse battery"), ("", "")] {
        let fields = [("form_token", token.as_str()), ("user", user), ("password", password)];
        let page = browser.post("/login/local", &fields).await;
        assert_eq!(page.status, 401, "{user}");
        let (id, body) = (page.header("x-request-id").to_owned(), page.body);
        answers.push(body.replace(&id, ""));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "which of both was wrong is told");
    let fields = [("form_token", token.as_str()), ("user", "ben"), ("password", "correct horse battery")];
    assert_eq!(browser.post("/login/local", &fields).await.status, 303);
    assert_eq!(browser.get("/account").await.status, 200);
}

#[actix_web::test]
async fn passwords_are_not_tried_without_end() {
    let rig = Rig::with("[http]\ntrusted_proxies = ['127.0.0.1']\n").await;
    rig.local_user("ben", "correct horse battery").await;
    let mut browser = rig.browser();
    let token = browser.get("/login").await.form_token();
    // All at once: a limit that fills up again while each is tried would not be seen.
    let attempt = async |user: &str, from: &str| {
        let fields = [("form_token", token.as_str()), ("user", user), ("password", "guess guess guess")];
        let request = browser.form("/login/local", &fields).header("origin", &browser.base);
        Page::of(request.header("x-forwarded-for", from).send().await.unwrap()).await
    };
    let refused = |pages: &[Page]| {
        let refused: Vec<_> = pages.iter().filter(|page| page.status == 429).collect();
        assert!(refused.iter().all(|page| page.header("retry-after").parse::<u64>().unwrap() >= 1));
        refused.len()
    };
    let places: Vec<_> = (0..14).map(|number| format!("198.51.100.{number}")).collect();
    let pages = futures_util::future::join_all(places.iter().map(|place| attempt("ben", place))).await;
    assert_eq!(refused(&pages), 4, "one user, from anywhere");
    let users: Vec<_> = (0..14).map(|number| format!("user-{number}")).collect();
    let pages = futures_util::future::join_all(users.iter().map(|user| attempt(user, "203.0.113.1"))).await;
    assert_eq!(refused(&pages), 4, "one place, any user");
}
