//! What other sites make a browser do.

use reqwest::{Method, header};

use super::*;
use crate::http::login::{cookie, forgery::HEADER};

/// Every address that changes something, with what it needs besides the hidden text.
const FORMS: &[(&str, &[(&str, &str)])] = &[
    ("/login/local", &[("user", "ben"), ("password", "correct horse battery")]),
    ("/logout", &[]),
    ("/account/project", &[("project", "00000000-0000-0000-0000-000000000000")]),
    ("/account/tokens", &[("project", "00000000-0000-0000-0000-000000000000"), ("read", "yes"), ("days", "1")]),
    ("/account/tokens/00000000-0000-0000-0000-000000000000/revoke", &[]),
    ("/account/sessions/end", &[]),
];

#[actix_web::test]
async fn a15_no_form_is_taken_from_elsewhere_or_without_its_hidden_text() {
    let rig = Rig::new().await;
    rig.local_user("ben", "correct horse battery").await;
    let mut anna = rig.signed_in().await;
    let mut other = rig.signed_in().await;
    let token = anna.get("/account").await.form_token();
    let foreign = other.get("/account").await.form_token();
    let link = rig.link().await;
    let forms: Vec<_> = FORMS.iter().copied().chain([(link.as_str(), &[][..])]).collect();
    for (path, fields) in forms {
        let with = |token: &str| {
            let mut fields: Vec<_> = fields.to_vec();
            fields.push(("form_token", token));
            anna.form(path, &fields)
        };
        let ours = ("origin", anna.base.as_str());
        let mut refused = vec![
            ("nothing says where it comes from", with(&token)),
            ("another site", with(&token).header("origin", "https://evil.example")),
            ("a site that is nowhere", with(&token).header("origin", "null")),
            (
                "another site, by the browser's word",
                with(&token).header(ours.0, ours.1).header("sec-fetch-site", "cross-site"),
            ),
            ("a neighbour", with(&token).header("sec-fetch-site", "same-site")),
            ("another session's text", with(&foreign).header(ours.0, ours.1)),
            ("an empty text", with("").header(ours.0, ours.1)),
        ];
        refused.push(("no text", anna.form(path, fields).header(ours.0, ours.1)));
        for (why, request) in refused {
            let status = request.send().await.unwrap().status().as_u16();
            assert!(matches!(status, 400 | 403), "{path}, {why}: {status}");
        }
    }
    assert_eq!(anna.get("/account").await.status, 200, "still signed in");
    assert_eq!(rig.browser().get(&link).await.status, 200, "not used up");
    // The control: the same with everything as it must be.
    assert_eq!(anna.post("/account/sessions/end", &[("form_token", &token)]).await.status, 303);
    assert_eq!(other.get("/account").await.location.as_deref(), Some("/login"));
    assert_eq!(anna.post("/logout", &[("form_token", &token)]).await.status, 200);
    assert_eq!(anna.get("/account").await.location.as_deref(), Some("/login"));
}

#[actix_web::test]
async fn a15_reading_changes_nothing() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    for (path, _) in FORMS {
        assert!(matches!(anna.get(path).await.status, 200 | 404 | 405), "{path}");
    }
    assert_eq!(anna.get("/account").await.status, 200);
    assert_eq!(rig.sessions().await, 1);
}

#[actix_web::test]
async fn a15_occi_by_a_session_reads_and_changes_nothing_without_the_text() {
    let rig = Rig::new().await;
    let mut anna = rig.signed_in().await;
    let token = anna.get("/account").await.form_token();
    assert_eq!(anna.get("/compute/").await.status, 200, "reading is what a session is for");
    let body = "Category: mine; scheme=\"http://school.example/occi#\"; class=\"mixin\"; location=\"/mine/\"\n";
    let ask = |method: Method, path: &str| anna.request(method, path).header("content-type", "text/plain").body(body);
    let collection = "/storage/";
    let missing = "/storage/019e0000-0000-7000-8000-000000000000";
    let ours = anna.base.clone();
    for (method, path) in [
        (Method::POST, collection),
        (Method::DELETE, collection),
        (Method::PUT, missing),
        (Method::POST, missing),
        (Method::DELETE, missing),
        (Method::POST, "/-/"),
        (Method::DELETE, "/-/"),
    ] {
        for request in [
            ask(method.clone(), path),
            ask(method.clone(), path).header("origin", &ours),
            ask(method.clone(), path).header("sec-fetch-site", "same-origin"),
            ask(method.clone(), path).header(HEADER, &token),
            ask(method.clone(), path).header(HEADER, &token).header("origin", "https://evil.example"),
            ask(method.clone(), path).header(HEADER, &token).header("origin", "null"),
            ask(method.clone(), path).header(HEADER, "x").header("origin", &ours),
        ] {
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, 403, "{method} {path}");
        }
    }
    // The control: with both it is done.
    let request = ask(Method::POST, "/-/").header(HEADER, &token).header("origin", &ours);
    let page = Page::of(request.send().await.unwrap()).await;
    assert_eq!(page.status, 200, "{}", page.body);
}

#[actix_web::test]
async fn a15_who_shows_a_token_is_not_taken_for_the_session() {
    let rig = Rig::new().await;
    let anna = rig.signed_in().await;
    for wrong in ["Bearer tombolo_x_y", "Basic YTpi", "Negotiate abc", "Bearer"] {
        let request = anna.request(Method::GET, "/compute/").header(header::AUTHORIZATION, wrong);
        assert_eq!(request.send().await.unwrap().status(), 401, "{wrong}");
    }
    let mut stranger = rig.browser();
    stranger.cookies.insert(cookie::SESSION.into(), "A".repeat(43));
    assert_eq!(stranger.get("/compute/").await.status, 401);
}

#[actix_web::test]
async fn a16_no_other_site_reads_anything() {
    let rig = Rig::new().await;
    let anna = rig.signed_in().await;
    let ours = anna.base.clone();
    let origins = [
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("{ours}.evil.example"),
        ours.replace("127.0.0.1", "evil-127.0.0.1"),
        ours.replace("http://", "https://"),
        ours,
    ];
    for path in [
        "/",
        "/-/",
        "/account",
        "/login",
        "/compute/",
        "/healthz",
        "/events",
        "/metrics",
        "/keystone/",
        "/login/style.css",
    ] {
        for origin in &origins {
            for method in [Method::GET, Method::OPTIONS] {
                let request = anna.request(method.clone(), path).header("origin", origin);
                let request = request.header("accept", "application/json, text/plain, text/html");
                let request = request.header("access-control-request-method", "POST");
                let response = request.send().await.unwrap();
                let open: Vec<_> =
                    response.headers().keys().filter(|name| name.as_str().starts_with("access-control")).collect();
                assert!(open.is_empty(), "{method} {path} from {origin}: {open:?}");
            }
        }
    }
}
