//! `/-/`: what there is.

use reqwest::StatusCode;

use crate::server::{Answer, Home, OS_TPL_SCHEME};

async fn query(server: &crate::server::Server, path: &str, accept: &str) -> Answer {
    Answer::of(server.request("GET", path).header("Accept", accept).send().await.unwrap()).await
}

#[tokio::test]
async fn categories_come_one_per_line_with_the_core_first() {
    let home = Home::simulated();
    home.publish_blank("blank");
    let server = home.serve();
    let answer = query(&server, "/-/", "text/plain").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.header("server").contains("OCCI/1.2"), "{}", answer.header("server"));
    let lines: Vec<&str> = answer.body.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("Category: ")), "{}", answer.body);
    assert!(lines[0].starts_with("Category: entity; scheme=\"http://schemas.ogf.org/occi/core#\"; class=\"kind\""));
    for wanted in [
        "compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"kind\"",
        "start; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; class=\"action\"",
        "os_tpl; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"; class=\"mixin\"",
        "small; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#\"; class=\"mixin\"",
        "ssh_key; scheme=\"http://schemas.ogf.org/occi/infrastructure/credentials#\"; class=\"mixin\"",
        "public_key; scheme=\"http://schemas.openstack.org/instance/credentials#\"; class=\"mixin\"",
        &format!(
            "blank; scheme=\"{OS_TPL_SCHEME}\"; class=\"mixin\"; title=\"A test image\"; \
                  rel=\"http://schemas.ogf.org/occi/infrastructure#os_tpl\"; location=\"/mixin/os_tpl/blank/\"; \
                  attributes=\"org.tombolo.image.digest{immutable}\""
        ),
    ] {
        assert!(answer.body.contains(wanted), "{wanted} is not in\n{}", answer.body);
    }
    assert!(!answer.body.contains("/occi/platform#"), "a kind that is not served is not listed");
}

#[tokio::test]
async fn both_paths_and_all_renderings_say_the_same() {
    let home = Home::simulated();
    let server = home.serve();
    let plain = query(&server, "/-/", "text/plain").await.body;
    assert_eq!(plain, query(&server, "/.well-known/org/ogf/occi/-/", "*/*").await.body);

    let headers = query(&server, "/-/", "text/occi").await;
    assert_eq!(headers.body, "OK");
    let json = query(&server, "/-/", "application/occi+json").await;
    let model: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    let count: usize = ["kinds", "mixins", "actions"].iter().map(|class| model[class].as_array().unwrap().len()).sum();
    assert_eq!(plain.lines().count(), count);
    assert_eq!(headers.header("category").matches("class=").count(), count);
}

#[tokio::test]
async fn a_filter_gives_exactly_what_it_names() {
    let home = Home::simulated();
    let server = home.serve();
    let filtered = async |category: &str| {
        let request = server.request("GET", "/-/").header("Category", category).header("Content-Type", "text/occi");
        Answer::of(request.send().await.unwrap()).await
    };
    let answer = filtered("compute; scheme=\"http://schemas.ogf.org/occi/infrastructure#\"").await;
    assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
    assert!(!answer.body.contains(','), "the working group's tool splits at commas: {}", answer.body);
    assert_eq!(filtered("nope; scheme=\"http://example.com/#\"").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(filtered("compute scheme=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn templates_come_and_go_with_the_catalogue() {
    let home = Home::simulated();
    let server = home.serve();
    let offered = async || server.get("/-/").await.body.contains(OS_TPL_SCHEME);
    assert!(!offered().await);
    home.publish_blank("blank");
    assert!(offered().await);
    home.must(&["catalog", "withdraw", "blank"]);
    assert!(!offered().await);
}

#[tokio::test]
async fn negotiation_version_and_verbs() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    let server = home.serve().with_token(&token);
    assert_eq!(query(&server, "/-/", "image/png").await.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(query(&server, "/-/", "text/uri-list").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(query(&server, "/-/", "text/plain;q=0.1, application/occi+json").await.body.chars().next(), Some('{'));

    let agent = |agent: &str| server.request("GET", "/-/").header("User-Agent", agent).send();
    assert_eq!(agent("x OCCI/9.9").await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(agent("x OCCI/1.1").await.unwrap().status(), StatusCode::OK);

    let head = Answer::of(server.request("HEAD", "/-/").send().await.unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    let put = Answer::of(server.request("PUT", "/-/").send().await.unwrap()).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(put.header("allow").contains("GET"));
}
