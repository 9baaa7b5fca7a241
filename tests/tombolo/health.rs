//! What a load balancer asks.

use reqwest::StatusCode;

use crate::server::{Answer, Home, Server};

/// Spoils the database of the running server: nothing can be written any more, as on a disk that is full.
fn refuse_writes(home: &Home, refuse: bool) {
    let statement = if refuse {
        "CREATE TRIGGER full BEFORE INSERT ON watches BEGIN SELECT RAISE(ABORT, 'secret words'); END"
    } else {
        "DROP TRIGGER full"
    };
    let database = home.data_dir().join("tombolo.sqlite");
    let done = std::process::Command::new("sqlite3").arg(database).arg(statement).status().unwrap();
    assert!(done.success());
}

async fn until(server: &Server, status: StatusCode) -> Answer {
    for _ in 0..200 {
        let answer = server.get("/readyz").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("/readyz never answered {status}: {}", server.log());
}

#[tokio::test]
async fn a_server_is_ready_while_its_database_takes_writes() {
    let home = Home::simulated();
    let server = home.serve();
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (StatusCode::OK, "ready\n"));
    refuse_writes(&home, true);
    let unready = until(&server, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(unready.body, "the database refuses a read or a write\n");
    assert!(server.log().contains("secret words"), "the reason is in the log");
    // The process itself is well: to restart it would not help.
    let alive = server.get("/healthz").await;
    assert_eq!((alive.status, alive.body.as_str()), (StatusCode::OK, "ok\n"));
    refuse_writes(&home, false);
    until(&server, StatusCode::OK).await;
}

#[tokio::test]
async fn a_site_that_is_away_is_named_and_no_obstacle() {
    let away = "[[site]]\nname = \"attic\"\nadapter = { kind = \"node-socket\", socket = \"/nonexistent/socket\" }\n";
    let home = Home::new(&format!("{away}{}", crate::server::SIMULATED_SITE));
    let server = home.serve();
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (StatusCode::OK, "ready\naway: site attic\n"));
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    let home = Home::simulated();
    let server = home.serve();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let head = server.request("HEAD", path).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        let answer = server.delete(path).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD".into()),
            "{path}"
        );
    }
}
