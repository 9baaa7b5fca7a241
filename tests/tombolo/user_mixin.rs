//! Mixins that the members of a project define, and the collections of all mixins.

use reqwest::StatusCode;

use crate::server::{Answer, Home, KIND_LINE, OS_TPL_SCHEME, Server};

const MINE: &str = "Category: my_stuff; scheme=\"http://example.com/occi/my_stuff#\"; class=\"mixin\"; \
                    title=\"Mine\"; location=\"/my_stuff/\"";

fn ready() -> (Home, Server) {
    let home = Home::simulated();
    home.publish_blank("blank");
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    (home, server)
}

async fn send(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let request = server.request(method, path).header("Content-Type", "text/plain").body(body.to_owned());
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_mixin_is_defined_carried_and_taken_back() {
    let (home, server) = ready();
    assert_eq!(server.post("/-/", MINE).await.status, StatusCode::OK);
    assert_eq!(server.post("/-/", MINE).await.status, StatusCode::OK, "the same again changes nothing");
    assert!(server.get("/-/").await.body.contains("location=\"/my_stuff/\""));
    let empty = server.get("/my_stuff/").await;
    assert_eq!((empty.status, empty.body.as_str()), (StatusCode::OK, ""));

    let location = server.create("blank", MINE).await;
    let other = server.create("blank", "").await;
    assert_eq!(server.get("/my_stuff/").await.body, format!("X-OCCI-Location: {location}"));
    let joined = send(&server, "POST", "/my_stuff/", &format!("X-OCCI-Location: {other}")).await;
    assert_eq!(joined.status, StatusCode::OK);
    assert_eq!(joined.body.lines().count(), 2, "{}", joined.body);
    let become_one = send(&server, "PUT", "/my_stuff/", &format!("X-OCCI-Location: {other}")).await;
    assert_eq!(become_one.body, format!("X-OCCI-Location: {other}"));
    assert!(!server.get(&location).await.body.contains("my_stuff"));
    let left = send(&server, "DELETE", "/my_stuff/", &format!("X-OCCI-Location: {other}")).await;
    assert_eq!((left.status, left.body.as_str()), (StatusCode::OK, ""));

    send(&server, "POST", "/my_stuff/", &format!("X-OCCI-Location: {location}, {other}")).await;
    assert_eq!(server.get("/my_stuff/").await.body.lines().count(), 2);
    assert_eq!(send(&server, "DELETE", "/-/", MINE).await.status, StatusCode::OK);
    assert!(!server.get("/-/").await.body.contains("my_stuff"));
    assert!(!server.get(&location).await.body.contains("my_stuff"));
    assert_eq!(server.get(&location).await.status, StatusCode::OK, "the machines stay");
    assert_eq!(server.get("/my_stuff/").await.status, StatusCode::NOT_FOUND);
    drop(home);
}

#[tokio::test]
async fn mixins_survive_a_restart_and_belong_to_their_project() {
    let (home, server) = ready();
    assert_eq!(server.post("/-/", MINE).await.status, StatusCode::OK);
    server.kill();
    let server = home.serve().with_token(&home.token("bob", "another"));
    assert!(!server.get("/-/").await.body.contains("my_stuff"), "another project's is not seen");
    assert_eq!(server.post("/-/", MINE).await.status, StatusCode::OK, "nor in the way");
    let server = server.with_token(&home.token("cat", "p"));
    assert!(server.get("/-/").await.body.contains("my_stuff"));
}

#[tokio::test]
async fn what_is_no_user_mixin_is_refused() {
    let (_home, server) = ready();
    for (body, status) in [
        (MINE.replace("; location=\"/my_stuff/\"", ""), StatusCode::BAD_REQUEST),
        (MINE.replace("class=\"mixin\"", "class=\"kind\""), StatusCode::BAD_REQUEST),
        (MINE.replace("http://example.com/occi/my_stuff#", "http://schemas.ogf.org/occi/mine#"), StatusCode::FORBIDDEN),
        (MINE.replace("/my_stuff/", "/compute/"), StatusCode::CONFLICT),
        (MINE.replace("/my_stuff/", "/compute/below/"), StatusCode::CONFLICT),
        (MINE.replace("/my_stuff/", "/../"), StatusCode::BAD_REQUEST),
        ("X-OCCI-Attribute: a=1".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let answer = server.post("/-/", &body).await;
        assert_eq!(answer.status, status, "{body}\n{}", answer.body);
    }
    let provider = "Category: os_tpl; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"mixin\"";
    assert_eq!(send(&server, "DELETE", "/-/", provider).await.status, StatusCode::FORBIDDEN);
    assert_eq!(send(&server, "DELETE", "/-/", KIND_LINE).await.status, StatusCode::FORBIDDEN);
    assert_eq!(send(&server, "DELETE", "/-/", MINE).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn membership_changes_for_all_or_none() {
    let (_home, server) = ready();
    server.post("/-/", MINE).await;
    let location = server.create("blank", "").await;
    let never = "/compute/019e0000-0000-7000-8000-000000000000";
    for unknown in [never, "/compute/x", "/nowhere"] {
        let body = format!("X-OCCI-Location: {location}, {unknown}");
        let answer = send(&server, "POST", "/my_stuff/", &body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}: {}", answer.body);
    }
    let foreign = send(&server, "POST", "/my_stuff/", "X-OCCI-Location: http://elsewhere.example/compute/1").await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/my_stuff/").await.body, "");
    let template = send(&server, "DELETE", "/mixin/os_tpl/blank/", &format!("X-OCCI-Location: {location}")).await;
    assert_eq!(template.status, StatusCode::FORBIDDEN, "{}", template.body);
    assert!(server.get(&location).await.body.contains(OS_TPL_SCHEME));
}
