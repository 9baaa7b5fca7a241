//! Who may do what: tokens in three forms, and nothing without one.

use reqwest::StatusCode;

use crate::server::{Answer, Home, KIND_LINE};

#[tokio::test]
async fn everything_but_the_query_interface_needs_a_token() {
    let home = Home::simulated();
    let server = home.serve();
    for path in ["/-/", "/.well-known/org/ogf/occi/-/"] {
        assert_eq!(server.get(path).await.status, StatusCode::OK, "{path}");
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/compute/"),
        ("HEAD", "/compute/"),
        ("POST", "/compute/"),
        ("DELETE", "/compute/"),
        ("GET", "/compute/019e0000-0000-7000-8000-000000000000"),
        ("PUT", "/compute/x"),
        ("GET", "/nowhere"),
        ("POST", "/-/"),
        ("DELETE", "/-/"),
    ] {
        let answer = Answer::of(server.request(method, path).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        let ways = answer.headers("www-authenticate");
        assert_eq!(ways.len(), 3, "{method} {path}: {ways:?}");
        let is_there = |way: &str| ways.iter().any(|field| field.starts_with(way));
        assert!(is_there("Basic realm=") && is_there("Bearer realm=") && is_there("Keystone uri='http"), "{ways:?}");
        assert!(!answer.header("content-type").is_empty(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_token_is_accepted_in_three_forms() {
    let home = Home::simulated();
    let token = home.token("ann", "class-3b");
    let server = home.serve();
    let status = async |name: &str, value: String| {
        server.request("GET", "/compute/").header(name, value).send().await.unwrap().status()
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    let basic = |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
    assert_eq!(status("Authorization", format!("Bearer {token}")).await, StatusCode::OK);
    assert_eq!(status("Authorization", basic("ann", &token)).await, StatusCode::OK);
    assert_eq!(status("X-Auth-Token", token.clone()).await, StatusCode::OK);
    assert_eq!(status("Authorization", basic("bob", &token)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("Authorization", basic("ann", "guess")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("Authorization", format!("Bearer {token}x")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let home = Home::simulated();
    let created = home.must(&["token", "create", "--user", "ann", "--project", "p", "--json"]);
    let created: serde_json::Value = serde_json::from_str(&created).unwrap();
    let server = home.serve().with_token(created["token"].as_str().unwrap());
    assert_eq!(server.get("/compute/").await.status, StatusCode::OK);
    home.must(&["token", "revoke", created["id"].as_str().unwrap()]);
    assert_eq!(server.get("/compute/").await.status, StatusCode::UNAUTHORIZED);
    assert!(!home.run(&["token", "revoke", created["id"].as_str().unwrap()]).status.success());
    assert!(home.must(&["token", "list"]).contains("revoked"));
}

#[tokio::test]
async fn another_projects_machine_does_not_exist() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let (ann, bob) = (home.token("ann", "one"), home.token("bob", "two"));
    let server = home.serve().with_token(&ann);
    let location = server.create("blank", "").await;
    server.arrive(&location, "active").await;

    let server = server.with_token(&bob);
    for method in ["GET", "DELETE"] {
        let answer = Answer::of(server.request(method, &location).send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(server.act(&location, "stop").await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/compute/").await.body, "");
    assert_eq!(server.delete("/compute/").await.status, StatusCode::OK, "all of nothing");

    let server = server.with_token(&ann);
    assert_eq!(server.get(&location).await.status, StatusCode::OK, "and nobody has touched it");
}

#[tokio::test]
async fn members_of_a_project_share_its_machines() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let (ann, cat) = (home.token("ann", "one"), home.token("cat", "one"));
    let server = home.serve().with_token(&ann);
    let location = server.create("blank", "").await;
    let server = server.with_token(&cat);
    assert_eq!(server.get(&location).await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_token_is_in_the_log() {
    let mut home = Home::simulated();
    home.set_environment("TOMBOLO_LOG", "trace");
    let token = home.token("ann", "one");
    // The secret itself may have an underscore.
    let secret = token.splitn(3, '_').nth(2).unwrap().to_owned();
    assert!(secret.len() > 20, "what is looked for is found by chance");
    let server = home.serve().with_token(&token);
    server.post("/compute/", KIND_LINE).await;
    server.get("/nowhere").await;
    let log = server.log();
    assert!(!log.is_empty() && !log.contains(&secret));
}
