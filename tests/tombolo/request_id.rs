//! Request ids, from the client into the answer and the log.

use crate::server::{Answer, Home, KIND_LINE};

async fn ask(server: &crate::server::Server, path: &str, id: Option<&str>) -> Answer {
    let mut request = server.request("GET", path);
    if let Some(id) = id {
        request = request.header("X-Request-Id", id);
    }
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let home = Home::simulated();
    let token = home.token("ann", "p");
    let server = home.serve();
    for path in ["/-/", "/compute/", "/nowhere", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(&server, path, Some("mine-1")).await.header("x-request-id"), "mine-1", "{path}");
        let own = ask(&server, path, None).await.header("x-request-id");
        assert_eq!(own.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{path}");
        assert_ne!(ask(&server, path, Some("not mine")).await.header("x-request-id"), "not mine", "{path}");
    }
    let server = server.with_token(&token);
    for path in ["/compute/", "/compute/019e0000-0000-7000-8000-000000000000", "/nowhere"] {
        assert_eq!(ask(&server, path, Some("mine-2")).await.header("x-request-id"), "mine-2", "{path}");
    }
}

#[tokio::test]
async fn the_log_in_json_has_the_request_and_no_secret() {
    let mut home = Home::simulated();
    home.set_environment("TOMBOLO_LOG_FORMAT", "json");
    home.set_environment("TOMBOLO_LOG", "debug");
    home.publish_blank("blank");
    let token = home.token("ann", "class-3b");
    let server = home.serve().with_token(&token);
    let user_data = "c2VjcmV0LWJvZHk=";
    let body = format!(
        "{KIND_LINE}\n\
         Category: user_data; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute#\"; class=\"mixin\"\n\
         X-OCCI-Attribute: occi.compute.userdata=\"{user_data}\""
    );
    let request = server.request("POST", "/compute/?secret-query").header("X-Request-Id", "order-7");
    let answer = Answer::of(request.header("Content-Type", "text/plain").body(body).send().await.unwrap()).await;
    assert_eq!(answer.status, reqwest::StatusCode::CREATED, "{}", answer.body);
    server.arrive(&answer.header("location"), "active").await;

    let log = server.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_request = |line: &&serde_json::Value| line["spans"][0]["request_id"] == "order-7";
    let accesses: Vec<_> = lines.iter().filter(of_request).filter(|line| line["target"] == "tombolo::access").collect();
    let [access] = accesses.as_slice() else { panic!("one line for one request: {accesses:#?}") };
    let span = &access["spans"][0];
    assert_eq!(
        (&span["name"], &span["method"], &span["path"]),
        (&"request".into(), &"POST".into(), &"/compute/".into())
    );
    assert_eq!((&span["status"], &span["user"]), (&201.into(), &"ann".into()));
    assert!(span["milliseconds"].as_f64().is_some_and(|time| time > 0.0) && span["project"].is_string(), "{span}");
    let others = lines.iter().filter(of_request).filter(|line| line["target"] != "tombolo::access").count();
    assert!(others > 0, "what happens within a request says so: {log}");
    let secret = token.rsplit('_').next().unwrap();
    for secret in [secret, user_data, "secret-query"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn single_requests_are_not_logged_unless_asked_for() {
    let home = Home::new(&format!("[log]\nformat = \"json\"\n{}", crate::server::SIMULATED_SITE));
    let server = home.serve();
    ask(&server, "/-/", Some("quiet")).await;
    ask(&server, "/compute/", Some("quiet")).await;
    assert!(!server.log().contains("quiet"), "{}", server.log());
}
