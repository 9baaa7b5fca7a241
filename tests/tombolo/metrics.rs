//! The figures, as Prometheus reads them.

use reqwest::StatusCode;

use crate::server::{Answer, Home, SIMULATED_SITE};

#[tokio::test]
async fn requests_are_counted_and_measured() {
    let home = Home::simulated();
    let server = home.serve();
    for _ in 0..3 {
        server.get("/-/").await;
    }
    server.get("/compute/").await;
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.header("content-type").starts_with("text/plain; version=0.0.4"),
        "{}",
        answer.header("content-type")
    );
    let has = |line: &str| answer.body.lines().any(|known| known == line);
    assert!(has("tombolo_http_requests_total{method=\"GET\",class=\"2xx\"} 3"), "{}", answer.body);
    assert!(has("tombolo_http_requests_total{method=\"GET\",class=\"4xx\"} 1"), "{}", answer.body);
    assert!(has("tombolo_http_request_seconds_count{kind=\"light\"} 4"), "{}", answer.body);
    assert!(has("# TYPE tombolo_http_request_seconds histogram"), "{}", answer.body);
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_threads"] {
        let line = answer.body.lines().find(|line| line.starts_with(name)).expect(name);
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() >= 1.0, "{line}");
    }
    // Every line is a comment or a name, perhaps with labels, and a number.
    for line in answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (_, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn with_a_configured_token_nobody_else_reads_the_figures() {
    let home = Home::new(&format!("[metrics]\ntoken = \"0123456789abcdef\"\n{SIMULATED_SITE}"));
    let token = home.token("ann", "p");
    let server = home.serve();
    let stranger = server.get("/metrics").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.header("www-authenticate").starts_with("Bearer"), "{}", stranger.header("www-authenticate"));
    let with = async |token: &str| {
        let request = server.request("GET", "/metrics").bearer_auth(token);
        Answer::of(request.send().await.unwrap()).await.status
    };
    assert_eq!(with("0123456789abcdef").await, StatusCode::OK);
    assert_eq!(with(&token).await, StatusCode::UNAUTHORIZED, "a tenant's token is another");
}
